from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from dross.core.statistics import holm, outlier_score, robust_z, wilson


@given(st.integers(1, 500), st.data())
def test_wilson_is_scipys(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    peer = binomtest(hits, n).proportion_ci(0.9, method="wilson")
    low, high = wilson([hits], [n], 0.9)
    assert (low[0], high[0]) == pytest.approx((peer.low, peer.high), abs=1e-9)


def test_wilson_of_nothing_is_everything() -> None:
    low, high = wilson([0], [0])
    assert (low[0], high[0]) == pytest.approx((0, 1))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_as_the_step_down_procedure(p: list[float]) -> None:
    adjusted = holm(p)
    order = np.argsort(p, kind="stable")
    rejected = set()
    for step, i in enumerate(order):
        if p[i] * (len(p) - step) > 0.05:
            break
        rejected.add(int(i))
    assert rejected == set(np.flatnonzero(adjusted <= 0.05).tolist())
    assert (adjusted >= np.array(p) - 1e-12).all()


def test_robust_z_is_that_of_a_normal() -> None:
    x = np.random.default_rng(0).normal(5, 2, 100_000)
    assert robust_z(np.array([5.0, 7.0, 11.0]), x) == pytest.approx([0, 1, 3], abs=0.05)


def test_robust_z_of_constants_and_of_mostly_one_value() -> None:
    assert robust_z(np.full(9, 0.1)).tolist() == [0.0] * 9
    assert robust_z(np.array([]), np.array([])).tolist() == []
    z = robust_z(np.array([0.0] * 8 + [1.0, 5.0]))
    assert z[9] > z[8] > z[0] == 0


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_outlier_score_keeps_the_order_and_the_range(z: list[float]) -> None:
    scores = outlier_score(np.sort(z))
    assert (np.diff(scores) >= 0).all()
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert outlier_score(np.array([3.5]))[0] == 0.5
