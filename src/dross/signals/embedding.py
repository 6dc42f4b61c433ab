"""Embedding: one vector per row in which near means similar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Embedding(Signal[Vectors]):
    """One vector per row, shape (n, d), float32; Euclidean distance between them is the dissimilarity of the rows.

    Text, image and given embeddings have unit length, so Euclidean order is cosine order.
    """

    reads: ClassVar[tuple[Role, ...]] = CONTENT

    def given(self, data: Dataset) -> Vectors | None:
        """The user's own embedding, scaled to unit length."""
        if not data.has(Role.EMBEDDING):
            return None
        vectors = data.matrix(Role.EMBEDDING)
        unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return unit

    def compute(self, data: Dataset, signals: Signals) -> Vectors:
        """Scale numeric columns (text, images and categories: under construction)."""
        if not data.has(Role.FEATURES):
            raise DrossError("nothing to embed: no text, image, feature or embedding column")
        X = np.column_stack([data.numbers(name) for name in data.roles[Role.FEATURES]])
        scaled: Vectors = ((X - X.mean(0)) / np.maximum(X.std(0), 1e-12)).astype(np.float32)
        return scaled
