from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

import dross
from dross.claims.detect.regression_errors import uneven
from dross.core.results import Findings, NotApplicable
from dross.core.signal import Signals
from dross.detect.regression_errors import RegressionErrors, error_scores, residual_scale
from dross.testing import check_method


def test_contract() -> None:
    check_method(RegressionErrors)


def test_scale_is_the_median_residual_of_the_neighbours_shrunk_half_way() -> None:
    residuals = np.array([1.0, 2.0, 4.0, 100.0])
    around = np.array([[1, 2], [0, 2], [0, 1], [-1, -1]], np.int32)
    overall = 1.4826 * 3.0
    local = 1.4826 * np.array([3.0, 2.5, 1.5])
    assert np.allclose(residual_scale(residuals, around), [*np.sqrt(local * overall), overall])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_scores_are_scores_and_grow_with_the_residual(values: list[float]) -> None:
    residuals = np.array(values)
    scores = error_scores(residuals, np.ones(len(values)))
    assert ((scores >= 0) & (scores <= 1)).all()
    order = np.argsort(np.abs(residuals))
    assert (np.diff(scores[order]) >= 0).all()
    assert ((scores >= 0.5) == (np.float32(np.abs(residuals)) >= 3.5)).all()


def test_wrong_targets_rank_above_sound_ones() -> None:
    data, wrong = uneven(600, 0.1, seed=4)
    found = RegressionErrors().run(data, Signals(data))
    assert isinstance(found, Findings)
    top = found.rows[np.argsort(-found.scores)[: wrong.sum()]]
    assert wrong[top].mean() > 0.5


def test_missing_and_constant_targets() -> None:
    data, _ = uneven(100, 0.1, seed=0)
    some = data.with_column("y", pa.array([None if i % 4 == 0 else float(v) for i, v in enumerate(data.target)]))
    found = RegressionErrors().run(some, Signals(some))
    assert isinstance(found, Findings)
    assert not (found.rows % 4 == 0).any()
    constant = data.with_column("y", pa.array(np.ones(100)))
    assert isinstance(RegressionErrors().run(constant, Signals(constant)), NotApplicable)


def test_an_audit_of_numbers_flags_wrong_ones() -> None:
    data, wrong = uneven(800, 0.08, seed=1)
    audit = dross.audit(data, only=["regression-errors"])
    flagged = audit.findings("label", flagged=True)
    assert flagged.height >= 10
    assert wrong[flagged["row"].to_numpy()].mean() > 0.75
    assert float(flagged["suggestion"][0]) == np.float64(flagged["suggestion"][0])
