"""Facility location: exact against plain greedy at every stage, ties, weights, samples, memory, bad input."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dross.models.facility_location as kernels
from dross.claims.select._coverage import distances, loss
from dross.core.errors import DrossError
from dross.core.results import Selection
from dross.core.signal import Signals
from dross.models.facility_location import facility_location
from dross.select.facility_location import FacilityLocation, represented
from dross.testing import check_method
from dross.testing.planted import blobs


def test_contract() -> None:
    check_method(FacilityLocation)


def losses(X: np.ndarray, rows: np.ndarray, measured: np.ndarray | None = None) -> list[float]:
    D = distances(X) if measured is None else distances(X)[measured]
    return [loss(D, rows[: t + 1]) for t in range(len(rows))]


def greedily(X: np.ndarray, rows: np.ndarray, measured: np.ndarray | None = None) -> None:
    """Each row taken gains as much as the best one would have, up to the rounding of float32."""
    D = distances(X) if measured is None else distances(X)[measured]
    assert D[:, rows[0]].sum() <= D.sum(axis=0).min() + 1e-5 * D.sum(axis=0).max()
    best = D[:, rows[0]]
    for row in rows[1:]:
        gains = np.maximum(best[:, None] - D, 0).sum(axis=0)
        assert gains[row] >= gains.max() - 1e-5 * D[:, rows[0]].sum()
        best = np.minimum(best, D[:, row])


@pytest.mark.parametrize("pairs", [0, 3, 512])
def test_each_row_taken_is_the_best_one_then(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    """With stored pairs from the beginning, from some time on, and never."""
    monkeypatch.setattr(kernels, "PAIRS", pairs)
    for seed, (n, d) in enumerate([(300, 5), (150, 40), (9, 2)]):
        X = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
        found = facility_location(X, n // 3)
        greedily(X, found.rows)
        assert np.allclose(found.loss, losses(X, found.rows), rtol=1e-4)


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_copies_and_ties(n: int, d: int, count: int, seed: int) -> None:
    X = np.random.default_rng(seed).integers(-1, 2, (n, d)).astype(np.float32)
    found = facility_location(X, count)
    assert len(np.unique(found.rows)) == min(n, count)
    greedily(X, found.rows)
    assert (np.diff(found.loss) <= 1e-6).all()


def test_nearness_measured_on_some_rows_only() -> None:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((400, 6)).astype(np.float32)
    measured = np.sort(rng.choice(400, 90, replace=False))
    found = facility_location(X, 30, measured)
    greedily(X, found.rows, measured)
    data = blobs(400, seed=1).data
    part = FacilityLocation(count=8, sample=100).run(data, Signals(data))
    whole = FacilityLocation(count=8).run(data, Signals(data))
    assert isinstance(part, Selection)
    assert isinstance(whole, Selection)
    assert part.summary["measured_on"] == 100
    assert whole.summary["measured_on"] == 400
    random = np.random.default_rng(0).choice(400, 8, replace=False)
    D = distances(Signals(data).data.matrix(next(iter(data.roles))))
    assert loss(D, part.rows) < loss(D, random)


def test_weights_count_the_rows_represented() -> None:
    data = blobs(200, seed=2).data
    found = FacilityLocation(count=10).run(data, Signals(data))
    assert isinstance(found, Selection)
    assert found.weights is not None
    assert found.weights.sum() == 200
    assert found.weights.min() >= 1
    assert represented(np.zeros((3, 2), np.float32), np.empty(0, np.int64)).size == 0


def test_the_number_of_threads_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(7).standard_normal((1500, 16)).astype(np.float32)
    monkeypatch.setattr(kernels, "PAIRS", 20)
    one = facility_location(X, 60)
    monkeypatch.setattr(kernels, "threads", lambda: 3)
    three = facility_location(X, 60)
    assert one.rows.tolist() == three.rows.tolist()
    assert one.loss.tobytes() == three.loss.tobytes()


def test_memory_grows_with_the_rows_and_not_with_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "PAIRS", 32)
    monkeypatch.setattr(kernels, "LARGEST", 100_000)
    X = np.random.default_rng(0).standard_normal((6000, 4)).astype(np.float32)
    facility_location(X[:100], 5)
    tracemalloc.start()
    facility_location(X, 300)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.15 * 4 * len(X) ** 2


def test_bad_input() -> None:
    X = np.ones((4, 2), np.float32)
    X[1, 0] = np.inf
    with pytest.raises(DrossError, match="not numbers") as told:
        facility_location(X, 2)
    assert told.value.where == "row 1"
    with pytest.raises(DrossError, match="number of rows"):
        facility_location(X[:1], 0)
    data = blobs(20).data
    with pytest.raises(DrossError, match="sample"):
        FacilityLocation(sample=-1).run(data, Signals(data))
