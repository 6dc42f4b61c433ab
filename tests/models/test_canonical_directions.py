"""Canonical correlation: against the numbers of the generalised eigenvalue problem, and with wrong pairs among them."""

from __future__ import annotations

import numpy as np
import pytest

from dross.models.canonical_directions import canonical_maps


def test_correlations_are_those_of_the_eigenvalue_problem() -> None:
    from scipy.linalg import eigh

    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 4)).astype(np.float32)
    Y = (X[:, :3] @ rng.standard_normal((3, 3)) + rng.standard_normal((400, 3))).astype(np.float32)
    C = np.cov(np.hstack([X, Y]).T.astype(np.float64))
    across, within = np.zeros((7, 7)), np.zeros((7, 7))
    across[:4, 4:], across[4:, :4] = C[:4, 4:], C[4:, :4]
    within[:4, :4], within[4:, 4:] = C[:4, :4], C[4:, 4:]
    values = eigh(across, within, eigvals_only=True)[::-1][:3]
    assert canonical_maps(X, Y, ridge=0.0).correlations == pytest.approx(values, rel=1e-4)


def test_wrong_pairs_leave_the_directions() -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((3000, 3)).astype(np.float32)
    Y = X[:, [1, 2, 0]].copy()
    wrong = np.arange(1200)
    Y[wrong] = Y[np.roll(wrong, 1)]
    maps = canonical_maps(X, Y)
    a, b = maps(X[1200:], Y[1200:])
    assert np.einsum("ij,ij->i", a, b).mean() > 0.95
    assert maps.correlations.max() < 0.7


def test_constant_sides_have_no_direction() -> None:
    a, b = canonical_maps(np.ones((5, 2), np.float32), np.eye(5, dtype=np.float32))(
        np.ones((2, 2), np.float32), np.eye(5, dtype=np.float32)[:2]
    )
    assert np.isfinite(a).all()
    assert a.shape[1] == b.shape[1] == 0
