"""Facility location: rows that stand for all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Rows, Selection
from dross.core.signal import Signals
from dross.models.facility_location import facility_location
from dross.signals.embedding import Embedding
from dross.signals.neighbours import nearest_of


def represented(X: npt.NDArray[np.float32], rows: Rows) -> npt.NDArray[np.float32]:
    """How many rows each chosen row is the nearest chosen one of, shape (k,), float32. O(n k d).

    >>> represented(np.array([[0.0], [1.0], [9.0]], np.float32), np.array([0, 2])).tolist()
    [2.0, 1.0]
    """
    if not len(rows):
        return np.empty(0, np.float32)
    nearest = nearest_of(X, X[rows], 1).indices[:, 0]
    return np.bincount(nearest, minlength=len(rows)).astype(np.float32)


@dataclass(frozen=True)
class FacilityLocation(Selector):
    """Rows that represent the data: greedily those that bring all rows nearest to a chosen one.

    Nemhauser, Wolsey, Fisher, "An analysis of approximations for maximizing submodular set functions", 1978; lazily
    as by Minoux, 1978. The sum of what the rows gain in nearness, by squared distance of the embeddings, is at least
    1 - 1/e of what the best choice of as many rows would reach. Each chosen row weighs as many rows as it stands for,
    which makes the choice a coreset. The first part of the order is the choice for a smaller count.

    Exact up to ``sample`` rows; beyond, nearness is measured on that many random rows while all are candidates. Time
    O(n sample d), memory O(n) over the embedding: the matrix of all pairs is never held.

    Attributes
    ----------
    count
        How many rows to take; all where there are fewer.
    sample
        Rows on which nearness is measured; 0: all of them.
    seed
        Of the sample.
    """

    paper: ClassVar = Paper("An analysis of approximations for maximizing submodular set functions", 1978, "")
    needs: ClassVar = (Embedding,)

    count: int = 100
    sample: int = 20_000
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Take rows, the most central one first; weights are the numbers of rows that each stands for."""
        if self.sample < 0:
            raise DrossError(f"sample is {self.sample}", fix="give a number of rows, or 0 for all")
        X = np.asarray(signals[Embedding()], np.float32)
        measured = None
        if 0 < self.sample < len(X):
            measured = np.sort(np.random.default_rng(self.seed).choice(len(X), self.sample, replace=False))
        found = facility_location(X, self.count, measured, signals.progress)
        loss = found.loss / max(1, len(X) if measured is None else len(measured))
        summary = {
            "candidates": len(X),
            "measured_on": len(X) if measured is None else len(measured),
            "mean_squared_distance": float(loss[-1]) if len(loss) else None,
            "mean_squared_distance_of_the_first": float(loss[0]) if len(loss) else None,
        }
        return Selection(found.rows, represented(X, found.rows), summary)
