"""Model: what training returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.results import Edits

Matrix = npt.NDArray[np.float32]


class Model(ABC):
    """A trained model: it answers for the rows of any dataset that has the columns it learnt from.

    Attributes
    ----------
    classes
        The k answers it can give, plain values; empty where it predicts a number.
    summary
        How it was trained and how that went; plain JSON values.
    edits
        What it learnt about wrong labels of its training rows, as edits; None where it judges none.
    """

    classes: list[Any]
    summary: Mapping[str, Any]
    edits: Edits | None = None

    @abstractmethod
    def predict_proba(self, data: Dataset) -> Matrix:
        """The chance of each class on each row, shape (n, k), float32; for a number its prediction, shape (n, 1)."""

    @abstractmethod
    def embed(self, data: Dataset) -> Matrix:
        """The vector of each row before the last layer, shape (n, d), float32."""

    @abstractmethod
    def save(self, path: str | Path) -> None:
        """Write it to a new folder, without pickle."""
