from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.ledger import Ledger, Policy
from tests.ledger.made import audited, dataset, found, labels, relabelled, summary

# ---- policies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lable=drop", "did you mean 'label'"),
        ("label=delete", "no policy is called 'delete'"),
        ("label", "names no action"),
        ("", "the policy is empty"),
        ("outlier=relabel", "suggest no label"),
        ("label=drop,label=relabel", "twice"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(text: str, problem: str) -> None:
    with pytest.raises(DrossError, match=problem):
        Policy.of(text)


def test_policies_read_alike_as_text_and_as_mapping() -> None:
    a, b = Policy.of("near-duplicate=drop, label = relabel"), Policy.of({"near_duplicate": "drop", "label": "relabel"})
    assert a == b
    assert a.name == "near_duplicate=drop,label=relabel"


def test_the_careful_policy(tmp_path: Path) -> None:
    data = dataset(12)
    tables = {
        "label": relabelled(data, [0, 1, 2], precision=[0.9, 0.89, 0.99]),
        "duplicate": found(data, "duplicate", [4, 5], suggestion=[3, 3]),
        "near_duplicate": found(data, "near_duplicate", [7], suggestion=[6]),
        "semantic_duplicate": found(data, "semantic_duplicate", [8], suggestion=[9]),
        "outlier": found(data, "outlier", [10, 11], flagged=[True, False]),
    }
    ledger = audited(tmp_path, data, tables)
    version = ledger.apply()
    assert version is not None
    assert version.summary["edits"] == {
        "label": {"relabel": 2},
        "duplicate": {"drop": 2},
        "near_duplicate": {"drop": 1},
    }
    assert version.summary["waiting"] == {"label": 1, "semantic_duplicate": 1, "outlier": 1}
    assert version.number == 1
    assert version.rows == 9
    now = ledger.current()
    assert now.table.column("text").to_pylist() == [
        t for i, t in enumerate(data.table["text"].to_pylist()) if i not in {4, 5, 7}
    ]
    assert (now.row_ids == np.delete(data.row_ids, [4, 5, 7])).all()
    assert now.roles == data.roles
    changed = [
        i
        for i in range(12)
        if i not in {4, 5, 7} and labels(data)[i] != labels(now)[[*np.delete(range(12), [4, 5, 7])].index(i)]
    ]
    assert changed == [0, 2]


def test_findings_that_are_not_flagged_or_have_no_precision_wait(tmp_path: Path) -> None:
    data = dataset()
    tables = {
        "label": relabelled(data, [0, 1, 2], precision=[0.95, float("nan"), 0.95], flagged=[False, True, True]),
        "duplicate": found(data, "duplicate", [4, 5], suggestion=[3, 3], flagged=[True, False], precision=float("nan")),
    }
    plan = audited(tmp_path, data, tables).plan()
    assert [(d.issue, d.position) for d in plan.drafts] == [("label", 2), ("duplicate", 4)]
    assert plan.waiting == {"label": 1}


def test_a_named_policy_replaces_the_careful_one(tmp_path: Path) -> None:
    data = dataset()
    tables = {
        "label": relabelled(data, [0, 1], precision=[0.2, 0.99]),
        "duplicate": found(data, "duplicate", [4], suggestion=[3]),
        "outlier": found(data, "outlier", [9]),
    }
    ledger = audited(tmp_path, data, tables)
    plan = ledger.plan("label=relabel,outlier=drop")
    assert plan.counts == {"label": {"relabel": 2}, "outlier": {"drop": 1}}
    assert plan.waiting == {"duplicate": 1}


def test_reweighting_adds_one_column_and_only_then(tmp_path: Path) -> None:
    data = dataset()
    ledger = audited(tmp_path, data, {"outlier": found(data, "outlier", [2, 5], precision=[0.75, 0.2])})
    ledger.apply("outlier=reweight")
    weights = ledger.current().table.column("dross_weight").to_pylist()
    assert weights == [1, 1, 0.25, 1, 1, 0.8, 1, 1, 1, 1, 1, 1]
    assert [(e.before, e.after) for e in ledger.log()] == [(1.0, 0.8), (1.0, 0.25)]
    ledger.undo(everything=True)
    assert "dross_weight" not in ledger.current().table.column_names


def test_an_own_column_of_weights_is_changed_in_place(tmp_path: Path) -> None:
    table = dataset().table.append_column("dross_weight", pa.array([2.0] * 12))
    data = Dataset(table, dataset().roles)
    ledger = audited(tmp_path, data, {"outlier": found(data, "outlier", [2], precision=0.5)})
    ledger.apply("outlier=reweight")
    assert ledger.current().table.column("dross_weight").to_pylist() == [2.0] * 2 + [0.5] + [2.0] * 9


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.int32()])
def test_targets_are_set_to_the_number_suggested(tmp_path: Path, kind: pa.DataType) -> None:
    table = dataset().table.append_column("price", pa.array(range(12)).cast(kind))
    data = Dataset(table, {Role.TEXT: ["text"], Role.TARGET: ["price"]})
    ledger = audited(tmp_path, data, {"label": found(data, "label", [2, 4], suggestion=[7.0, float("nan")])})
    version = ledger.apply()
    assert version is not None
    assert version.summary["waiting"] == {"label": 1}
    assert ledger.current().table.column("price").to_pylist() == [0, 1, 7, *range(3, 12)]
    assert ledger.current().table.schema == data.table.schema


