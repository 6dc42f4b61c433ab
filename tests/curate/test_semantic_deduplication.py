"""Semantic deduplication: against all pairs, and which row stays."""

from __future__ import annotations

import numpy as np
import pytest

from dross.core.errors import DrossError
from dross.curate.semantic_deduplication import SemanticDeduplication, close_pairs
from dross.models.embedder import cosines, nearest
from dross.testing import check_method


def test_contract() -> None:
    check_method(SemanticDeduplication)


def test_pairs_are_all_pairs() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1500, 6)).astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    one, other, cosine = close_pairs(X, np.arange(1500, dtype=np.uint64), 0.97)
    exact = X.astype(np.float64) @ X.T.astype(np.float64)
    expected = {(i, j) for i, j in zip(*np.nonzero(exact >= 0.97), strict=True) if j < i}
    found = set(zip(one.tolist(), other.tolist(), strict=True))
    assert all(abs(exact[i, j] - 0.97) < 1e-4 for i, j in found ^ expected)
    assert np.allclose(cosine, exact[one.astype(int), other.astype(int)], atol=1e-4)


def test_a_row_does_not_show_its_neighbours() -> None:
    rng = np.random.default_rng(1)
    X, Y = (rng.standard_normal((n, 33)).astype(np.float32) for n in (700, 50))
    whole = cosines(X, Y)
    assert all(np.array_equal(cosines(X[a : a + 13], Y), whole[a : a + 13]) for a in range(0, 650, 13))
    best, which = nearest(X, Y)
    assert np.array_equal(which, whole.round(5).argmax(axis=1))
    assert np.array_equal(best, whole.round(5).max(axis=1))


def test_what_it_refuses() -> None:
    for given in ({"similarity": 0.0}, {"clusters": 0}, {"keep": "best"}):
        with pytest.raises(DrossError):
            SemanticDeduplication(**given)
