"""Near-duplicates: rows whose text is nearly that of an earlier row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.signal import Signals
from dross.signals.minhash import KINDS, MinHash
from dross.signals.near_pairs import NearPairs
from dross.signals.pairs import best_twins, groups, suspicion


@dataclass(frozen=True)
class NearDuplicates(Detector):
    """Rows most of whose text, or of whose text fields, stands in an earlier row too.

    Broder, "On the resemblance and containment of documents", 1997: MinHash signatures of word triples (of letter
    triples in short texts and in records) banded into buckets. Every pair is then verified: the similarity in the
    evidence is the exact share of pieces that two rows have in common, and it, not an estimate, decides. The score is
    0.5 where that share just makes two rows near copies and 1 where all pieces agree. The first row of a group is the
    one to keep; a later one names the earlier row it resembles most as its twin. Rows with equal content are left to
    exact duplicates.
    """

    paper: ClassVar = Paper(
        "On the resemblance and containment of documents", 1997, address="https://doi.org/10.1109/SEQUEN.1997.666900"
    )
    finds: ClassVar[Issue] = Issue.NEAR_DUPLICATE
    needs: ClassVar = (MinHash, NearPairs)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Name the best earlier twin of every row that has one."""
        kind = signals[MinHash()].kind
        if not kind:
            return NotApplicable("no text, and no table of text fields that are mostly distinct")
        pairs = signals[NearPairs()]
        rows, twins, similarity = best_twins(pairs)
        root = groups(len(data), pairs)
        return Findings(
            Issue.NEAR_DUPLICATE,
            rows,
            suspicion(similarity, pairs.near),
            suggestion=twins,
            evidence={"twin": twins, "similarity": similarity},
            summary={
                "compared": kind,
                "pieces": "three words" if KINDS[kind].words else "three characters",
                "similarity from": pairs.near,
                "groups": len(np.unique(root[rows])),
                "copies": len(rows),
            },
        )
