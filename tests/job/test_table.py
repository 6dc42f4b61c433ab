"""The findings as a table: one row each, and suggestions of every kind as text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dross.calibrate.assessment import Assessment
from dross.core.dataset import Dataset
from dross.core.results import Findings, Issue
from dross.core.roles import Role
from dross.job.table import COLUMNS, suggestion_text, tabulate


def dataset(labels: list[Any], **more: list[Any]) -> Dataset:
    table = pa.table({"y": labels, "x": [float(i) for i in range(len(labels))], **more})
    roles = {Role.LABEL: ["y"], Role.FEATURES: ["x"]} | ({Role.ID: ["id"]} if "id" in more else {})
    return Dataset(table, roles)


def assessed(issue: Issue, rows: list[int], suggestion: Any = None, **evidence: Any) -> Assessment:
    m = len(rows)
    findings = Findings(
        issue,
        np.array(rows, np.int64),
        np.linspace(1, 0.5, m, dtype=np.float32),
        None if suggestion is None else np.asarray(suggestion),
        evidence,
    )
    return Assessment(
        issue,
        findings,
        ("first", "second"),
        np.arange(m).astype(np.int8) % 2,
        flagged=np.arange(m) % 2 == 0,
        expected_precision=np.where(np.arange(m) % 3 == 0, np.nan, 0.5).astype(np.float32),
    )


DATA = dataset(["b", "a", None, "c", "a"])


@pytest.mark.parametrize(
    ("issue", "suggestion", "text"),
    [
        (Issue.LABEL, [0, -1, 2], ["a", None, "c"]),
        (Issue.CONFLICT, np.array([1, 1, -1], np.int32), ["b", "b", None]),
        (Issue.DUPLICATE, [0, 1, -1], ["0", "1", None]),
        (Issue.LEAKAGE, np.array([4, 0, 0], np.uint32), ["4", "0", "0"]),
        (Issue.LABEL, [1.5, np.nan, -2e10], ["1.5", None, "-2e+10"]),
        (Issue.LABEL, np.array([0.25, 3, np.nan], np.float32), ["0.25", "3", None]),
        (Issue.LABEL, np.array(["a|b", "", "\x1b[1m"]), ["a|b", "", "\x1b[1m"]),
        (Issue.LABEL, np.array(["a", None, "c"], object), ["a", None, "c"]),
        (Issue.OUTLIER, None, [None, None, None]),
    ],
)
def test_suggestions_of_every_kind(issue: Issue, suggestion: Any, text: list[str | None]) -> None:
    one = assessed(issue, [0, 1, 4], suggestion)
    found = suggestion_text(DATA, one)
    assert found.type == pa.string()
    assert found.to_pylist() == text


@pytest.mark.parametrize(
    ("labels", "text"),
    [([3, 1, 3], ["1", "3"]), ([True, False, True], ["False", "True"]), ([0.5, 2.0, 0.5], ["0.5", "2.0"])],
)
def test_labels_that_are_no_texts(labels: list[Any], text: list[str]) -> None:
    one = assessed(Issue.LABEL, [0, 1], [0, 1])
    assert suggestion_text(dataset(labels), one).to_pylist() == text


def test_the_table() -> None:
    one = assessed(Issue.LABEL, [0, 1, 4], [0, -1, 2], closeness=np.array([1.0, 0.5, 0.0]), near=np.eye(3, 2))
    table = tabulate(DATA, one)
    assert tuple(table.column_names) == (*COLUMNS, "row_id", "evidence_closeness", "evidence_near")
    assert table.column("row").to_pylist() == [0, 1, 4]
    assert table.column("issue").to_pylist() == ["label"] * 3
    assert table.column("method").to_pylist() == ["first", "second", "first"]
    assert table.column("score").to_pylist() == [1, 0.75, 0.5]
    assert table.column("flagged").to_pylist() == [True, False, True]
    assert table.column("expected_precision").to_pylist() == [None, 0.5, 0.5]
    assert table.column("row_id").to_pylist() == DATA.row_ids[[0, 1, 4]].tolist()
    assert table.column("id").to_pylist() == [f"{i:016x}" for i in DATA.row_ids[[0, 1, 4]].tolist()]
    assert table.column("evidence_near").to_pylist() == [[1, 0], [0, 1], [0, 0]]


def test_ids_are_those_of_the_user() -> None:
    keyed = dataset(["a", "b", "a"], id=[10, 20, 30])
    assert tabulate(keyed, assessed(Issue.OUTLIER, [1, 2])).column("id").to_pylist() == ["20", "30"]


def test_no_findings() -> None:
    near = np.empty((0, 3), np.float32)
    table = tabulate(DATA, assessed(Issue.DUPLICATE, [], np.empty(0, np.int64), near=near))
    assert table.num_rows == 0
    assert table.schema.field("evidence_near").type == pa.list_(pa.float32(), 3)
    assert table.schema.types[:8] == tabulate(DATA, assessed(Issue.DUPLICATE, [1], [0])).schema.types[:8]
