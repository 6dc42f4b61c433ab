from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.core.errors import DrossError
from dross.models.votes import Votes, from_matrix, from_probs, from_sparse, harden, majority, patterns, take


@given(st.integers(0, 200), st.integers(1, 40), st.integers(1, 5), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_votes_come_back_from_every_form(seed: int, n: int, m: int, k: int) -> None:
    from scipy.sparse import csr_array

    matrix = np.random.default_rng(seed).integers(-1, k, (n, m))
    listed, thin = from_matrix(matrix, k), from_sparse(csr_array(matrix + 1), k)
    back = np.full((n, m), -1)
    back[listed.rows, listed.annotators] = listed.labels
    assert np.array_equal(back, matrix)
    assert np.array_equal(listed.labels, thin.labels)
    assert np.array_equal(listed.starts, thin.starts)
    soft = np.full((n, m, k), np.nan)
    known = matrix >= 0
    soft[known] = np.eye(k)[matrix[known]]
    assert np.array_equal(harden(from_probs(soft)).labels, listed.labels)
    assert np.allclose(majority(from_probs(soft)), majority(listed))


@given(st.integers(0, 200), st.integers(2, 60), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_patterns_are_the_distinct_rows(seed: int, n: int, m: int) -> None:
    matrix = np.random.default_rng(seed).integers(-1, 2, (n, m))
    found = patterns(from_matrix(matrix, 2), worth=1.0)
    assert found is not None
    few, place = found
    unique, times = np.unique(matrix, axis=0, return_counts=True)
    assert len(few) == len(unique)
    assert sorted(few.times) == sorted(times)
    again = take(Votes(few.starts, few.annotators, few.labels, few.names, few.classes), place)
    assert np.array_equal(again.labels, from_matrix(matrix, 2).labels)


def test_bad_votes_are_refused() -> None:
    with pytest.raises(DrossError, match="run from 0 to 2"):
        from_matrix(np.array([[0, 2]]), 2)
    with pytest.raises(DrossError, match="whole numbers"):
        from_matrix(np.array([[0.5]]), 2)
    with pytest.raises(DrossError, match="add up to 1"):
        from_probs(np.array([[[0.5, 0.4]]]))
