"""Neighbours: the nearest rows of each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals
from dross.signals.embedding import Embedding


@dataclass(frozen=True)
class Neighbourhood:
    """The k nearest other rows of each row, nearest first.

    Attributes
    ----------
    indices
        Row positions, shape (n, k), int32; -1 where there are fewer than k other rows.
    distances
        Euclidean distances between embeddings, shape (n, k), float32, ascending; inf where the index is -1.
    recall
        Share of the true neighbours that were found, measured on a sample; 1.0 for the exact search.
    """

    indices: npt.NDArray[np.int32]
    distances: npt.NDArray[np.float32]
    recall: float = 1.0


@dataclass(frozen=True)
class Neighbours(Signal[Neighbourhood]):
    """The k nearest other rows of each row in the embedding (the row itself is not among them)."""

    k: int = 10
    reads: ClassVar[tuple[Role, ...]] = CONTENT
    value: ClassVar[type] = Neighbourhood

    def compute(self, data: Dataset, signals: Signals) -> Neighbourhood:
        """Search exactly (chunking and approximation: under construction)."""
        from sklearn.neighbors import NearestNeighbors

        X = signals[Embedding()]
        k = min(self.k, len(X) - 1)
        distances, indices = NearestNeighbors(n_neighbors=k).fit(X).kneighbors()
        return Neighbourhood(indices.astype(np.int32), distances.astype(np.float32))
