"""Near-duplicate images: rows whose picture looks like that of an earlier row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.image_hash import ImageNeighbours, ImagePairs
from dross.signals.pairs import best_twins, groups, suspicion


@dataclass(frozen=True)
class NearDuplicateImages(Detector):
    """Pictures that look like an earlier one: recompressed, resized, brightened, slightly noisy or cropped.

    Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010: the low frequencies of small
    grey pictures are compared. In place of a fixed Hamming distance, two pictures are copies when they are more alike
    than chance allows among the pictures around them (a Poisson bound with the local intrinsic dimension), so that
    datasets in which all pictures look alike are not flagged as a whole. The score falls from 1 for equal frequencies
    to 0.5 at that bound. Pictures of one colour and unreadable ones are left out. Pictures moved by more than a few per
    cent of their side, turned or mirrored are not found.
    """

    paper: ClassVar = Paper(
        "Implementation and benchmarking of perceptual image hash functions",
        2010,
        address="https://www.phash.org/docs/pubs/thesis_zauner.pdf",
    )
    finds: ClassVar[Issue] = Issue.NEAR_DUPLICATE
    needs: ClassVar = (Role.IMAGE, ImagePairs)
    extra: ClassVar[str | None] = "images"

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Name the earlier picture that each looks most like."""
        if len(data) <= ImageNeighbours().k:
            return NotApplicable(f"{len(data)} pictures are too few to tell a copy from a likeness")
        pairs = signals[ImagePairs()]
        rows, twins, similarity = best_twins(pairs)
        return Findings(
            Issue.NEAR_DUPLICATE,
            rows,
            suspicion(similarity, pairs.near),
            suggestion=twins,
            evidence={"twin": twins, "similarity": similarity},
            summary={"groups": len(np.unique(groups(len(data), pairs)[rows])), "copies": len(rows)},
        )
