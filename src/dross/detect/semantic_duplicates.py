"""Semantic duplicates: rows whose embedding all but coincides with that of an earlier row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.signal import Signals
from dross.signals.closeness import dimensions
from dross.signals.neighbours import Neighbours
from dross.signals.pairs import best_twins, groups, suspicion
from dross.signals.semantic_pairs import SemanticPairs


@dataclass(frozen=True)
class SemanticDuplicates(Detector):
    """Rows that lie nearer to an earlier row in the embedding than chance allows.

    How near that is follows from the data: around each row, the distances to its neighbours give the density and the
    intrinsic dimension (Levina and Bickel, 2004), and under a locally uniform density a pair must be so close that 0.05
    such pairs are expected in the whole dataset, and at most half as far as the tenth neighbour. A tight cluster is no
    reason, nor are a few dimensions, where small distances are common. The score falls from 1 at distance 0 to 0.5 at
    that bound. Rows with equal content are left to exact duplicates; of more than ten rows at one place nothing is
    said.
    """

    finds: ClassVar[Issue] = Issue.SEMANTIC_DUPLICATE
    needs: ClassVar = (Neighbours, SemanticPairs)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Name the nearest earlier row of every row that is too near to one."""
        if not data.content:
            return NotApplicable("no column holds content: no text, image, feature or embedding")
        if len(data) <= Neighbours().k:
            return NotApplicable(f"{len(data)} rows are too few to tell a copy from a neighbour")
        near = signals[Neighbours()]
        if not (near.distances[:, -1] > 0).any():
            return NotApplicable("all rows lie at one place in the embedding")
        pairs = signals[SemanticPairs()]
        rows, twins, similarity = best_twins(pairs)
        distance = _distance(near.indices[rows], near.distances[rows], twins)
        other = _distance(near.indices[twins], near.distances[twins], rows)
        return Findings(
            Issue.SEMANTIC_DUPLICATE,
            rows,
            suspicion(similarity, pairs.near),
            suggestion=twins,
            evidence={"twin": twins, "distance": np.fmin(distance, other)},
            summary={
                "groups": len(np.unique(groups(len(data), pairs)[rows])),
                "copies": len(rows),
                "median distance to the nearest": float(np.median(near.distances[:, 0])),
                "median intrinsic dimension": float(np.median(dimensions(near))),
            },
        )


def _distance(indices: npt.NDArray[Any], distances: npt.NDArray[Any], to: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The distance to one row among each row's neighbours; NaN where it is not among them."""
    at = indices == to[:, None]
    found = np.take_along_axis(distances, at.argmax(1)[:, None], axis=1)[:, 0]
    return np.where(at.any(1), found, np.nan).astype(np.float32)
