"""Kin: other findings of a row, and its twins."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.results import Issue
from dross.core.roles import Role
from dross.report.contents import Contents
from dross.review.kin import MOST, Kin, twins_of

N = 40
NEAR = str(Issue.NEAR_DUPLICATE)
DATA = Dataset(
    pa.table({"t": [f"text {i}" for i in range(N)], "y": [f"class {i % 3}" for i in range(N)]}),
    {Role.TEXT: ["t"], Role.LABEL: ["y"]},
)


def table(rows: list[int], twins: list[int | None] | None = None) -> pa.Table:
    columns = {"row": rows, "score": [0.5 + row / 100 for row in rows], "flagged": [row % 2 == 0 for row in rows]}
    if twins is not None:
        columns["evidence_twin"] = pa.array(twins, pa.int32())
    return pa.table(columns)


@pytest.fixture
def kin() -> Kin:
    tables = {
        "label": table([2, 5]),
        "duplicate": table([5, 7, 9], [2, 2, 1]),
        NEAR: table([3, 7], [2, None]),
    }
    return Kin(DATA, tables, Contents(DATA, 0))


def test_twins_both_ways_and_of_the_same_row(kin: Kin) -> None:
    assert [(one.row, one.issue) for one in kin.twins(2)] == [
        (3, NEAR),
        (5, "duplicate"),
        (7, "duplicate"),
    ]
    assert [one.row for one in kin.twins(5)] == [2, 7]
    assert [one.row for one in kin.twins(9)] == [1]
    assert kin.twins(30) == []
    assert (kin.twins(9)[0].label, kin.twins(9)[0].words) == ("class 1", "text 1")


def test_other_findings_of_a_row(kin: Kin) -> None:
    assert [(one.issue, one.flagged) for one in kin.findings(5, but="label")] == [("duplicate", False)]
    assert [one.issue for one in kin.findings(2, but="outlier")] == ["label"]
    assert kin.findings(30, but="label") == []


def test_of_a_thousand_twins_a_dozen() -> None:
    kin = Kin(DATA, {"duplicate": table(list(range(1, N)), [0] * (N - 1))}, Contents(DATA, 0))
    assert [one.row for one in kin.twins(0)] == list(range(1, MOST + 1))
    assert len(kin.twins(20)) == MOST


def test_findings_that_name_no_twin() -> None:
    assert twins_of(table([1, 2]), N) is None
    assert Kin(DATA, {"duplicate": table([1, 2])}, Contents(DATA, 0)).twins(1) == []
