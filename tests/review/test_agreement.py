"""Agreement against published worked examples, scikit-learn and the coincidence matrix written out."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score

from dross.core.errors import DrossError
from dross.review.agreement import alpha_interval, cohen_kappa, gather, krippendorff_alpha, pairwise

# Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011: sections A, B and C; 0 stands for missing in C
BINARY = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]).T
NOMINAL = np.array([[ord(c) - ord("a") for c in said] for said in ("aabbdcccedda", "babbbcccEddd".lower())]).T
MISSING = (
    np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
            [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
        ]
    ).T
    - 1
)


@pytest.mark.parametrize(("units", "alpha"), [(BINARY, 0.095), (NOMINAL, 0.692), (MISSING, 0.743)])
def test_alpha_is_what_krippendorff_worked_out(units: npt.NDArray[np.int64], alpha: float) -> None:
    assert krippendorff_alpha(units) == pytest.approx(alpha, abs=5e-4)


def plain_alpha(units: npt.NDArray[np.int64]) -> float:
    """Alpha by the coincidence matrix, pair by pair."""
    k = int(units.max(initial=0)) + 1
    o = np.zeros((k, k))
    for said in units:
        there = [int(v) for v in said if v >= 0]
        for i, c in enumerate(there):
            for j, d in enumerate(there):
                if i != j:
                    o[c, d] += 1 / (len(there) - 1)
    totals = o.sum(1)
    n = totals.sum()
    expected = (n * n - (totals**2).sum()) / (n - 1) if n > 1 else 0.0
    return 1 - (n - np.trace(o)) / expected if expected > 1e-9 else math.nan


@given(arrays(np.int64, st.tuples(st.integers(0, 7), st.integers(1, 5)), elements=st.integers(-1, 3)))
def test_alpha_is_that_of_the_coincidence_matrix(units: npt.NDArray[np.int64]) -> None:
    assert krippendorff_alpha(units) == pytest.approx(plain_alpha(units), nan_ok=True)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30))
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs).T
    kappa = cohen_kappa(a, b)
    if len(set(a) | set(b)) == 1:
        assert math.isnan(kappa)
    else:
        assert kappa == pytest.approx(cohen_kappa_score(a, b))


def test_kappa_looks_at_common_items_only() -> None:
    a, b = np.array([0, 1, 1, 0, -1, 2]), np.array([0, 1, 0, -1, 1, -1])
    assert cohen_kappa(a, b) == pytest.approx(cohen_kappa_score(a[:3], b[:3]))


def test_what_is_undefined_is_not_a_number() -> None:
    assert math.isnan(cohen_kappa([], []))
    assert math.isnan(cohen_kappa([-1, 0], [0, -1]))
    assert math.isnan(cohen_kappa([1, 1], [1, 1]))
    assert cohen_kappa([0, 0], [1, 1]) == 0  # never the same, and chance would not make it so either
    for units in (np.empty((0, 3), int), np.array([[0, -1], [-1, 1]]), np.zeros((5, 2), int)):
        assert math.isnan(krippendorff_alpha(units))
        assert all(math.isnan(part) for part in alpha_interval(units))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(DrossError, match="one length"):
        cohen_kappa([0, 1], [0])
    with pytest.raises(DrossError, match="matrix"):
        krippendorff_alpha([0, 1])
    with pytest.raises(DrossError, match="1 items"):
        gather([1], ["ann", "bob"], ["x"])


def simulated(n: int, rng: np.random.Generator, share: float = 0.7) -> npt.NDArray[np.int64]:
    """Three raters who know the truth with some chance and guess else; alpha is then the chance squared."""
    truth = rng.integers(0, 4, (n, 1))
    said = np.where(rng.random((n, 3)) < share, truth, rng.integers(0, 4, (n, 3)))
    return np.where(rng.random((n, 3)) < 0.8, said, -1)


def test_the_interval_covers_the_truth_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for seed in range(200):
        alpha, low, high = alpha_interval(simulated(150, rng), replicates=200, seed=seed)
        assert low <= alpha <= high
        inside += low <= 0.49 <= high
    assert 0.89 <= inside / 200 <= 0.99  # 95 % with the error of 200 trials and of a bootstrap


def test_the_interval_is_the_same_for_the_same_seed() -> None:
    units = simulated(50, np.random.default_rng(1))
    assert alpha_interval(units, seed=3) == alpha_interval(units, seed=3)
    assert alpha_interval(units, seed=3) != alpha_interval(units, seed=4)


def test_opinions_are_gathered_and_compared_two_by_two() -> None:
    said = gather(
        [5, 5, 3, 3, 3, 9, 5], ["bob", "ann", "bob", "ann", "cyd", "dan", "bob"], ["x", "y", "x", "x", "y", "x", "y"]
    )
    assert said.items.tolist() == [3, 5, 9]
    assert said.raters == ["ann", "bob", "cyd", "dan"]
    assert said.codes.tolist() == [[0, 0, 1, -1], [1, 1, -1, -1], [-1, -1, -1, 0]]
    assert pairwise(said).to_pylist() == [
        {"first": "ann", "second": "bob", "items": 2, "agreement": 1.0, "kappa": 1.0},
        {"first": "ann", "second": "cyd", "items": 1, "agreement": 0.0, "kappa": 0.0},
        {"first": "bob", "second": "cyd", "items": 1, "agreement": 0.0, "kappa": 0.0},
    ]


def test_nobody_said_anything() -> None:
    said = gather([], [], [])
    assert said.codes.shape == (0, 0)
    assert pairwise(said).num_rows == 0
    assert math.isnan(krippendorff_alpha(said.codes))
