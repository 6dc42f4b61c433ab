"""Kernel ridge regression on landmarks: a smooth non-linear model with all its out-of-fold fits from one pass."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.models.classifiers import FEW_CELLS, one_thread
from dross.models.learner import Codes, Learner, Matrix, Scorer, Scores, Target

Array = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]
LANDMARKS = 1000
BATCH = 4096


class KernelRidge(Learner):
    """Ridge regression of the target on a Gaussian kernel's Nyström features.

    Williams, Seeger, "Using the Nyström Method to Speed Up Kernel Machines", 2001. The kernel's width is the median
    distance between landmarks. The sums that a fit needs are kept per fold, so leaving one out subtracts its sums, and
    every strength of the penalty is one more solution of a small system. O(n d m + n m²) for m = 1,000 landmarks, and
    O(m³) per fold and strength. The first rows are the landmarks: give the rows in random order.
    """

    name: ClassVar[str] = "kernel ridge"
    strengths: ClassVar[tuple[float, ...]] = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

    def __init__(self, X: Matrix, target: Target, fold: Codes) -> None:
        super().__init__(np.ascontiguousarray(X, np.float32), target, fold)
        self.landmarks = self.X[:LANDMARKS]
        self.gamma = width(self.landmarks)
        with one_thread(True):
            self.whitening = whitening(gaussian(self.landmarks, self.landmarks, self.gamma))
        self.offset = np.asarray(target.matrix.mean(axis=0), np.float32).ravel()

    @classmethod
    def most_rows(cls, sample: Matrix, width: int) -> int:
        """50,000: the pass takes a few seconds."""
        return 50_000

    @functools.cached_property
    def sums(self) -> tuple[Array64, Array64, Array64]:
        """Per fold: the features' second moments (f, m, m), their sum times the target (f, m, k), their sum (f, m)."""
        count, m = int(self.fold.max(initial=0)) + 1, self.whitening.shape[1]
        squares, products = np.zeros((count, m, m)), np.zeros((count, m, self.target.width))
        totals = np.zeros((count, m))
        with one_thread(self.X.size < FEW_CELLS):
            for f in range(count):
                rows = np.flatnonzero(self.fold == f)
                for start in range(0, len(rows), BATCH):
                    some = rows[start : start + BATCH]
                    Z = gaussian(self.X[some], self.landmarks, self.gamma) @ self.whitening
                    squares[f] += Z.T @ Z
                    products[f] += (self.target.matrix[some].T @ Z).T
                    totals[f] += Z.sum(axis=0)
        return squares, products, totals

    def without(self, fold: int, strength: float) -> Scorer:
        """Solve for the weights without one fold; scores are deviations from the mean target, which is added."""
        from scipy.linalg import cho_factor, cho_solve

        kept = np.arange(len(self.sums[0])) != fold
        squares, products, total = (each[kept].sum(axis=0) for each in self.sums)
        system = squares + strength * np.eye(len(squares))
        with one_thread(True):
            solved = cho_solve(cho_factor(system, lower=True), products - total[:, None] * self.offset)
        weights = self.whitening @ solved.astype(np.float32)

        def score(X: Matrix) -> Scores:
            with one_thread(X.size < FEW_CELLS):
                parts = [
                    gaussian(np.asarray(X[i : i + BATCH], np.float32), self.landmarks, self.gamma) @ weights
                    for i in range(0, len(X), BATCH)
                ]
            return np.concatenate(parts) + self.offset if parts else np.zeros((0, len(self.offset)), np.float32)

        return score


def gaussian(X: Array, L: Array, gamma: float) -> Array:
    """``exp(-gamma |x - l|²)`` for every row and landmark, shape (n, m), float32.

    >>> gaussian(np.array([[0.0], [1.0]], np.float32), np.array([[0.0]], np.float32), 1.0).round(3).tolist()
    [[1.0], [0.368...]]
    """
    K = X @ (np.float32(-2) * L.T)
    K += np.square(L).sum(axis=1)
    K += np.square(X).sum(axis=1)[:, None]
    np.maximum(K, 0, out=K)
    K *= np.float32(-gamma)
    return np.exp(K, out=K)


def width(L: Array) -> float:
    """One over the median squared distance between the first 500 landmarks; 1 where they are all equal.

    >>> width(np.array([[0.0], [2.0]], np.float32))
    0.25
    """
    some = L[:500]
    squares = np.square(some).sum(axis=1)
    apart = (squares[:, None] + squares - 2 * some @ some.T)[np.triu_indices(len(some), 1)]
    apart = apart[apart > 1e-6 * max(float(squares.max(initial=0.0)), 1e-30)]
    return 1.0 / float(np.median(apart)) if len(apart) else 1.0


def whitening(K: Array) -> Array:
    """What turns kernel values into features whose inner products approximate the kernel, shape (m, r), r ≤ m.

    >>> whitening(np.eye(2, dtype=np.float32)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    values, axes = np.linalg.eigh(K.astype(np.float64))
    strong = values > 1e-4
    root: Any = axes[:, strong] / np.sqrt(values[strong])
    return np.asarray(root, np.float32)
