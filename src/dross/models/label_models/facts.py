"""What a set of votes looks like, before any model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dross.models.votes import Votes

Floats = npt.NDArray[np.float64]
ONE_SIDED = 0.25
"""Share of the votes' uncertainty left when the source is known, below which sources are rules for one class each."""


@dataclass(frozen=True)
class Facts:
    """What the votes look like.

    ``sources`` that vote at all; the share of rows that are ``covered``; of those, the shares with votes of two
    sources or more (``overlap``) and with different votes (``conflict``); ``left``, the share of the votes' entropy
    that is left when their source is known.
    """

    sources: int
    covered: float
    overlap: float
    conflict: float
    left: float


def look(votes: Votes) -> Facts:
    """Measure the votes.

    >>> from dross.models.votes import from_matrix
    >>> look(from_matrix(np.array([[0, 1], [0, -1], [-1, -1], [0, 0]]), 2))
    Facts(sources=2, covered=0.75, overlap=0.6666666666666666, conflict=0.3333333333333333, left=0.5540718013785145)
    """
    m, k = len(votes.names), len(votes.classes)
    times = np.ones(len(votes)) if votes.times is None else votes.times
    counts = votes.counts()
    voted = np.diff(votes.starts) > 0
    per_row = np.zeros(len(votes), np.int64)
    rows = votes.rows
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:] != rows[:-1]) | (votes.annotators[1:] != votes.annotators[:-1])
    np.add.at(per_row, rows[new], 1)
    some = max(float(times @ voted), 1e-12)
    best = counts.max(axis=1) if k else np.zeros(len(votes))
    conflict = (counts.sum(axis=1) - best > 0.5) & (per_row > 1)
    weights = times[rows] if votes.weights is None else times[rows] * votes.weights
    said = np.bincount(votes.annotators * k + votes.labels, weights, m * k).reshape(m, k).astype(np.float64)
    whole = _entropy(said.sum(axis=0))
    left = float(sum(_entropy(row) * row.sum() for row in said) / max(said.sum() * whole, 1e-12))
    return Facts(
        int((said.sum(axis=1) > 0).sum()),
        float(times @ voted / max(times.sum(), 1e-12)),
        float(times @ (per_row > 1) / some),
        float(times @ conflict / some),
        left,
    )


def _entropy(counts: Floats) -> float:
    share = counts[counts > 0] / max(float(counts.sum()), 1e-12)
    return float(-(share * np.log(share)).sum())
