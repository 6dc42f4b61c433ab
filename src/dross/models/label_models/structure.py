"""Which sources repeat one another, read from agreement alone, before anything is believed of the truth.

A model of independent sources takes a large group of sources that repeat one another for the truth; what it leaves
unexplained then says nothing. Independent sources correlate by ``a_i a_j``, a matrix of rank one off the diagonal;
dependence is what stands out of it in few places: low rank plus sparse, as in Varma et al., "Learning Dependency
Structures for Weak Supervision Models", 2019, here on correlation where both vote (which sources that share out the
rows still have) and with a redescending loss in place of the nuclear norm. A group of about half of the sources or more
cannot be told from the others: then the votes hold two truths.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel
from dross.models.label_models.moments import pair_counts
from dross.models.votes import Votes

Floats = npt.NDArray[np.float64]
Pairs = tuple[tuple[int, int, float], ...]
FEWEST_SHARED = 100
"""Rows that a pair must share to be judged."""
_ERRORS, _LEAST, _LEVEL = 4.0, 0.08, 0.01
"""What stands out: standard errors (more for many pairs, so that chance finds none at this level), correlation."""
_ROUNDS = 60


def rank_one(agree: Floats, error: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """The skill ``a`` (m,) with ``agree[i, j] = a_i a_j`` for as many pairs as can be; few may stand out by much.

    Graduated reweighted least squares from several starts; the one that leaves the least (by capped squares) is
    kept.

    >>> a = np.array([0.8, 0.7, 0.6, 0.5, 0.4, 0.6]); agree = np.outer(a, a); agree[0, 1] = agree[1, 0] = 0.99
    >>> rank_one(agree, np.full((6, 6), 0.01), ~np.eye(6, dtype=bool)).round(2).tolist()
    [0.8, 0.7, 0.6, 0.5, 0.4, 0.6]
    """
    best, least = np.zeros(len(agree)), np.inf
    usable = known & np.isfinite(agree)
    values = agree[usable]
    for quantile in (1.0, 0.95, 0.9, 0.8, 0.7, 0.5):
        inside = usable & (agree <= np.quantile(values, quantile)) if len(values) else usable
        skill = _descend(agree, error, usable, inside, 30.0 if quantile == 1 else 4.0)
        left = np.minimum(((agree - np.outer(skill, skill)) / error) ** 2, 9.0)[usable].sum()
        if left < least - 1e-9:
            best, least = skill, float(left)
    return best


def _descend(
    agree: Floats, error: Floats, usable: npt.NDArray[np.bool_], inside: npt.NDArray[np.bool_], widest: float
) -> Floats:
    start = np.sqrt(max(float(agree[inside].mean()) if inside.any() else 0.0, 0.01))
    skill = np.full(len(agree), start)
    plain, known_agree = np.where(inside, 1 / error**2, 0.0), np.where(usable, agree, 0.0)
    for turn in range(_ROUNDS):
        if turn < _ROUNDS // 4:
            weight = plain
        else:
            width = max(3.0, widest * 0.85 ** (turn - _ROUNDS // 4))
            away = (agree - np.outer(skill, skill)) / error / width
            weight = np.where(usable, 1 / error**2 / (1 + away**2) ** 2, 0.0)
        below = weight @ skill**2
        step = np.where(below > 0, (weight * known_agree) @ skill / np.maximum(below, 1e-12), skill)
        skill = np.clip((skill + step) / 2, 0.0, 0.99)
    return skill


def correlation(counts: Floats, both: Floats) -> Floats:
    """How much more two sources agree than their habits explain, on the rows they share: 1 is a copy, shape (m, m).

    The covariance of the votes' indicators over classes, scaled; for two classes the correlation of the votes. It is
    of rank one for sources that are independent given one of two classes, however biased; nearly so for more.
    """
    size = np.maximum(both, 1)
    first = counts.sum(axis=3).transpose(0, 2, 1) / size[:, :, None]  # i, j, a: what i says where j votes too
    second = first.transpose(1, 0, 2)
    spread = (1 - (first**2).sum(axis=2)) * (1 - (second**2).sum(axis=2))
    covariance = np.einsum("iaja->ij", counts) / size - (first * second).sum(axis=2)
    scaled: Floats = covariance / np.sqrt(np.maximum(spread, 1e-6))
    return scaled


def repeating(votes: Votes) -> Pairs:
    """The pairs of sources that agree far more than their skill explains, the strongest first."""
    if len(votes.names) < 5 or len(votes.classes) < 2:
        return ()
    counts = pair_counts(votes)
    both = counts.sum(axis=(1, 3))
    return _standing_out(correlation(counts, both), both)


def firing_together(votes: Votes) -> Pairs:
    """The pairs of rules for one class that fire together far more than the class explains, the strongest first.

    Of two classes, firing correlates by ``a_i a_j`` for rules of one class, by its negative for rules of two; with more
    classes the negative is spread over the others. Sources that vote for several classes count by their usual one.
    """
    m, k = len(votes.names), len(votes.classes)
    if m < 5 or k < 2:
        return ()
    counts = pair_counts(votes)
    n = float(len(votes) if votes.times is None else votes.times.sum())
    both = counts.sum(axis=(1, 3)) / max(n, 1.0)
    own = np.einsum("iaia->ia", counts)
    fires = own.sum(axis=1) / max(n, 1.0)
    spread = np.sqrt(np.maximum(fires * (1 - fires), 1e-9))
    alike = np.equal.outer(own.argmax(axis=1), own.argmax(axis=1))
    together = (both - np.outer(fires, fires)) / np.outer(spread, spread)
    found = _standing_out(np.where(alike, together, -(k - 1) * together), np.full((m, m), n))
    return tuple(pair for pair in found if alike[pair[0], pair[1]])


def _standing_out(agree: Floats, shared: Floats) -> Pairs:
    """The pairs whose correlation is above the product of their sources' skills, beyond chance and by a fair amount."""
    from scipy.stats import norm

    m = len(agree)
    known = (shared >= FEWEST_SHARED) & ~np.eye(m, dtype=bool)
    if known.sum() < m * (m - 1) / 2:
        return ()  # too few pairs meet to tell the rule from the exceptions
    error = np.sqrt(np.maximum(1 - np.minimum(agree**2, 1), 0.05) / np.maximum(shared, 1)) + 0.01
    skill = rank_one(agree, error, known)
    expected = np.outer(skill, skill)
    chance = np.sqrt(np.maximum(1 - expected**2, 0.05) / np.maximum(shared, 1)) + 0.01
    errors = max(_ERRORS, float(norm.isf(_LEVEL / known.sum())))
    excess = agree - expected
    i, j = np.nonzero(np.triu(known & (excess > np.maximum(errors * chance, _LEAST)), 1))
    order = np.argsort(-excess[i, j], kind="stable")
    return tuple((int(i[p]), int(j[p]), round(float(excess[i[p], j[p]]), 4)) for p in order)


