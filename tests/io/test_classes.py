from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reliability.made import table

import dross
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.io.classes import absent, matched

ROWS = {"x": [1.5, 2.5, 3.5], "y": ["b", "a", "b"]}
"""Labels a and b; the probabilities below know z too."""
P = np.array([[0.1, 0.8, 0.1], [0.7, 0.0, 0.3], [0.2, 0.5, 0.3]])
NAMES = ["a", "b", "z"]


def check(data: Dataset) -> None:
    assert data.classes == NAMES
    assert data.codes.tolist() == [1, 0, 1]
    assert np.allclose(data.matrix(Role.PROBS), P)
    assert absent(data) == ["z"]


@given(st.permutations(range(3)))
def test_named_columns_in_any_order(order: list[int]) -> None:
    names = [NAMES[j] for j in order]
    check(dross.load(ROWS, label="y", pred_probs=pl.DataFrame(P[:, order], schema=names, orient="row")))
    check(dross.load(ROWS, label="y", pred_probs=pd.DataFrame(P[:, order], columns=names)))


def test_names_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pl.DataFrame(ROWS).write_csv("t.csv")
    np.savez("p.npz", pred_probs=P[:, ::-1], classes=np.array(NAMES[::-1]))
    pl.DataFrame(P, schema=NAMES, orient="row").write_csv("p.csv")
    pl.DataFrame(P, schema=NAMES, orient="row").write_parquet("p.parquet")
    for name in ("p.npz", "p.csv", "p.parquet"):
        data = dross.load("t.csv", label="y", pred_probs=name)
        check(data)
        assert data.source is not None
        check(dross.load("t.csv", **json.loads(json.dumps(data.source.options))))


def test_class_numbers_name_the_columns() -> None:
    data = dross.load({"x": [1, 2, 3], "y": [2, 1, 2]}, label="y", pred_probs=np.eye(4)[[2, 1, 3]])
    assert data.classes == [0, 1, 2, 3]
    assert data.codes.tolist() == [2, 1, 2]
    assert absent(data) == [0, 3]


def test_as_many_columns_as_classes_follow_the_sorted_labels() -> None:
    data = dross.load({"x": [1, 2, 3], "y": [7, 3, 7]}, label="y", pred_probs=pd.DataFrame(np.eye(2)[[1, 0, 1]]))
    assert data.classes == [3, 7]
    assert absent(data) == []


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a", "c", "z"], "no column of probabilities is called 'b', as a label is"),
        (["p0", "p1", "p2"], "3 columns of probabilities for 2 classes.*a, b; or name the columns"),
    ],
)
def test_names_that_do_not_match(names: list[str], says: str) -> None:
    with pytest.raises(DrossError, match=says):
        dross.load(ROWS, label="y", pred_probs=pl.DataFrame(P, schema=names, orient="row"))


def test_odd_names() -> None:
    with pytest.raises(DrossError, match="two columns of probabilities are called 'a'"):
        matched(["a", "b"], 3, ["a", "a", "b"])
    with pytest.raises(DrossError, match="'z' of the probabilities names no label"):
        matched([1, 2], 3, ["1", "2", "z"])
    assert matched([0.5, 1.5], 3, ["1.5", "0.5", "9"]) == ([1, 0, 2], [0.5, 1.5, 9.0])


def test_a_file_that_names_another_number_of_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", pred_probs=P, classes=np.array(["a", "b"]))
    with pytest.raises(DrossError, match="2 classes are named for 3 columns"):
        dross.load(ROWS, label="y", pred_probs=tmp_path / "p.npz")


def test_a_table_of_more_than_numbers(tmp_path: Path) -> None:
    pl.DataFrame({"a": [0.5, 0.5, 0.5], "b": ["x", "y", "z"]}).write_csv(tmp_path / "p.csv")
    with pytest.raises(DrossError, match=r"the column 'b' holds .*, not numbers"):
        dross.load(ROWS, label="y", pred_probs=tmp_path / "p.csv")


def test_the_classes_stay_with_the_rows() -> None:
    data = dross.load(ROWS, label="y", pred_probs=pl.DataFrame(P, schema=NAMES, orient="row"))
    for part in (data.take(np.array([0, 2])), data.slice(0, 1), data.with_column("y", pa.array(["a", "a", "a"]))):
        assert part.classes == NAMES
    assert Dataset(data.table, {Role.LABEL: ["y"]}).classes == ["a", "b"], "without the probabilities they are unknown"
    assert data.with_column("y", pa.array(["a", "new", "b"])).classes == ["a", "b", "new"], "a class they do not know"


def test_a_whole_audit_suggests_the_class_that_no_row_has(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [280, 280, 60])
    X = 5 * np.eye(3)[truth] + rng.normal(size=(620, 3))
    given = np.where(truth == 2, rng.integers(0, 2, 620), truth)
    likely = np.exp(-0.5 * ((X[:, None] - 5 * np.eye(3)) ** 2).sum(axis=2))
    probs = pl.DataFrame(likely / likely.sum(axis=1, keepdims=True), schema=NAMES, orient="row")
    columns: dict[str, Any] = {f"x{i}": X[:, i] for i in range(3)} | {"y": np.array(NAMES)[given]}
    audit = dross.audit(dross.load(columns, label="y", pred_probs=probs), workspace=tmp_path / "w")
    assert audit.failed == {}
    assert [one["note"] for one in audit.run["issues"].values() if "could not score" in one["note"]] == []
    found = audit.findings("label").sort("score", descending=True).head(50)
    assert (found["row"].to_numpy() >= 560).mean() > 0.9
    assert (found["suggestion"] == "z").mean() > 0.9
    audit.report(tmp_path / "r.html")
    ledger = audit.ledger
    ledger.decide(ledger.base().row_ids[found["row"].to_numpy()], "relabel", after="z")
    assert absent(ledger.current()) == []
    assert ledger.current().classes == NAMES
    ledger.undo(everything=True)
    assert absent(ledger.current()) == ["z"]


def test_a_class_that_no_row_has_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.reliability.running import run

    monkeypatch.chdir(tmp_path)
    rows = table()
    rows.write_csv("t.csv")
    pl.DataFrame(np.full((len(rows), 4), 0.25), schema=["c2", "c1", "z", "c0"]).write_csv("p.csv")
    done = run("audit", "t.csv", "--label", "y", "--pred-probs", "p.csv", "--only", "confident-learning")
    assert done.code == 0, done.err
    assert "classes that no row is labelled with (1): z" in done.err
