from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect import knn_shapley as module
from dross.detect.knn_shapley import KnnShapley, knn_shapley, truncated_values
from dross.testing import check_method
from dross.testing.planted import blobs, digits


def by_definition(distances: np.ndarray, labels: np.ndarray, wanted: int, k: int) -> np.ndarray:
    """The mean gain of each row over all subsets of the others: Shapley's own formula, 2^n subsets."""
    n = len(labels)

    def worth(subset: tuple[int, ...]) -> float:
        nearest = sorted(subset, key=lambda i: (distances[i], i))[:k]
        return sum(labels[i] == wanted for i in nearest) / k

    values = np.zeros(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for subset in combinations(others, size):
                values[i] += weight * (worth((*subset, i)) - worth(subset))
    return values


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 10_000))
def test_exact_values_are_shapleys_by_brute_force(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, points = rng.normal(size=(n, 2)), rng.normal(size=(2, 2))  # no two rows equally far
    labels, wanted = rng.integers(0, 2, n), rng.integers(0, 2, 2)
    truth = np.mean(
        [by_definition(((X - p) ** 2).sum(1), labels, t, k) for p, t in zip(points, wanted, strict=True)], axis=0
    )
    assert np.allclose(knn_shapley(X, labels, points, wanted, k), truth, atol=1e-9)


def everyone_for_the_others(X: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    out = np.zeros(len(X))
    for i in range(len(X)):
        rest = np.delete(np.arange(len(X)), i)
        out[rest] += knn_shapley(X[rest], labels[rest], X[[i]], labels[[i]], k)
    return out / len(X)


def nearest(X: np.ndarray, m: int) -> np.ndarray:
    return NearestNeighbors(n_neighbors=m).fit(X).kneighbors()[1].astype(np.int32)


@pytest.mark.parametrize("k", [1, 3, 12])
def test_values_from_complete_lists_are_exact(k: int) -> None:
    rng = np.random.default_rng(k)
    X, labels = rng.normal(size=(30, 3)), rng.integers(0, 3, 30).astype(np.int32)
    everyone = np.ones(30, bool)
    got = truncated_values(nearest(X, 29), labels, everyone, everyone, k)
    assert np.allclose(got, everyone_for_the_others(X, labels, k), atol=1e-9)


def test_players_and_points_may_differ() -> None:
    rng = np.random.default_rng(5)
    X, labels = rng.normal(size=(25, 3)), rng.integers(0, 3, 25).astype(np.int32)
    labels[20] = -1
    players, points = np.arange(25) < 15, (np.arange(25) >= 10) & (labels >= 0)
    want = np.zeros(25)
    for i in np.flatnonzero(points):
        rest = np.flatnonzero(players & (np.arange(25) != i))
        want[rest] += knn_shapley(X[rest], labels[rest], X[[i]], labels[[i]], 4)
    want /= points.sum()
    truncated = truncated_values(nearest(X, 24), labels, players, points, 4)
    exact = KnnShapley(k=4)._all_ranks(X.astype(np.float32), labels, players, points)
    assert np.allclose(truncated[:15], want[:15], atol=1e-9)
    assert np.allclose(exact[:15], want[:15], atol=1e-6)
    assert np.isnan(truncated[15:]).all()
    assert np.isnan(exact[15:]).all()


def test_truncated_values_keep_their_bound_and_do_better_than_it() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    labels = (X[:, 0] > 0).astype(np.int32)
    everyone = np.ones(300, bool)
    exact = truncated_values(nearest(X, 299), labels, everyone, everyone, 5)
    short = truncated_values(nearest(X, 10), labels, everyone, everyone, 5)
    assert np.abs(exact - short).max() <= 1 / 10
    assert np.corrcoef(exact, short)[0, 1] > 0.7
    near = nearest(X, 5)  # the values add up to the worth of all rows: what a 5-NN classifier gets right
    assert exact.sum() == pytest.approx((labels[near] == labels[:, None]).mean())


@pytest.mark.parametrize("exact", [True, False])
def test_a_rare_class_of_its_own_is_not_harmful(exact: bool) -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(600) < 30).astype(np.int32)
    X = rng.normal(size=(600, 4)) + 8 * labels[:, None] * np.array([1, 0, 0, 0])
    everyone = np.ones(600, bool)
    values = truncated_values(nearest(X, 599 if exact else 10), labels, everyone, everyone)
    assert (values[:30] > 0).all()
    assert (values[30:] > 0).mean() > 0.95


def test_blocks_and_threads_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(200, 4)), rng.integers(0, 3, 200)
    points, wanted = rng.normal(size=(64, 4)), rng.integers(0, 3, 64)
    once = knn_shapley(X, labels, points, wanted)
    near, everyone = nearest(X, 10), np.ones(200, bool)
    truncated = truncated_values(near, labels.astype(np.int32), everyone, everyone)
    monkeypatch.setattr(module, "BLOCK_PAIRS", 200 * 7)
    monkeypatch.setattr(module, "BLOCK_POINTS", 33)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert np.allclose(once, knn_shapley(X, labels, points, wanted), atol=1e-12)
    assert np.allclose(truncated, truncated_values(near, labels.astype(np.int32), everyone, everyone), atol=1e-12)


@pytest.mark.parametrize("exact", [True, False])
def test_harmful_rows_are_the_mislabelled_ones(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT_PAIRS", module.EXACT_PAIRS if exact else 0)
    planted = digits(flipped=0.2, seed=1)
    found = KnnShapley().run(planted.data, Signals(planted.data))
    assert isinstance(found, Findings)
    assert found.summary["exact"] is exact
    wrong = np.isin(np.arange(len(planted.data)), planted.rows)
    assert roc_auc_score(wrong, found.dense(len(wrong))) > 0.98
    flagged = found.rows[found.scores >= 0.5]
    assert np.isin(flagged, planted.rows).mean() > 0.9
    assert np.isin(planted.rows, flagged).mean() > (0.9 if exact else 0.7)


def test_labels_are_read_from_the_data_and_not_from_a_signal() -> None:
    planted = blobs(200, flipped=0.0, seed=3)
    signals = Signals(planted.data)
    clean = KnnShapley().run(planted.data, signals)
    labels = planted.data.table.column("label").to_pylist()
    labels[7] = next(c for c in planted.data.classes if c != labels[7])
    changed = planted.data.with_column("label", pa.array(labels))
    dirty = KnnShapley().run(changed, signals.derive(changed))
    assert isinstance(clean, Findings)
    assert isinstance(dirty, Findings)
    assert clean.scores[7] < 0.5 <= dirty.scores[7]


def test_only_training_rows_are_valued() -> None:
    planted = blobs(120, seed=2)
    split = pa.array(["train" if i % 3 else "test" for i in range(120)])
    data = Dataset(planted.data.table.append_column("part", split), {**planted.data.roles, Role.SPLIT: ["part"]})
    found = KnnShapley().run(data, Signals(data))
    assert isinstance(found, Findings)
    assert (found.rows % 3 != 0).all()
    assert len(found) == 80


def test_one_class_is_nothing_to_value() -> None:
    data = blobs(30, k=1, flipped=0.0).data
    assert isinstance(KnnShapley().run(data, Signals(data)), NotApplicable)


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(DrossError, match="do not fit together"):
        knn_shapley(np.zeros((3, 2)), [0, 1], np.zeros((1, 2)), [0])
    with pytest.raises(DrossError, match="NaN"):
        knn_shapley([[np.nan]], [0], [[0.0]], [0])


def test_contract() -> None:
    check_method(KnnShapley)
