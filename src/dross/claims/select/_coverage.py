"""What the claims about coverage share: all distances of a small problem."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dross.testing.images import Pixels, digit_pixels

Values = npt.NDArray[np.float64]


def distances(X: npt.NDArray[Any]) -> Values:
    """All squared distances, shape (n, n): for small problems only.

    >>> distances(np.array([[0.0], [3.0]])).tolist()
    [[0.0, 9.0], [9.0, 0.0]]
    """
    Z = X.astype(np.float64)
    norms = np.square(Z).sum(axis=1)
    return np.asarray(np.maximum(norms[:, None] + norms[None] - 2 * Z @ Z.T, 0))


def radius(D: Values, rows: npt.NDArray[np.int64]) -> float:
    """How far the farthest row is from the nearest of some.

    >>> radius(np.array([[0.0, 9.0], [9.0, 0.0]]), np.array([0]))
    3.0
    """
    return float(np.sqrt(D[:, rows].min(axis=1).max()))


def loss(D: Values, rows: npt.NDArray[np.int64]) -> float:
    """The sum of squared distances to the nearest of some rows.

    >>> loss(np.array([[0.0, 9.0], [9.0, 0.0]]), np.array([1]))
    9.0
    """
    return float(D[:, rows].min(axis=1).sum())


def on_the_sphere(rng: np.random.Generator, n: int, d: int) -> Pixels:
    """Random directions, shape (n, d), float32."""
    X = rng.standard_normal((n, d))
    return np.asarray(X / np.linalg.norm(X, axis=1, keepdims=True), np.float32)


def some_digits(rng: np.random.Generator, n: int) -> Pixels:
    """Digits of unit length, shape (n, 64)."""
    X, _ = digit_pixels()
    some = X[rng.permutation(len(X))[:n]]
    return np.asarray(some / np.linalg.norm(some, axis=1, keepdims=True), np.float32)
