"""K-center: rows such that no row is far from all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dross.core.dataset import Dataset
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.signal import Signals
from dross.models.farthest_first import farthest_first
from dross.signals.embedding import Embedding


@dataclass(frozen=True)
class KCenter(Selector):
    """Rows that cover the data: again and again the one farthest from all that were taken before.

    Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985. No row is farther from the nearest
    chosen one than twice what the best choice of as many rows would reach. The rare and the strange come early, so
    clean the data first, or take :class:`~dross.select.facility_location.FacilityLocation` where typical rows are
    wanted. The first part of the order is the choice for a smaller count.

    The choice is exact; time O(n k d) at worst and a small part of it as a rule, memory O(n + k d) over the embedding.

    Attributes
    ----------
    count
        How many rows to take; all where there are fewer.
    """

    paper: ClassVar = Paper("Clustering to minimize the maximum intercluster distance", 1985, "")
    needs: ClassVar = (Embedding,)

    count: int = 100

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Take rows, the one nearest to the mean first; the summary says how far the farthest row is from them."""
        cover = farthest_first(np.asarray(signals[Embedding()], np.float32), self.count)
        summary = {
            "candidates": len(data),
            "radius": float(cover.radii[-1]) if len(cover.radii) else None,
            "radius_of_the_first": float(cover.radii[0]) if len(cover.radii) else None,
        }
        return Selection(cover.rows, summary=summary)
