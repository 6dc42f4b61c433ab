"""The main directions of a matrix by randomised subspace iteration."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]


def main_directions(X: Any, d: int, *, seed: int = 0, rounds: int = 2, more: int = 16) -> tuple[Matrix, Matrix]:
    """The first ``d`` right singular vectors of a matrix, dense or sparse, and their singular values.

    Halko, Martinsson, Tropp, "Finding Structure with Randomness", 2011, algorithms 4.4 and 5.1: ``rounds`` power
    iterations on ``d + more`` random vectors. Each vector's largest entry is positive, so the answer does not depend
    on chance signs. Time O(size of X · d).

    Returns the vectors as columns, shape (m, r), and the values, shape (r,), descending, both float32; r is d, or the
    rank where that is less.

    >>> X = np.outer([1.0, 2.0, 2.0], [0.6, 0.8]).astype(np.float32)
    >>> V, s = main_directions(X, 2); bool(np.allclose(V[:, 0], [0.6, 0.8])), V.shape, s.round(3).tolist()
    (True, (2, 1), [3.0])
    """
    n, m = X.shape
    if min(n, m) == 0 or d < 1:
        return np.zeros((m, 0), np.float32), np.zeros(0, np.float32)
    Q = np.random.default_rng(seed).standard_normal((m, min(d + more, m)), np.float32)
    across = X.T if isinstance(X, np.ndarray) else X.T.tocsr()
    for _ in range(rounds):
        Q = orthonormal(across @ orthonormal(X @ Q))
    Q = orthonormal(Q)
    image = X @ Q
    squares, turn = np.linalg.eigh((image.T @ image).astype(np.float64))
    order = np.argsort(-squares, kind="stable")[:d]
    order = order[squares[order] > 1e-6 * max(squares.max(initial=0.0), 1e-300)]
    V = Q @ turn[:, order].astype(np.float32)
    peaks = V[np.abs(V).argmax(axis=0), np.arange(V.shape[1])]
    return V * np.sign(peaks), np.sqrt(squares[order]).astype(np.float32)


def orthonormal(Y: Matrix) -> Matrix:
    """Columns that span what those of ``Y`` span, orthonormal, but for directions 1,000 times weaker.

    >>> orthonormal(np.array([[2.0, 4.0], [0.0, 0.0]], np.float32)).round(3).tolist()
    [[1.0], [0.0]]
    """
    scale = max(float(np.abs(Y).max(initial=0.0)), 1e-30)
    Y = Y / np.float32(scale)
    squares, turn = np.linalg.eigh((Y.T @ Y).astype(np.float64))
    strong = squares > 1e-6 * max(squares.max(initial=0.0), 1e-300)
    span: Matrix = Y @ (turn[:, strong] / np.sqrt(squares[strong])).astype(np.float32)
    return span
