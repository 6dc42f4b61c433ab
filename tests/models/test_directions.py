from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from dross.models.directions import main_directions, orthonormal


@pytest.mark.parametrize("sparse", [False, True])
def test_directions_are_those_of_the_full_decomposition(sparse: bool) -> None:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(60, 40)) * 0.7 ** np.arange(40)).astype(np.float32)
    V, values = main_directions(csr_matrix(X) if sparse else X, 5, rounds=4)
    _, expected, axes = np.linalg.svd(X)
    assert np.allclose(values, expected[:5], rtol=1e-3)
    assert np.allclose(np.abs(np.diag(V.T @ axes[:5].T)), 1, atol=1e-2)
    assert np.allclose(V.T @ V, np.eye(5), atol=1e-4)
    assert (V[np.abs(V).argmax(axis=0), np.arange(5)] > 0).all()


def test_few_rows_low_rank_and_nothing() -> None:
    one = np.ones((4, 3), np.float32)
    assert main_directions(one, 3)[0].shape == (3, 1)
    assert main_directions(np.zeros((4, 3), np.float32), 2)[0].shape == (3, 0)
    assert main_directions(np.zeros((0, 3), np.float32), 2)[0].shape == (3, 0)
    Q = orthonormal(np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32))
    assert np.allclose(Q.T @ Q, np.eye(4), atol=1e-5)
