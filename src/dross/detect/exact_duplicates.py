"""Exact duplicates: rows with the same content after normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.signal import Signals
from dross.signals.content_hash import ContentHash, first_of_each


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
