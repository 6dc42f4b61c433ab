from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import dross
from dross.claims.detect.multilabel_errors import tagged
from dross.core.results import Findings
from dross.core.signal import Signals
from dross.detect.multilabel_errors import MultilabelErrors, as_text, pooled_quality, quality, unlikely_decisions
from dross.testing import check_method


def test_contract() -> None:
    check_method(MultilabelErrors)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_pooling_follows_the_recursion_of_the_paper(values: list[float]) -> None:
    pooled = np.sort(values)[::-1][0]
    for value in np.sort(values)[::-1][1:]:
        pooled = 0.8 * value + 0.2 * pooled
    assert np.isclose(pooled_quality(np.array([values], np.float32))[0], pooled, atol=1e-6)


def test_decisions_are_contradicted_only_by_a_confident_opposite() -> None:
    given = np.array([[True], [True], [False], [False], [True], [False]])
    probs = np.array([[0.9], [0.8], [0.1], [0.2], [0.05], [0.95]], np.float32)
    assert unlikely_decisions(given, probs)[:, 0].tolist() == [False, False, False, False, True, True]
    assert quality(given, probs)[:2, 0].tolist() == [np.float32(0.9), np.float32(0.8)]


def test_toggled_tags_are_found_and_turned_round() -> None:
    data, wrong = tagged(600, 6, 0.1, seed=2)
    found = MultilabelErrors().run(data, Signals(data))
    assert isinstance(found, Findings)
    top = found.rows[np.argsort(-found.scores)[: wrong.sum()]]
    assert wrong[top].mean() > 0.6
    assert found.suggestion is not None
    assert all(isinstance(text, str) for text in found.suggestion)
    assert as_text(np.array([[False, True]]), ["a", "b"]).tolist() == ["b"]


def test_an_audit_of_tags_is_calibrated() -> None:
    data, wrong = tagged(800, 6, 0.1, seed=0)
    audit = dross.audit(data, only=["multilabel-errors"])
    flagged = audit.findings("label", flagged=True)["row"].to_numpy()
    assert audit.run["issues"]["label"]["share"] is not None
    assert len(flagged) >= 10
    assert wrong[flagged].mean() > 0.75