@pytest.mark.parametrize("given", [[3, 1, 2] * 4, [True, False, True] * 4, ["a", None, "b"] * 4])
def test_labels_keep_their_type(tmp_path: Path, given: list[object]) -> None:
    data = Dataset(pa.table({"x": list(range(12)), "y": given}), {Role.FEATURES: ["x"], Role.LABEL: ["y"]})
    ledger = audited(tmp_path, data, {"label": found(data, "label", [0, 3], suggestion=[1, 0])})
    ledger.apply()
    now = ledger.current()
    assert now.table.schema == data.table.schema
    assert labels(now) == [data.classes[1], *given[1:3], data.classes[0], *given[4:]]


def test_dictionary_labels_keep_their_type(tmp_path: Path) -> None:
    codes = pa.array(["a", "b", "a", "b"]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string()))
    data = Dataset(pa.table({"x": [1, 2, 3, 4], "y": codes}), {Role.FEATURES: ["x"], Role.LABEL: ["y"]})
    ledger = audited(tmp_path, data, {"label": found(data, "label", [0], suggestion=[1])})
    version = ledger.apply()
    assert version is not None
    for now in (ledger.current(), ledger.version(version.number)):
        assert labels(now) == ["b", "b", "a", "b"]
        assert now.table.schema == data.table.schema


# ---- conflicts ------------------------------------------------------------------------------------------------------


def test_dropping_wins_over_changing(tmp_path: Path) -> None:
    data = dataset()
    tables = {"label": relabelled(data, [3, 4]), "duplicate": found(data, "duplicate", [4], suggestion=[0])}
    plan = audited(tmp_path, data, tables).plan()
    assert [(d.position, d.action) for d in plan.drafts] == [(3, "relabel"), (4, "drop")]
    assert plan.notes == ["1 rows were both to be dropped and to be changed: they are dropped"]


def test_the_likelier_of_two_changes_has_its_way(tmp_path: Path) -> None:
    data = dataset()
    rows = [r for r in range(12) if labels(data)[r] == "ant"][:2]
    tables = {
        "label": found(data, "label", rows, suggestion=[1, 1], precision=[0.95, 0.7]),
        "conflict": found(data, "conflict", rows, suggestion=[2, 2], precision=[0.6, 0.9]),
    }
    plan = audited(tmp_path, data, tables).plan("label=relabel,conflict=relabel")
    assert {d.position: d.after for d in plan.drafts} == {rows[0]: '"bee"', rows[1]: '"cat"'}
    assert "likelier" in plan.notes[0]


def test_a_row_found_twice_is_dropped_once(tmp_path: Path) -> None:
    data = dataset()
    tables = {
        "duplicate": found(data, "duplicate", [4], suggestion=[3]),
        "near_duplicate": found(data, "near_duplicate", [4], suggestion=[3]),
    }
    assert audited(tmp_path, data, tables).plan().counts == {"duplicate": {"drop": 1}}


