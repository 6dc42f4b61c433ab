"""Split leakage: rows of one split that stand, or all but stand, in another."""

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
from dross.core.splits import splits_of
from dross.signals.copies import KINDS, Contents, Copies

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
NOWHERE = np.iinfo(np.int32).max


def first_splits(content: Rows, splits: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], Rows]:
    """The first split each content stands in and its first row there, shapes (n,), by content.

    >>> split, row = first_splits(np.array([0, 0, 2]), np.array([1, 0, -1], np.int32))
    >>> split[[0]].tolist(), row[[0]].tolist()
    ([0], [1])
    """
    n = len(content)
    split, row = np.full(n, NOWHERE, np.int32), np.full(n, -1, np.int64)
    known = np.flatnonzero(splits >= 0)
    order = known[np.argsort(splits[known], kind="stable")]
    contents, first = np.unique(content[order], return_index=True)
    split[contents], row[contents] = splits[order[first]], order[first]
    return split, row


def leaks(found: Contents, splits: npt.NDArray[np.int32]) -> tuple[Rows, Rows, Scores, npt.NDArray[np.int8]]:
    """Rows with a copy in an earlier split, ascending; that copy; how close it is; and of which kind it is.

    ``splits`` gives each row's split as a number, shape (n,): the training split is 0, -1 is none. An equal copy goes
    before a near one; among near ones that in the earliest split, then the closest. O(n log n + m log m).
    """
    n = len(splits)
    split, row = first_splits(found.content, splits)
    twin = row[found.content]
    score = (split[found.content] < splits).astype(np.float32)
    kind = np.zeros(n, np.int8)
    order = np.lexsort((-found.closeness, split[found.source], found.target))
    targets, first = np.unique(found.target[order], return_index=True)
    best = np.full(n, -1, np.int64)
    best[targets] = order[first]
    edge = best[found.content]
    open_ = np.flatnonzero((score == 0) & (edge >= 0) & (splits >= 0))
    edge = edge[open_]
    before = split[found.source[edge]] < splits[open_]
    open_, edge = open_[before], edge[before]
    score[open_], kind[open_] = found.closeness[edge], found.kind[edge]
    twin[open_] = row[found.source[edge]]
    rows = np.flatnonzero(score > 0)
    return rows, twin[rows], score[rows], kind[rows]


@dataclass(frozen=True)
class SplitLeakage(Detector):
    """Rows outside the training split that have a copy in it, or in another split that comes before theirs.

    A copy is a row of equal content (score 1), or one that near duplicates, near duplicate images or semantic
    duplicates would name as a twin (score 0.5 to 1, by how close it is). Test scores measured on such rows flatter.
    """

    finds: ClassVar[Issue] = Issue.LEAKAGE
    needs: ClassVar = (Role.SPLIT, Copies)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Look for copies across splits."""
        parts = splits_of(data)
        if len(parts.names) < 2:
            return NotApplicable("all rows stand in one split")
        if not data.content:
            return NotApplicable("no column holds content: no text, image, feature or embedding")
        rows, twins, scores, kinds = leaks(signals[Copies(semantic=True)], parts.codes)
        sizes = np.bincount(parts.codes[parts.codes >= 0], minlength=len(parts.names))
        found = np.bincount(parts.codes[rows], minlength=len(parts.names))
        return Findings(
            Issue.LEAKAGE,
            rows,
            scores,
            suggestion=twins,
            evidence={"twin": twins, "kind": np.array(KINDS)[kinds]},
            summary={
                "splits": {
                    name: {"rows": int(size), "with a copy in an earlier split": int(count)}
                    for name, size, count in zip(parts.names, sizes, found, strict=True)
                },
                "kinds": {kind: int((kinds == i).sum()) for i, kind in enumerate(KINDS)},
            },
        )
