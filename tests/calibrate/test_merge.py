from __future__ import annotations

import numpy as np

from dross.calibrate.merge import merge_findings, union_rows
from dross.core.results import Findings, Issue


def some() -> dict[str, Findings]:
    one = Findings(
        Issue.LABEL,
        np.array([0, 2, 5]),
        np.array([0.1, 0.9, 0.4], np.float32),
        suggestion=np.array([1, -1, 2]),
        evidence={"near": np.arange(6).reshape(3, 2), "margin": np.array([0.5, 0.6, 0.7], np.float32)},
    )
    two = Findings(
        Issue.LABEL,
        np.array([2, 3]),
        np.array([0.8, 0.7], np.float32),
        suggestion=np.array([0, 3], np.int32),
        evidence={"margin": np.array([0.1, 0.2], np.float32)},
    )
    return {"a-b": one, "c": two}


def test_one_entry_a_row_with_everybodys_evidence() -> None:
    found = some()
    rows = union_rows(found)
    assert rows.tolist() == [0, 2, 3, 5]
    merged = merge_findings(Issue.LABEL, found, rows, np.full(4, 0.5, np.float32), np.array([0, 0, 1, 0], np.int8))
    assert merged.suggestion is not None
    assert merged.suggestion.tolist() == [1, 0, 3, 2]  # row 2: the loudest has none, so the other's
    evidence = {name: values.tolist() for name, values in merged.evidence.items()}
    assert evidence["near"] == [[0, 1], [2, 3], [-1, -1], [4, 5]]
    assert set(evidence) == {"score_a_b", "score_c", "near", "margin_a_b", "margin_c"}
    assert np.isnan(merged.evidence["margin_c"]).tolist() == [True, False, False, True]
    assert np.isnan(merged.evidence["score_a_b"]).tolist() == [False, False, True, False]


def test_one_method_is_left_as_it_is() -> None:
    one = some()["a-b"]
    merged = merge_findings(Issue.LABEL, {"a-b": one}, one.rows, one.scores, np.zeros(3, np.int8))
    assert merged.evidence == one.evidence
    assert merged.suggestion is one.suggestion


def test_suggested_numbers() -> None:
    one = Findings(Issue.LABEL, np.array([0, 1]), np.ones(2, np.float32), suggestion=np.array([1.5, np.nan]))
    two = Findings(Issue.LABEL, np.array([1, 2]), np.ones(2, np.float32))
    merged = merge_findings(
        Issue.LABEL, {"x": one, "y": two}, np.array([0, 1, 2]), np.ones(3, np.float32), np.zeros(3, np.int8)
    )
    assert merged.suggestion is not None
    assert merged.suggestion[0] == 1.5
    assert np.isnan(merged.suggestion[1:]).all()


def test_methods_that_found_nothing() -> None:
    nothing = {"x": Findings.none(Issue.LABEL), "y": Findings.none(Issue.LABEL)}
    rows = union_rows(nothing)
    merged = merge_findings(Issue.LABEL, nothing, rows, np.empty(0, np.float32), np.empty(0, np.int8))
    assert len(merged) == 0