@pytest.mark.parametrize(
    ("rows", "twins", "outliers", "stays"),
    [
        ([1, 2], [0, 0], [], {0}),  # the twin stays
        ([1, 2], [0, 1], [], {0}),  # a chain
        ([0, 1], [1, 0], [], {0}),  # each other's twins
        ([1, 2], [0, 0], [0], {1}),  # the twin goes for another reason
        ([1, 2], [0, 0], [0, 1], {2}),
        ([1, 2], [0, 0], [0, 1, 2], set()),  # all go for another reason
        ([0, 1, 4, 5], [1, 0, 3, 3], [3], {0, 4}),  # two groups
        ([1], [-1], [], {1}),  # a copy without a twin
    ],
)
def test_one_of_each_group_of_copies_stays(
    tmp_path: Path, rows: list[int], twins: list[int], outliers: list[int], stays: set[int]
) -> None:
    data = dataset()
    tables = {
        "duplicate": found(data, "duplicate", rows, suggestion=twins),
        "outlier": found(data, "outlier", outliers),
    }
    ledger = audited(tmp_path, data, tables)
    policy = "duplicate=drop,outlier=drop"
    ledger.apply(policy)
    group = {*rows, *twins} - {-1}
    gone = {edit.row for edit in ledger.log()}
    assert group - gone == stays
    assert ledger.apply(policy) is None


def test_a_person_is_not_overruled(tmp_path: Path) -> None:
    data = dataset()
    tables = {"label": relabelled(data, [1, 2, 3]), "duplicate": found(data, "duplicate", [5, 6], suggestion=[4, 4])}
    ledger = audited(tmp_path, data, tables)
    ids = data.row_ids
    ledger.decide(ids[1:2], "relabel", after="cat", author="ada")
    ledger.decide(ids[2:3], "keep", field="label", author="ada")
    ledger.decide(ids[5:6], "keep", author="ada")
    version = ledger.apply()
    assert version is not None
    assert version.summary["notes"] == ["3 findings were left as a person had decided"]
    now = labels(ledger.current())
    assert (now[1], now[2]) == ("cat", labels(data)[2])
    assert now[3] != labels(data)[3]
    assert len(now) == 11


# ---- applying -------------------------------------------------------------------------------------------------------


def test_applying_twice_changes_nothing_more(tmp_path: Path) -> None:
    data = dataset()
    tables = {"label": relabelled(data, [1, 2]), "duplicate": found(data, "duplicate", [5], suggestion=[4])}
    ledger = audited(tmp_path, data, tables)
    first = ledger.apply()
    assert first is not None
    assert ledger.apply() is None
    again = ledger.record(summary(data), tables)
    assert ledger.apply(run=again) is None
    assert len(ledger.versions()) == 2
    assert len(list(ledger.log())) == 3


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    data = dataset()
    ledger = audited(tmp_path, data, {"label": relabelled(data, [1, 2])})
    before = sorted((p, p.stat().st_mtime_ns) for p in ledger.workspace.rglob("*") if p.is_file() and "-" not in p.name)
    assert len(ledger.plan().drafts) == 2
    after = sorted((p, p.stat().st_mtime_ns) for p in ledger.workspace.rglob("*") if p.is_file() and "-" not in p.name)
    assert before == after


def test_nothing_to_change_makes_no_version(tmp_path: Path) -> None:
    data = dataset()
    ledger = Ledger.open(tmp_path / ".dross", create=True)
    ledger.record(summary(data), {"outlier": found(data, "outlier", [1])})
    assert ledger.apply(data=data) is None
    assert ledger.versions() == []


def test_the_version_file_is_the_current_state(tmp_path: Path) -> None:
    data = dataset(key=True)
    tables = {"label": relabelled(data, [1, 2]), "duplicate": found(data, "duplicate", [5], suggestion=[4])}
    ledger = audited(tmp_path, data, tables)
    version = ledger.apply()
    assert version is not None
    kept = ledger.version(version.number)
    assert kept.table.equals(ledger.current().table)
    assert (kept.row_ids == ledger.current().row_ids).all()
    assert kept.fingerprint() == version.after
    assert version.before == data.fingerprint()
    assert ledger.version(0).table.equals(data.table)


def test_a_later_audit_of_the_treated_data_adds_to_the_same_chain(tmp_path: Path) -> None:
    """Positions then count in the treated rows; edits hang on the ids."""
    data = dataset()
    ledger = audited(tmp_path, data, {"duplicate": found(data, "duplicate", [1], suggestion=[0])})
    ledger.apply()
    treated = ledger.current()
    ledger.record(summary(treated), {"label": relabelled(treated, [1]), "outlier": found(treated, "outlier", [2])})
    version = ledger.apply("label=relabel,outlier=drop")
    assert version is not None
    assert (version.base, version.number) == (0, 2)
    assert [(e.row, e.action) for e in ledger.log()] == [(3, "drop"), (2, "relabel"), (1, "drop")]
    assert len(ledger.current()) == 10
    ledger.undo(everything=True)
    assert ledger.current().table.equals(data.table)


