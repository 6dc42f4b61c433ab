from __future__ import annotations

import json
import math
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.ledger import Ledger
from dross.ledger.state import active, from_json, to_json
from tests.ledger.made import audited, dataset, found, labels, relabelled


@pytest.fixture
def data() -> Dataset:
    return dataset()


@pytest.fixture
def ledger(tmp_path: Path, data: Dataset) -> Ledger:
    """Two relabelled rows (edits 1 and 2), one dropped (3)."""
    tables = {"label": relabelled(data, [1, 2]), "duplicate": found(data, "duplicate", [5], suggestion=[4])}
    made = audited(tmp_path, data, tables)
    made.apply()
    return made


def test_one_edit_is_taken_back_exactly(ledger: Ledger, data: Dataset) -> None:
    version = ledger.undo(1)
    assert version.number == 2
    now = labels(ledger.current())
    assert now[1] == labels(data)[1]
    assert now[2] != labels(data)[2]
    inverse, _, _, edit = ledger.log()
    assert (inverse.reverses, inverse.before, inverse.after) == (1, edit.after, edit.before)
    assert (inverse.active, edit.active) == (True, False)
    assert inverse.version == 2


def test_taking_back_the_inverse_makes_the_edit_again(ledger: Ledger) -> None:
    treated = ledger.current().table
    for undo in (1, 4, 5, 6):  # back, again, back, again
        ledger.undo(undo)
    assert ledger.current().table.equals(treated)
    assert [edit.active for edit in ledger.log()] == [True, False, True, False, True, True, True]


def test_everything_back_is_the_input(ledger: Ledger, data: Dataset) -> None:
    version = ledger.undo(everything=True)
    assert ledger.current().table.equals(data.table)
    assert (ledger.current().row_ids == data.row_ids).all()
    assert ledger.version(version.number).table.equals(data.table)
    assert version.after == data.fingerprint()
    assert version.summary["taken back"] == {"duplicate": {"drop": 1}, "label": {"relabel": 2}}


def test_a_version_can_be_taken_back_and_made_again(ledger: Ledger) -> None:
    treated = ledger.current().table
    undone = ledger.undo(everything=True)
    ledger.undo(version=undone.number)
    assert ledger.current().table.equals(treated)


def test_a_run_is_taken_back_and_no_other(ledger: Ledger, data: Dataset) -> None:
    from tests.ledger.made import summary

    ledger.record(summary(data), {"outlier": found(data, "outlier", [9])})
    ledger.apply("outlier=drop")
    ledger.undo(run="r1")
    assert ledger.current().table.equals(data.table.take(pa.array([i for i in range(12) if i != 9])))


def test_applying_again_after_everything_was_taken_back(ledger: Ledger) -> None:
    treated = ledger.current().table
    ledger.undo(everything=True)
    assert ledger.apply() is not None
    assert ledger.current().table.equals(treated)


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ({"edit": 99}, "there is no edit 99"),
        ({"edit": -1}, "there is no edit -1"),
        ({"run": "r9"}, "there is no run 'r9'"),
        ({"version": 9}, "there is no version 9"),
        ({"version": 0}, "version 0 is the data as loaded"),
        ({}, "say what to take back"),
        ({"edit": 1, "everything": True}, "say what to take back"),
    ],
)
def test_what_is_not_there_cannot_be_taken_back(ledger: Ledger, what: dict[str, Any], problem: str) -> None:
    before = len(list(ledger.log()))
    with pytest.raises(DrossError, match=problem):
        ledger.undo(**what)
    assert len(list(ledger.log())) == before


def test_nothing_is_taken_back_twice(ledger: Ledger) -> None:
    ledger.undo(1)
    with pytest.raises(DrossError, match=r"edit 1 is taken back already, by edit 4.* dross undo 4"):
        ledger.undo(1)
    ledger.undo(everything=True)
    for what in ({"everything": True}, {"run": "r1"}, {"version": 1}):
        with pytest.raises(DrossError, match="nothing to take back"):
            ledger.undo(**what)  # type: ignore[arg-type]


def test_nothing_to_take_back_before_the_first_change(tmp_path: Path, data: Dataset) -> None:
    with pytest.raises(DrossError, match="nothing"):
        audited(tmp_path, data, {}).undo(everything=True)
    with pytest.raises(DrossError, match="nothing"):
        Ledger.open(tmp_path / "other", create=True).undo(everything=True)


# ---- decisions ------------------------------------------------------------------------------------------------------


def test_a_decision_counts_at_once_and_is_in_the_next_version(ledger: Ledger, data: Dataset) -> None:
    edits = ledger.decide(data.row_ids[[7, 8]], "set", field="size", after=1.5, author="ada", reason="measured again")
    assert edits == [4, 5]
    assert ledger.current().table.column("size").to_pylist()[6:8] == [1.5, 1.5]
    edit = next(ledger.log())
    assert (edit.version, edit.author, edit.reason, edit.before) == (
        None,
        "ada",
        "measured again",
        data.table["size"][8].as_py(),
    )
    version = ledger.apply()
    assert version is not None
    assert next(ledger.log()).version == version.number
    assert ledger.version(version.number).table.equals(ledger.current().table)


def test_a_decision_made_twice_is_written_once(ledger: Ledger, data: Dataset) -> None:
    assert len(ledger.decide(data.row_ids[[7, 8, 7]], "drop")) == 2
    assert ledger.decide(data.row_ids[:10], "drop") == [*range(6, 14)]
    assert len(ledger.current()) == 2


