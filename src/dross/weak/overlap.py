"""How sources vote beside each other, counted from sparse votes in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dross.models.votes import Votes

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
BLOCK = 1 << 16
"""Rows whose votes are paired at a time."""


@dataclass(frozen=True)
class Facts:
    """Counts of hard votes.

    Attributes
    ----------
    sizes, disputed
        How many sources vote on each row, shape (n,); whether they differ, shape (n,), bool.
    votes, beside, against
        Rows on which each source votes, votes beside another, votes on a disputed row, shape (m,).
    labels
        How often each source votes for each class, shape (m, k).
    """

    sizes: Counts
    disputed: npt.NDArray[np.bool_]
    votes: Counts
    beside: Counts
    against: Counts
    labels: Counts


@dataclass(frozen=True)
class Pairs:
    """On how many rows two sources both vote, and vote alike, each shape (m, m)."""

    both: Counts
    agree: Counts


@dataclass(frozen=True)
class Judged:
    """Each source against given labels and against the others, each shape (m,).

    Attributes
    ----------
    given, right, chance
        Its votes on rows with a given label, those that are right, and the share that would be if the same votes fell
        on these rows at random.
    met, agree, chance_met
        Its votes on rows where others vote, those for the class the others choose by their weights, and the share that
        would be at random.
    repaired, broken
        Rows with a given label that the weighted vote gets right only with it, and only without it.
    """

    given: Counts
    right: Counts
    chance: Floats
    met: Counts
    agree: Counts
    chance_met: Floats
    repaired: Counts
    broken: Counts


def measure(votes: Votes) -> Facts:
    """Count coverage, overlap and conflict; O(votes).

    >>> from dross.models.votes import from_matrix
    >>> facts = measure(from_matrix(np.array([[0, 1], [0, -1], [-1, -1]]), 2))
    >>> facts.votes.tolist(), facts.beside.tolist(), facts.against.tolist(), facts.disputed.tolist()
    ([2, 1], [1, 1], [1, 1], [True, False, False])
    """
    m, k = len(votes.names), max(1, len(votes.classes))
    sizes = np.diff(votes.starts)
    disputed = np.zeros(len(votes), bool)
    filled = np.flatnonzero(sizes)
    if len(filled):
        low = np.minimum.reduceat(votes.labels, votes.starts[filled])
        disputed[filled] = low != np.maximum.reduceat(votes.labels, votes.starts[filled])
    rows, who = votes.rows, votes.annotators
    return Facts(
        sizes,
        disputed,
        np.bincount(who, minlength=m),
        np.bincount(who[sizes[rows] > 1], minlength=m),
        np.bincount(who[disputed[rows]], minlength=m),
        np.bincount(who.astype(np.int64) * k + votes.labels, minlength=m * k).reshape(m, k),
    )


def pairs(votes: Votes) -> Pairs:
    """Count the rows that each two sources share; O(votes per row × votes + sources²), block by block.

    >>> from dross.models.votes import from_matrix
    >>> found = pairs(from_matrix(np.array([[0, 1], [0, 0], [-1, 0]]), 2))
    >>> found.both.tolist(), found.agree.tolist()
    ([[2, 2], [2, 3]], [[2, 1], [1, 3]])
    """
    from scipy.sparse import csr_array

    m, k = len(votes.names), max(1, len(votes.classes))
    both, agree = np.zeros((m, m), np.int64), np.zeros((m, m), np.int64)
    for start in range(0, len(votes), BLOCK):
        bounds = votes.starts[start : start + BLOCK + 1]
        part = slice(int(bounds[0]), int(bounds[-1]))
        who, ones = votes.annotators[part], np.ones(part.stop - part.start, np.int64)
        rows = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        for key, counts in ((rows, both), (rows * k + votes.labels[part], agree)):
            _, place = np.unique(key, return_inverse=True)
            cast = csr_array((ones, (place, who)), shape=(int(place.max(initial=-1)) + 1, m))
            np.add(counts, (cast.T @ cast).toarray(), out=counts)
    return Pairs(both, agree)


def judge(votes: Votes, quality: Floats | None, gold: Counts) -> Judged:
    """Compare each vote with the given label, and with what the other sources of the row say together.

    The others' votes are weighed by the log-odds of their quality (all alike where it is None); the weight of the
    source itself is taken out of the sum, so no model is fitted again.

    Parameters
    ----------
    votes
        Hard votes.
    quality
        The chance that each source is right, shape (m,).
    gold
        The given label of each row, shape (n,): -1 where there is none, k for a class that nobody votes for.
    """
    m, k = len(votes.names), max(1, len(votes.classes))
    weight = np.ones(m)
    if quality is not None and k > 1:
        sure = np.clip(quality, 0.01, 0.99)
        weight = np.log(sure * (k - 1) / (1 - sure))
    sums = {name: np.zeros(m, np.int64) for name in ("given", "right", "met", "agree", "repaired", "broken")}
    others = np.zeros(k, np.int64)
    for start in range(0, len(votes), BLOCK):
        part = slice(start, min(start + BLOCK, len(votes)))
        counted, chosen = _compare(votes, weight, gold, part, k)
        for name, who in counted.items():
            sums[name] += np.bincount(who, minlength=m)
        others += np.bincount(chosen, minlength=k)
    counts = np.bincount(votes.annotators.astype(np.int64) * k + votes.labels, minlength=m * k).reshape(m, k)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    usual = np.bincount(gold[gold >= 0], minlength=k + 1)[:k] / max(1, int((gold >= 0).sum()))
    return Judged(
        sums["given"],
        sums["right"],
        share @ usual,
        sums["met"],
        sums["agree"],
        share @ (others / max(1, int(others.sum()))),
        sums["repaired"],
        sums["broken"],
    )


def _compare(
    votes: Votes, weight: Floats, gold: Counts, part: slice, k: int
) -> tuple[dict[str, npt.NDArray[np.int32]], Counts]:
    """The sources of the votes of each kind on some rows, and what the others choose beside each vote."""
    bounds = votes.starts[part.start : part.stop + 1]
    a, b, n = int(bounds[0]), int(bounds[-1]), part.stop - part.start
    row = np.repeat(np.arange(n), np.diff(bounds))
    who, label = votes.annotators[a:b], votes.labels[a:b]
    scores = np.bincount(row * k + label, weight[who], n * k).reshape(n, k).astype(np.float64)
    without = scores[row]
    without[np.arange(b - a), label] -= weight[who]
    company = np.diff(bounds)[row] > 1
    chosen, whole, truth = without.argmax(axis=1), scores.argmax(axis=1)[row], gold[part][row]
    both = company & (truth >= 0)
    counted = {
        "given": who[truth >= 0],
        "right": who[label == truth],
        "met": who[company],
        "agree": who[company & (chosen == label)],
        "repaired": who[both & (whole == truth) & (chosen != truth)],
        "broken": who[both & (whole != truth) & (chosen == truth)],
    }
    return counted, chosen[company]


def by_source(votes: Votes) -> tuple[Counts, Counts]:
    """The votes in the order of their sources: where each source's begin, shape (m + 1,), and positions, shape (v,)."""
    order = np.argsort(votes.annotators, kind="stable")
    return np.searchsorted(votes.annotators[order], np.arange(len(votes.names) + 1)), order


def where_both(
    votes: Votes, by: tuple[Counts, Counts], a: int, b: int
) -> tuple[Counts, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The rows on which two sources both vote, and the label each gives."""
    starts, order = by
    own, other = order[starts[a] : starts[a + 1]], order[starts[b] : starts[b + 1]]
    rows = votes.rows
    shared, i, j = np.intersect1d(rows[own], rows[other], assume_unique=True, return_indices=True)
    return shared, votes.labels[own[i]], votes.labels[other[j]]
