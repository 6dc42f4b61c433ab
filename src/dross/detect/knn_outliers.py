"""Outliers by the distance to the k-th nearest neighbour, averaged over neighbourhoods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.signal import Signals
from dross.core.statistics import outlier_score, robust_z
from dross.signals.neighbours import Neighbours

Vector = npt.NDArray[np.float64]

HOPS = 2
LEAST_ROWS = 10
_NEAREST = 1e-3  # of the median: distances below are all "very near", and their logarithm says nothing


def kth_distance(distances: npt.NDArray[np.float32]) -> Vector:
    """The distance to the farthest known neighbour of each row, shape (n,) (Ramaswamy et al., 2000).

    ``distances`` has shape (n, k), ascending, inf where there are fewer than k neighbours; 0 for a row without any.

    >>> kth_distance(np.array([[1.0, 2.0], [1.0, np.inf]], np.float32)).tolist()
    [2.0, 1.0]
    """
    known: Vector = np.where(np.isfinite(distances), distances, 0).max(axis=1, initial=0).astype(np.float64)
    return known


def average_over_neighbours(scores: Vector, neighbours: npt.NDArray[np.int32]) -> Vector:
    """The mean score of each row's neighbours, shape (n,); the row's own where it has none.

    >>> average_over_neighbours(np.array([1.0, 2.0, 6.0]), np.array([[1, 2], [0, 2], [0, -1]], np.int32)).tolist()
    [4.0, 3.5, 1.0]
    """
    sums, counts = np.zeros(len(scores)), np.zeros(len(scores))
    for column in neighbours.T:  # a column at a time: no n by k array of scores
        known = column >= 0
        sums += np.where(known, scores[column], 0.0)
        counts += known
    return np.where(counts > 0, sums / np.maximum(counts, 1), scores)


def neighbourhood_distance(neighbours: npt.NDArray[np.int32], distances: npt.NDArray[np.float32]) -> Vector:
    """The k-th neighbour's distance, averaged over the row, its neighbours and theirs, shape (n,); higher is farther.

    The averaging (Yang, Rahardja, Fränti, 2023) gives like rows like scores and lets ten neighbours see as far as
    fifty would. Time and memory O(n k).

    >>> near = np.array([[1], [0], [1]], np.int32)
    >>> neighbourhood_distance(near, np.array([[1.0], [1.0], [7.0]], np.float32)).round(2).tolist()
    [1.0, 1.0, 3.0]
    """
    own = kth_distance(distances)
    total = own.copy()
    for _ in range(HOPS):
        own = average_over_neighbours(own, neighbours)
        total += own
    return total / (HOPS + 1)


@dataclass(frozen=True)
class KnnOutliers(Detector):
    """Rows far from their nearest rows: the k-th neighbour's distance, averaged over neighbourhoods.

    The score is 0.5 where the logarithm of the distance lies 3.5 robust standard deviations above its median (the
    modified z-score of Iglewicz and Hoaglin, 1993). A dense clump of more than k alike rows is not seen.

    Ramaswamy, Rastogi, Shim, "Efficient Algorithms for Mining Outliers from Large Data Sets", 2000 (the distance);
    Yang, Rahardja, Fränti, "Neighborhood Averaging for Improving Outlier Detectors", 2023 (the averaging; two rounds
    with equal weights here).
    """

    paper: ClassVar = Paper("Neighborhood Averaging for Improving Outlier Detectors", 2023, "2303.09972")
    finds: ClassVar[Issue] = Issue.OUTLIER
    needs: ClassVar = (Neighbours,)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Score every row."""
        if not data.content:
            return NotApplicable("no column holds content: no text, image, feature or embedding")
        if len(data) < LEAST_ROWS:
            return NotApplicable(f"fewer than {LEAST_ROWS} rows: nothing is usual yet")
        found = signals[Neighbours()]
        distance = neighbourhood_distance(found.indices, found.distances)
        typical = float(np.median(distance))
        z = robust_z(np.log(np.maximum(distance, max(_NEAREST * typical, 1e-30))))
        scores = outlier_score(z)
        return Findings(
            Issue.OUTLIER,
            np.arange(len(data)),
            scores,
            evidence={"distance": distance.astype(np.float32)},
            summary={"median_distance": typical, "outliers": int((scores >= 0.5).sum())},
        )