def test_data_from_memory_that_was_not_kept_must_be_passed(tmp_path: Path) -> None:
    data = dataset()
    ledger = Ledger.open(tmp_path / ".dross", create=True)
    ledger.record(summary(data), {"label": relabelled(data, [1])})
    with pytest.raises(DrossError, match="came from memory"):
        ledger.apply()
    assert ledger.apply(data=data) is not None
    ledger.record(summary(data, fingerprint="other"), {"label": relabelled(data, [1])})
    with pytest.raises(DrossError, match="has changed since the audit"):
        ledger.apply(data=data)


# ---- data from files ------------------------------------------------------------------------------------------------


def _file(tmp_path: Path, text: str = "x,y\n1,a\n2,b\n3,a\n4,b\n5,a\n") -> Path:
    path = tmp_path / "data.csv"
    path.write_text(text)
    return path


def _audit(path: Path, rows: list[int], **roles: str) -> Ledger:
    from dross.io import load

    options = {"label": "y", **roles}
    data = load(str(path), **options)
    one = summary(data) | {"source": {"path": str(path), "format": "csv", "options": options}}
    ledger = Ledger.open(path.parent / ".dross", create=True)
    ledger.record(one, {"label": found(data, "label", rows, suggestion=[1 - data.codes[r] for r in rows])})
    return ledger


def test_the_file_is_read_again_and_never_touched(tmp_path: Path) -> None:
    path = _file(tmp_path)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    ledger = _audit(path, [0])
    ledger.apply()
    ledger.undo(everything=True)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".dross", "data.csv"]


def test_a_file_changed_since_the_audit_is_refused(tmp_path: Path) -> None:
    path = _file(tmp_path)
    ledger = _audit(path, [0])
    path.write_text(path.read_text().replace("1,a", "9,a"))
    for _ in range(2):
        with pytest.raises(DrossError, match=r"has changed since the audit.*run dross audit again"):
            ledger.apply()
        assert ledger.versions() == []


def test_a_file_changed_after_the_first_apply_is_refused_too(tmp_path: Path) -> None:
    path = _file(tmp_path)
    ledger = _audit(path, [0, 1])
    ledger.apply()
    ledger.undo(everything=True)
    path.write_text(path.read_text().replace("1,a", "9,a"))
    with pytest.raises(DrossError, match="has changed since the audit"):
        ledger.apply()


def test_a_file_that_disappears_loses_nothing(tmp_path: Path) -> None:
    path = _file(tmp_path)
    ledger = _audit(path, [0])
    ledger.apply()
    text = path.read_text()
    path.unlink()
    ledger.undo(everything=True)
    assert ledger.current().table.column("y").to_pylist() == ["a", "b", "a", "b", "a"]
    ledger.export(tmp_path / "back.csv")
    assert (tmp_path / "back.csv").read_text() == text
    assert ledger.apply() is not None


def test_a_column_without_a_role_that_changed_starts_a_new_chain(tmp_path: Path) -> None:
    """The roles are the same, so the fingerprint is: but the export must not bring old cells back."""
    path = _file(tmp_path, "id,x,y,note\n1,1,a,old\n2,2,b,old\n3,3,a,old\n4,1,b,old\n")
    ledger = _audit(path, [0], id="id", features="x")
    ledger.apply()
    path.write_text(path.read_text().replace("old", "new"))
    ledger = _audit(path, [0, 1], id="id", features="x")
    version = ledger.apply()
    assert version is not None
    assert version.base == 2
    assert set(ledger.current().table.column("note").to_pylist()) == {"new"}
    assert len({run.fingerprint for run in ledger.runs()}) == 1


def test_two_files_in_one_folder_do_not_mix(tmp_path: Path) -> None:
    first, second = _file(tmp_path), tmp_path / "other.csv"
    second.write_text("x,y\n1,a\n2,b\n7,a\n")
    ledger = _audit(first, [0])
    ledger.apply()
    _audit(second, [1])
    version = ledger.apply()
    assert version is not None
    assert version.number == version.base + 1 == 3
    assert len(ledger.current()) == 3
    assert len(ledger.current(run="r1")) == 5
    ledger.undo(run="r1")
    assert labels(ledger.current(run="r1")) == ["a", "b", "a", "b", "a"]
    assert labels(ledger.current(run="r2")) == ["a", "a", "a"]
