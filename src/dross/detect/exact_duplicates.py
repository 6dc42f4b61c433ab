"""Exact duplicates: rows with the same content after normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.hashing import Hashes
from dross.core.method import Detector
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.signal import Signals
from dross.signals.content_hash import ContentHash


def first_of_each(hashes: Hashes) -> npt.NDArray[np.int64]:
    """The position of the first row with the same hash, shape (n,); a row's own position when it is the first.

    O(n log n).

    >>> first_of_each(np.array([7, 8, 7, 7], np.uint64)).tolist()
    [0, 1, 0, 0]
    """
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int64)


@dataclass(frozen=True)
class ExactDuplicates(Detector):
    """Rows whose content equals that of an earlier row, up to case, white space and Unicode form in text.

    The first of a group is the one to keep; every later one is a finding that names it as its twin.
    """

    finds: ClassVar[Issue] = Issue.DUPLICATE
    needs: ClassVar = (ContentHash,)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Group rows by the hash of their normalised content."""
        if not data.content:
            return NotApplicable("no column holds content: no text, image, feature or embedding")
        twins = first_of_each(signals[ContentHash()])
        rows = np.flatnonzero(twins != np.arange(len(data)))
        return Findings(
            Issue.DUPLICATE,
            rows,
            np.ones(len(rows), np.float32),
            suggestion=twins[rows],
            evidence={"twin": twins[rows]},
            summary={"groups": len(np.unique(twins[rows])), "copies": len(rows)},
        )
