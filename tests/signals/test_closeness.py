from __future__ import annotations

import numpy as np
import pytest

from dross.signals.closeness import close_pairs, critical_distances, dimensions
from dross.signals.neighbours import Neighbourhood, nearest_rows

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(10, 12)) * 6
OF = RNG.integers(0, 10, 1500)
CLEAN = {
    "uniform in a square": RNG.random((1500, 2)),
    "normal in 8 dimensions": RNG.normal(size=(1500, 8)),
    "normal in 100 dimensions": RNG.normal(size=(1500, 100)),
    "clusters from tight to wide": CENTRES[OF] + RNG.normal(size=(1500, 12)) * (0.01 * 2.0**OF)[:, None],
    "heavy tails": RNG.standard_t(2, (1500, 6)),
}


def unequal(X):
    return np.arange(len(X), dtype=np.uint64)


@pytest.mark.parametrize("name", CLEAN)
def test_without_copies_next_to_nothing_is_close(name):
    X = CLEAN[name].astype(np.float32)
    assert len(close_pairs(nearest_rows(X, 10), unequal(X))) <= 2


@pytest.mark.parametrize("name", [n for n in CLEAN if "square" not in n])
def test_copies_moved_a_little_are_close_whatever_the_shape(name):
    X = CLEAN[name].astype(np.float32)
    near = nearest_rows(X, 10)
    rows = np.arange(0, 1500, 15)
    step = RNG.normal(size=(100, X.shape[1]))
    step *= (0.02 * near.distances[rows, 0] / np.linalg.norm(step, axis=1))[:, None]
    both = np.concatenate([X, X[rows] + step.astype(np.float32)])
    found = close_pairs(nearest_rows(both, 10), unequal(both))
    right = {(r, 1500 + i) for i, r in enumerate(rows)}
    got = set(zip(found.earlier.tolist(), found.later.tolist(), strict=True))
    assert len(got & right) >= 90
    assert len(got - right) <= 4
    assert found.similarity.min() >= 0.5


@pytest.mark.parametrize("m", [1, 3, 8])
def test_the_dimension_is_that_of_the_data_not_of_the_space(m):
    flat = RNG.random((3000, m)) @ RNG.normal(size=(m, 20))
    assert np.median(dimensions(nearest_rows(flat.astype(np.float32), 10))) == pytest.approx(m, rel=0.25)


def test_scale_does_not_matter_and_equal_hashes_are_left_out():
    X = RNG.normal(size=(300, 6)).astype(np.float32)
    X = np.concatenate([X, X[:5] + 1e-4])
    small, large = (close_pairs(nearest_rows(X * scale, 10), unequal(X)) for scale in (0.001, 1000.0))
    assert np.array_equal(small.later, large.later)
    assert len(small) == 5
    hashes = unequal(X)
    hashes[300:] = hashes[:5]
    assert len(close_pairs(nearest_rows(X, 10), hashes)) == 0


def test_of_places_full_of_copies_and_of_few_rows_nothing_is_said():
    X = np.concatenate([np.zeros((40, 3)), RNG.normal(size=(200, 3)) + 5]).astype(np.float32)
    assert not (close_pairs(nearest_rows(X, 10), unequal(X)).later < 40).any()
    constant = np.ones((50, 3), np.float32)
    assert len(close_pairs(nearest_rows(constant, 10), unequal(constant))) == 0
    for n in range(6):
        few = RNG.normal(size=(n, 3)).astype(np.float32)
        assert len(close_pairs(nearest_rows(few, 10), unequal(few))) == 0
    none = Neighbourhood(np.empty((0, 10), np.int32), np.empty((0, 10), np.float32))
    assert len(critical_distances(none)) == 0