def groups_of(m: int, pairs: Pairs) -> npt.NDArray[np.int64]:
    """The number of each source's group, shape (m,): pairs are in one group.

    >>> groups_of(4, ((0, 2, 0.5),)).tolist()
    [0, 1, 0, 2]
    """
    group = np.arange(m)
    for i, j, _ in pairs:
        group[group == group[j]] = group[i]
    _, number = np.unique(group, return_inverse=True)
    return np.asarray(number, np.int64)


@kernel()
def share_among(starts: Any, sources: Any, groups: Any, number: int, weights: Any) -> None:
    """Divide the weight of each vote by the number of votes that its group casts on the row."""
    cast = np.zeros(number)
    for i in range(len(starts) - 1):
        for v in range(starts[i], starts[i + 1]):
            cast[groups[sources[v]]] += 1
        for v in range(starts[i], starts[i + 1]):
            weights[v] /= cast[groups[sources[v]]]
        for v in range(starts[i], starts[i + 1]):
            cast[groups[sources[v]]] = 0


def tempered(votes: Votes, groups: npt.NDArray[np.int64]) -> Votes:
    """The votes with those of one group on one row counting as one vote together.

    >>> from dross.models.votes import from_matrix
    >>> tempered(from_matrix(np.array([[0, 0, 1]]), 2), np.array([0, 0, 1])).weights.tolist()
    [0.5, 0.5, 1.0]
    """
    weights = np.ones(len(votes.labels)) if votes.weights is None else votes.weights.copy()
    share_among(votes.starts, votes.annotators, groups, int(groups.max(initial=0)) + 1, weights)
    return replace(votes, weights=weights)
