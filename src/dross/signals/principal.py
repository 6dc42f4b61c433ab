"""Principal: the embedding turned onto its main directions, for methods whose work grows with its length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals
from dross.signals.embedding import Embedding

Matrix = npt.NDArray[np.float32]

DIMENSIONS = 128
"""Embeddings that are no longer than this are only centred."""
SAMPLE = 10_000
"""Rows from which the directions are taken."""


@dataclass(frozen=True)
class Principal(Signal[Matrix]):
    """The embedding centred and turned onto its first 128 principal directions, shape (n, at most 128), float32.

    Time O(n d) for an embedding of d dimensions, and d³ once.
    """

    reads: ClassVar[tuple[Role, ...]] = CONTENT

    def compute(self, data: Dataset, signals: Signals) -> Matrix:
        """Take the directions from a sample and turn every row."""
        return principal(signals[Embedding()])


def principal(X: Matrix) -> Matrix:
    """The rows centred, and turned onto their principal directions where there are more than ``DIMENSIONS``.

    >>> principal(np.array([[1.0, 2.0], [3.0, 6.0]], np.float32)).tolist()
    [[-1.0, -2.0], [1.0, 2.0]]
    """
    middle = X.mean(axis=0, dtype=np.float64).astype(np.float32)
    if X.shape[1] <= DIMENSIONS:
        return np.asarray(X - middle, np.float32)
    some = X[:: -(-len(X) // SAMPLE)] - middle
    _, axes = np.linalg.eigh(some.T @ some)
    main = axes[:, -DIMENSIONS:]
    turned: Matrix = X @ main - middle @ main
    return turned
