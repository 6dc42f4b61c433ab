"""K-center: exact against the plain algorithm, its order, ties, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Selection
from dross.core.signal import Signals
from dross.models.farthest_first import central, farthest_first
from dross.models.lazy_greedy import heap_of
from dross.select.k_center import KCenter
from dross.testing import check_method
from dross.testing.planted import blobs, table_dataset


def test_contract() -> None:
    check_method(KCenter)


def plain(X: np.ndarray, count: int, first: int) -> tuple[list[int], list[float]]:
    """Every row compared with every centre, in whole numbers."""
    away, taken, radii = np.square(X - X[first]).sum(axis=1), [first], []
    free = np.ones(len(X), bool)
    free[first] = False
    while True:
        radii.append(float(np.sqrt(away[free].max(initial=0))))
        if len(taken) == min(count, len(X)):
            return taken, radii
        taken.append(int(np.where(free, away, -1).argmax()))
        free[taken[-1]] = False
        away = np.minimum(away, np.square(X - X[taken[-1]]).sum(axis=1))


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(1, 130), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_it_is_the_plain_algorithm_ties_and_copies_included(n: int, d: int, count: int, seed: int) -> None:
    """Few distinct whole numbers: all sums are exact, and many distances are equal."""
    X = np.random.default_rng(seed).integers(-2, 3, (n, d)).astype(np.float32)
    found = farthest_first(X, count, first=seed % n)
    taken, radii = plain(X, count, seed % n)
    assert found.rows.tolist() == taken
    assert np.allclose(found.radii, radii, rtol=1e-6)


def test_the_heap_has_the_largest_on_top_and_the_first_of_equal_ones() -> None:
    assert heap_of(np.array([1.0, 5.0, 2.0, 5.0]))[0] == 1


def test_the_choice_for_a_smaller_count_comes_first() -> None:
    data = blobs(200, seed=3).data
    few, many = (KCenter(count=count).run(data, Signals(data)) for count in (10, 40))
    assert isinstance(few, Selection)
    assert isinstance(many, Selection)
    assert many.rows[:10].tolist() == few.rows.tolist()
    assert many.summary["radius"] < few.summary["radius"] < few.summary["radius_of_the_first"]


def test_the_order_of_the_rows_does_not_matter() -> None:
    X = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
    order = np.random.default_rng(1).permutation(300)
    assert (
        farthest_first(X, 30, first=4).rows.tolist()
        == order[farthest_first(X[order], 30, first=int(np.flatnonzero(order == 4)[0])).rows].tolist()
    )
    assert order[central(X[order])] == central(X)


def test_bad_input() -> None:
    X = np.ones((4, 2), np.float32)
    X[2, 1] = np.nan
    with pytest.raises(DrossError, match="not numbers") as told:
        farthest_first(X, 2)
    assert told.value.where == "row 2"
    with pytest.raises(DrossError, match="number of rows"):
        farthest_first(X[:2], 0)
    with pytest.raises(DrossError, match="no row 7"):
        farthest_first(X[:2], 1, first=7)
    empty: Dataset = table_dataset(np.zeros((0, 2)), np.array([], "U1"))
    assert len(farthest_first(empty.matrix(next(iter(empty.roles))), 3).rows) == 0
