from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals import neighbours
from dross.signals.neighbours import Neighbours, nearest_of, nearest_rows
from dross.testing.planted import table_dataset


def brute(queries, X, k, *, own):
    distances = np.linalg.norm(queries[:, None].astype(np.float64) - X[None].astype(np.float64), axis=2)
    if own:
        np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, :k]


def clusters(n, d=16, k=30, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(k, d))[rng.integers(0, k, n)] * 3 + rng.normal(size=(n, d))).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60), st.integers(1, 6), st.integers(1, 12), st.integers(0, 5))
def test_all_pairs_equal_brute_force(n, d, k, seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(-3, 4, (n, d)).astype(np.float32)  # many ties and copies
    found = nearest_rows(X, k)
    assert found.indices.shape == found.distances.shape == (n, k)
    truth = brute(X, X, k, own=True)
    here = min(k, max(n - 1, 0))
    assert np.allclose(found.distances[:, :here], truth[:, :here], atol=1e-5)
    assert (found.indices[:, :here] >= 0).all()
    assert not (found.indices == np.arange(n)[:, None]).any()
    assert (found.indices[:, here:] == -1).all()
    assert np.isinf(found.distances[:, here:]).all()
    for i, row in enumerate(found.indices[:, :here]):
        assert len(set(row)) == here
        assert np.allclose(np.linalg.norm(X[row] - X[i], axis=1), found.distances[i, :here], atol=1e-5)


def test_more_rows_than_one_block():
    X = clusters(2500, d=8)
    found = nearest_rows(X, 5)
    rows = np.arange(0, 2500, 50)
    truth = np.sort(np.linalg.norm(X[rows, None].astype(np.float64) - X[None], axis=2), axis=1)[:, 1:6]
    assert np.allclose(found.distances[rows], truth, atol=1e-4)


def test_copies_are_at_distance_zero_even_far_from_the_origin():
    X = clusters(400) + 1000
    X = np.concatenate([X, X[:50]])
    found = nearest_rows(X, 3)
    assert (found.distances[:50, 0] == 0).all()
    assert (found.indices[:50, 0] == np.arange(400, 450)).all()
    assert (found.indices[400:, 0] == np.arange(50)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_what_is_not_finite_is_named(value):
    X = clusters(20)
    X[7, 1] = value
    with pytest.raises(DrossError, match="finite"):
        nearest_rows(X, 3)


def test_cells_reach_the_recall_they_report(monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT_WORK", 1e6)
    X = clusters(8000)
    found = nearest_rows(X, 10)
    rows = np.random.default_rng(5).choice(len(X), 300, replace=False)
    truth = np.sort(np.linalg.norm(X[rows, None] - X[None], axis=2), axis=1)[:, 1:11]
    recall = (found.distances[rows] <= truth[:, -1:] * 1.0001).mean()
    assert 0.95 <= found.recall <= 1
    assert recall >= 0.93
    assert abs(recall - found.recall) < 0.04
    assert not (found.indices == np.arange(len(X))[:, None]).any()
    again = nearest_rows(X, 10)
    assert np.array_equal(found.indices, again.indices)
    assert np.array_equal(found.distances, again.distances)


def test_data_without_structure_is_searched_exactly(monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT_WORK", 1e6)
    X = np.random.default_rng(0).normal(size=(3000, 60)).astype(np.float32)
    found = nearest_rows(X, 5)
    assert found.recall == 1.0
    assert np.allclose(
        found.distances[:9], np.sort(np.linalg.norm(X[:9, None] - X[None], axis=2), 1)[:, 1:6], atol=1e-4
    )


def test_beyond_a_size_the_effort_is_bounded_and_the_recall_told(monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT_WORK", 1e6)
    monkeypatch.setattr(neighbours, "EXACT_AT_MOST", 2000)
    X = np.random.default_rng(0).normal(size=(6000, 60)).astype(np.float32)
    found = nearest_rows(X, 5)
    assert 0.1 < found.recall < 0.95
    assert (found.indices >= 0).all()


def test_thousands_of_copies_do_not_fill_a_cell(monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT_WORK", 1e6)
    X = np.concatenate([np.ones((4000, 4), np.float32), clusters(4000, d=4)])
    found = nearest_rows(X, 5)
    assert (found.indices >= 0).all()
    assert (found.distances[:4000] == 0).all()
    assert not (found.indices == np.arange(len(X))[:, None]).any()


def test_new_rows_meet_old_ones_only_and_old_ones_keep_theirs():
    X = clusters(200, d=6)
    added = np.concatenate([X[[3, 8]], X[[3]]])  # two equal new rows
    labels = ["a"] * 200
    signals = Signals(table_dataset(X, labels))
    before = signals[Neighbours(k=4)]
    grown = table_dataset(np.concatenate([X, added]), ["a"] * 203)
    after = signals.derive(grown)[Neighbours(k=4)]
    assert np.array_equal(after.indices[:200], before.indices)
    assert after.indices[200:, 0].tolist() == [3, 8, 3]
    assert (after.distances[200:, 0] < 1e-6).all()
    assert after.indices.max() < 200


def test_nearest_of_equals_brute_force_over_several_chunks():
    rng = np.random.default_rng(0)
    X, queries = (rng.normal(size=(n, 5)).astype(np.float32) for n in (5000, 40))
    found = nearest_of(queries, X, 7)
    assert np.allclose(found.distances, brute(queries, X, 7, own=False), atol=1e-4)
    assert nearest_of(queries[:0], X, 7).indices.shape == (0, 7)
    assert (nearest_of(queries, X[:0], 7).indices == -1).all()


def test_the_signal_goes_to_disk_and_back(tmp_path):
    data = Dataset(
        pa.table({"x": pa.FixedSizeListArray.from_arrays(pa.array(clusters(60).ravel()), 16)}), {Role.EMBEDDING: ["x"]}
    )
    first = Signals(data, tmp_path)[Neighbours()]
    again = Signals(data, tmp_path)[Neighbours()]
    assert np.array_equal(first.indices, again.indices)
    assert again.recall == 1.0
