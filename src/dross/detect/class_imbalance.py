"""Class imbalance: classes with so few rows that a model will hardly learn them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals

RARE = 0.1
"""A class is rare below this share of the rows it would have were all classes equal."""
FEW = 5
"""Rows below which a class cannot stand in every fold of a cross-validation."""
SHOWN = 50


def rarity(counts: npt.NDArray[np.int64], rare: float = RARE) -> npt.NDArray[np.float64]:
    """How rare each class is, shape (k,), in (0, 1): 0.5 at ``rare`` times the even share, 1 / (1 + 1 / rare) at it.

    >>> rarity(np.array([990, 1000, 10])).round(2).tolist()
    [0.06, 0.06, 0.87]
    """
    even = counts.sum() / len(counts)
    return np.asarray(1 / (1 + counts / (rare * even)), np.float64)


@dataclass(frozen=True)
class ClassImbalance(Detector):
    """Rows of classes that have less than a tenth of the rows of an even share.

    Rare is not wrong: it tells which rows to keep at all costs, to weigh up or to collect more of. Common practice.
    """

    finds: ClassVar[Issue] = Issue.IMBALANCE
    needs: ClassVar = (Role.LABEL,)

    rare: float = RARE

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Count the classes; the rows of the rare ones are findings."""
        codes, names = data.codes, data.classes
        if len(names) < 2:
            return NotApplicable("the labels have fewer than two classes")
        counts = np.bincount(codes[codes >= 0], minlength=len(names))
        scores = rarity(counts, self.rare)
        share = counts / counts.sum()
        wanted = (scores >= 0.5)[codes] & (codes >= 0)
        rows = np.flatnonzero(wanted)
        order = np.argsort(counts, kind="stable")[:SHOWN]
        used = share[share > 0]
        return Findings(
            Issue.IMBALANCE,
            rows,
            scores[codes[rows]].astype(np.float32),
            evidence={"class_rows": counts[codes[rows]]},
            summary={
                "classes": len(names),
                "rare_classes": int((scores >= 0.5).sum()),
                "classes_below_5_rows": int((counts < FEW).sum()),
                "largest_to_smallest": float(counts.max() / max(counts.min(), 1)),
                "effective_classes": float(np.exp(-(used * np.log(used)).sum())),
                "smallest": [
                    {"class": str(names[i]), "rows": int(counts[i]), "share": float(share[i])} for i in order.tolist()
                ],
            },
        )