def test_keeping_a_row_that_was_dropped_brings_it_back(ledger: Ledger, data: Dataset) -> None:
    ledger.decide(data.row_ids[5:6], "keep")
    ledger.decide(data.row_ids[1:2], "keep", field="label")
    assert len(ledger.current()) == 12
    assert labels(ledger.current())[1] == labels(data)[1]


@pytest.mark.parametrize(
    ("action", "more", "problem"),
    [
        ("delete", {}, "no action is called"),
        ("set", {}, "needs the column"),
        ("set", {"field": "sise", "after": 1}, "did you mean 'size'"),
        ("set", {"field": "size", "after": "much"}, "does not fit a column of type double"),
        ("reweight", {"after": -1}, "at least 0"),
        ("reweight", {"after": math.inf}, "at least 0"),
        ("reweight", {"after": "1"}, "at least 0"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused(
    ledger: Ledger, data: Dataset, action: str, more: dict[str, Any], problem: str
) -> None:
    with pytest.raises(DrossError, match=problem):
        ledger.decide(data.row_ids[:1], action, **more)
    assert len(list(ledger.log())) == 3


def test_an_unknown_row_is_refused(ledger: Ledger) -> None:
    with pytest.raises(DrossError, match="no row has the id 0000000000000007"):
        ledger.decide([7], "drop")


def test_row_ids_use_all_64_bits(tmp_path: Path) -> None:
    ids = np.array([0, 1, 2**63 - 1, 2**63, 2**64 - 1], np.uint64)
    data = Dataset(pa.table({"y": list("abcab")}), {Role.LABEL: ["y"]}, row_ids=ids)
    ledger = audited(tmp_path, data, {"outlier": found(data, "outlier", range(5))})
    ledger.apply("outlier=drop")
    assert [edit.row_id for edit in ledger.log()] == ids[::-1].tolist()
    ledger.undo(everything=True)
    assert (ledger.current().row_ids == ids).all()
    assert ledger.decide([2**64 - 1], "drop") == [11]


# ---- the log --------------------------------------------------------------------------------------------------------


def test_the_log_says_who_what_when_and_why(ledger: Ledger, data: Dataset) -> None:
    drop, second, first = ledger.log()
    assert (drop.action, drop.field, drop.before, drop.after) == ("drop", None, None, None)
    assert "copy of " + data.key(4) in drop.reason
    assert (first.row, first.key, first.row_id) == (1, data.key(1), int(data.row_ids[1]))
    assert (first.field, first.before) == ("label", labels(data)[1])
    assert (first.run, first.issue, first.method, first.author, first.version) == (
        "r1",
        "label",
        "some-method",
        "some-method",
        1,
    )
    assert first.confidence == pytest.approx(0.95)
    assert first.time.endswith("+00:00")
    assert "policy careful" in second.reason


def test_the_log_of_one_row_or_run(ledger: Ledger, data: Dataset) -> None:
    ledger.undo(2)
    assert [edit.id for edit in ledger.log(row=data.key(2))] == [4, 2]
    assert [edit.id for edit in ledger.log(row=f"{int(data.row_ids[5]):016x}")] == [3]
    assert list(ledger.log(row="nothing")) == []
    assert len(list(ledger.log(run="r1"))) == 4
    assert list(ledger.log(run="r2")) == []


def test_keys_of_the_users_own(tmp_path: Path) -> None:
    data = dataset(key=True)
    ledger = audited(tmp_path, data, {"label": relabelled(data, [3])})
    ledger.apply()
    (edit,) = ledger.log(row="k3")
    assert edit.key == "k3"
    assert [e.id for e in ledger.log(row=f"{int(data.row_ids[3]):016x}")] == [1]


def test_a_long_log_is_read_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dross.ledger.edits.PAGE", 7)
    data = dataset(30)
    ledger = audited(tmp_path, data, {"outlier": found(data, "outlier", range(30))})
    ledger.apply("outlier=drop")
    assert [edit.id for edit in ledger.log()] == list(range(30, 0, -1))


# ---- the mathematics ------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 6), max_size=12))
def test_active_against_its_definition(choices: list[int]) -> None:
    """Each edit takes back nothing (0) or some earlier one; an edit stands unless a standing one takes it back."""
    ids = np.arange(1, len(choices) + 1)
    reverses = np.array([choice % edit for edit, choice in zip(ids, choices, strict=True)], np.int64)

    def stands(edit: int) -> bool:
        return not any(stands(int(later)) for later in ids[reverses == edit])

    assert active(ids, reverses).tolist() == [stands(int(edit)) for edit in ids]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("text", pa.string()),
        (None, pa.int64()),
        (3, pa.uint8()),
        (1.5, pa.float32()),
        (True, pa.bool_()),
        (date(2020, 2, 29), pa.date32()),
        (Decimal("1.50"), pa.decimal128(5, 2)),
        (["a", "b"], pa.large_list(pa.large_string())),
        (math.inf, pa.float64()),
    ],
)
def test_values_survive_json(value: Any, kind: pa.DataType) -> None:
    text = to_json(value)
    json.loads(text)
    assert from_json([text], kind).to_pylist() == [value]


def test_a_value_that_does_not_fit_is_named() -> None:
    with pytest.raises(DrossError, match='the value "b" does not fit a column of type int64'):
        from_json(["1", '"b"', "2"], pa.int64())
