"""Dependent sources: which of them err together, learned from the votes, and a model in which they may."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel
from dross.models.crowd import Consensus
from dross.models.label_models.abstention import PSEUDO_ROWS, abstention, likely
from dross.models.label_models.common import covered, every, quality
from dross.models.label_models.em import Counts
from dross.models.label_models.facts import ONE_SIDED, look
from dross.models.label_models.moments import pair_counts_by_class
from dross.models.label_models.structure import Pairs, firing_together, groups_of, repeating, tempered
from dross.models.label_models.subtypes import bayes
from dross.models.votes import Votes, harden, majority, take

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST = 0.03
"""The least strength of a dependence that matters: the share of the less certain source's uncertainty it takes away."""
LEVEL = 0.01
"""Chance that among independent sources any pair is called dependent."""
SAMPLE = 10_000
"""Most rows from which dependence is read."""
MOST_CELLS = 1200
"""Most sources times classes for which all pairs are tried."""
_PSEUDO_PAIRS = 8.0
_NONE = np.empty(0)


# ---- which sources are dependent ---------------------------------------------------------------------------------


def dependence(votes: Votes, probs: Floats, *, silence: bool) -> tuple[Floats, Floats]:
    """How dependent each pair of sources is given the class, and the likelihood ratio statistic of that, both (m, m).

    The first is the conditional mutual information as a share of the smaller conditional entropy, so 1 is a copy and 0
    is independence. With ``silence`` abstention is one of the answers; else only rows on which both vote count.
    Probabilities are those of a model in which sources are independent. O(m² k³).
    """
    m = len(votes.names)
    table = pair_counts_by_class(votes, probs)  # i, a, j, b, c
    times = np.ones(len(votes)) if votes.times is None else votes.times
    rows = times @ probs
    own = np.einsum("iaiac->iac", table)
    strength, ratio = np.zeros((m, m)), np.zeros((m, m))
    for i in range(m):
        both = table[i].transpose(1, 0, 2, 3)  # j, a, b, c
        if silence:
            both = _with_silence(both, own, own[i], rows)
        total = both.sum(axis=(1, 2), keepdims=True)
        first, second = both.sum(axis=2, keepdims=True), both.sum(axis=1, keepdims=True)
        told = _entropy_sum(both) + _entropy_sum(total) - _entropy_sum(first) - _entropy_sum(second)
        doubt = np.minimum(_entropy_sum(total) - _entropy_sum(first), _entropy_sum(total) - _entropy_sum(second))
        strength[i] = np.where(doubt > 1e-9, told / np.maximum(doubt, 1e-9), 0)
        ratio[i] = 2 * told
    np.fill_diagonal(strength, 0)
    np.fill_diagonal(ratio, 0)
    return np.clip(strength, 0, 1), np.maximum(ratio, 0)


def _with_silence(both: Floats, own: Floats, mine: Floats, rows: Floats) -> Floats:
    m, k = both.shape[:2]
    full = np.zeros((m, k + 1, k + 1, len(rows)))
    full[:, :k, :k] = both
    full[:, :k, k] = np.maximum(mine[None] - both.sum(axis=2), 0)
    full[:, k, :k] = np.maximum(own - both.sum(axis=1), 0)
    full[:, k, k] = np.maximum(rows - full.sum(axis=(1, 2)), 0)
    return full


def _entropy_sum(counts: Floats) -> Floats:
    """The sum of ``x log x`` over a source pair's cells, shape (m,)."""
    total: Floats = (counts * np.log(np.maximum(counts, 1e-300))).sum(axis=(1, 2, 3))
    return total


def dependent_pairs(votes: Votes, probs: Floats, *, silence: bool) -> Pairs:
    """The pairs whose dependence given the class is both beyond chance and large, the strongest first.

    Tested by likelihood ratio at ``LEVEL`` for all pairs together.
    """
    from scipy.stats import chi2

    m, k = len(votes.names), len(votes.classes)
    if m < 3 or m * k > MOST_CELLS:
        return ()
    strength, ratio = dependence(votes, probs, silence=silence)
    i, j = np.triu_indices(m, 1)
    answers = k + 1 if silence else k
    critical = chi2.isf(LEVEL / len(i), k * (answers - 1) ** 2)
    found = np.flatnonzero((ratio[i, j] > critical) & (strength[i, j] > LEAST))
    found = found[np.argsort(-strength[i[found], j[found]], kind="stable")]
    return tuple((int(i[p]), int(j[p]), round(float(strength[i[p], j[p]]), 4)) for p in found)


def forest(m: int, pairs: Pairs) -> Ints:
    """The parent of each source in the strongest forest (Chow and Liu, 1968) over the pairs, -1 for a root, shape (m,).

    >>> forest(4, ((0, 1, 0.9), (1, 2, 0.8), (0, 2, 0.7))).tolist()
    [-1, 0, 1, -1]
    """
    group, near = list(range(m)), [[] for _ in range(m)]  # type: list[int], list[list[int]]
    for i, j, _ in sorted(pairs, key=lambda p: -p[2]):
        if group[i] != group[j]:
            old = group[j]
            group = [group[i] if g == old else g for g in group]
            near[i].append(j)
            near[j].append(i)
    parent, seen = np.full(m, -1, np.int64), set[int]()
    for root in range(m):
        todo = [] if root in seen else [root]
        seen.add(root)
        while todo:
            at = todo.pop()
            for child in near[at]:
                if child not in seen:
                    seen.add(child)
                    parent[child] = at
                    todo.append(child)
    return parent


# ---- the model ---------------------------------------------------------------------------------------------------


@kernel()
def answers_row(i: int, starts: Any, sources: Any, labels: Any, said: Any) -> None:
    """Write what each source says of a row into ``said``."""
    for v in range(starts[i], starts[i + 1]):
        said[sources[v]] = labels[v]


@kernel()
def score_row(
    i: int, starts: Any, sources: Any, labels: Any, said: Any, parent: Any, first: Any, children: Any, table: Any,
    score: Any,
) -> None:  # fmt: skip
    """Add to ``score`` what the votes of a row, and the silence of the children of those who vote, say."""
    k = len(score)
    for v in range(starts[i], starts[i + 1]):
        j = sources[v]
        p = k if parent[j] < 0 else said[parent[j]]
        score += table[j, labels[v], p]
        for h in range(first[j], first[j + 1]):
            if said[children[h]] == k:
                score += table[children[h], k, labels[v]]


@kernel()
def count_row(
    i: int, starts: Any, sources: Any, labels: Any, said: Any, parent: Any, first: Any, children: Any, share: Any,
    out: Any,
) -> None:  # fmt: skip
    """Add ``share`` (k,) to the cells of a row's answers beside their parents' answers; empties ``said`` again."""
    k = len(share)
    for v in range(starts[i], starts[i + 1]):
        j = sources[v]
        p = k if parent[j] < 0 else said[parent[j]]
        out[j, labels[v], p] += share
        for h in range(first[j], first[j + 1]):
            if said[children[h]] == k:
                out[children[h], k, labels[v]] += share
    for v in range(starts[i], starts[i + 1]):
        said[sources[v]] = k


@kernel()
def forest_pass(
    starts: Any, sources: Any, labels: Any, times: Any, parent: Any, first: Any, children: Any, base: Any, table: Any,
    out: Any, rows: Any, probs: Any,
) -> float:  # fmt: skip
    """Posterior of each row and the counts expected of each source beside its parent's answer; the log-likelihood.

    ``table`` (m, k + 1, k + 1, k) is what source ``j`` answering ``l`` while its parent answers ``p`` adds to class
    ``c``, over both being silent; answer k is silence. ``probs`` is filled unless it is empty.
    """
    k = len(base)
    said = np.full(len(parent), k)
    total = 0.0
    for i in range(len(starts) - 1):
        score = base.copy()
        answers_row(i, starts, sources, labels, said)
        score_row(i, starts, sources, labels, said, parent, first, children, table, score)
        top = score.max()
        score = np.exp(score - top)
        z = score.sum()
        score /= z
        if len(probs) > 0:
            probs[i] = score
        if len(times) > 0:
            score *= times[i]
        total += (top + np.log(z)) * (times[i] if len(times) > 0 else 1.0)
        rows += score
        count_row(i, starts, sources, labels, said, parent, first, children, score, out)
    return total


@kernel()
def count_given(
    starts: Any, sources: Any, labels: Any, times: Any, parent: Any, first: Any, children: Any, given: Any, out: Any
) -> None:
    """What :func:`forest_pass` counts, for given probabilities."""
    said = np.full(len(parent), given.shape[1])
    for i in range(len(starts) - 1):
        answers_row(i, starts, sources, labels, said)
        share = given[i] * (times[i] if len(times) > 0 else 1.0)
        count_row(i, starts, sources, labels, said, parent, first, children, share, out)


@dataclass(frozen=True)
class Forest:
    """Who depends on whom: the parent of each source, and its children from ``first[j]`` to ``first[j + 1]``."""

    parent: Ints
    first: Ints
    children: Ints

    @classmethod
    def of(cls, parent: Ints) -> Forest:
        """From the parents alone."""
        children = np.argsort(parent, kind="stable")
        children = children[parent[children] >= 0]
        first = np.searchsorted(parent[children], np.arange(len(parent) + 1))
        return cls(parent, first.astype(np.int64), children.astype(np.int64))


def _pass(votes: Votes, tree: Forest, base: Floats, table: Floats, probs: Floats) -> tuple[Floats, Floats, float]:
    m, k = len(votes.names), len(votes.classes)
    out, rows = np.zeros((m, k + 1, k + 1, k)), np.zeros(k)
    times = _NONE if votes.times is None else votes.times
    total = forest_pass(
        votes.starts, votes.annotators, votes.labels, times, tree.parent, tree.first, tree.children, base, table,
        out, rows, probs,
    )  # fmt: skip
    out[:, k, k] = np.maximum(rows - out.sum(axis=(1, 2)), 0)
    return out, rows, total


def forest_table(out: Floats, rows: Floats, parent: Ints, balance: Floats | None) -> tuple[Floats, Floats]:
    """The M-step: ``base`` (k,) and ``table`` (m, k + 1, k + 1, k) from expected counts.

    A source without a parent is drawn to what all sources say, one with a parent to what it says without it.
    """
    k = len(rows)
    prior = (rows + 1) / (rows + 1).sum() if balance is None else balance
    prior = np.maximum(prior, 1e-9)
    alone = out.sum(axis=2)
    usual = likely(Counts(alone[:, :k], rows), prior)
    usual = np.concatenate([usual, np.maximum(1 - usual.sum(axis=1), 0.05)[:, None]], axis=1)
    chance = alone + PSEUDO_ROWS * usual
    chance /= chance.sum(axis=1, keepdims=True)
    beside = out + _PSEUDO_PAIRS * chance[:, :, None]
    beside /= beside.sum(axis=1, keepdims=True)
    table = np.log(np.maximum(np.where((parent < 0)[:, None, None, None], chance[:, :, None], beside), 1e-12))
    silent = table[:, k, k].copy()
    return np.log(prior) + silent.sum(axis=0), table - silent[:, None, None]


def fit_forest(
    votes: Votes, parent: Ints, start: Floats, balance: Floats | None
) -> tuple[Floats, Floats, Floats, float]:
    """Expectation maximisation from given probabilities: probabilities, counts (m, k, k), rows (k,), log-likelihood."""
    tree, k = Forest.of(parent), len(votes.classes)
    base, table = np.zeros(k), np.zeros((len(parent), k + 1, k + 1, k))
    out, rows = _count_given(votes, tree, start)
    before = -np.inf
    for _ in range(200):
        base, table = forest_table(out, rows, parent, balance)
        out, rows, now = _pass(votes, tree, base, table, np.empty((0, k)))
        if abs(now - before) <= 1e-6 * abs(now):
            break
        before = now
    probs = np.empty((len(votes), k))
    out, rows, now = _pass(votes, tree, base, table, probs)
    return probs, out[:, :k].sum(axis=2), rows, now


def _count_given(votes: Votes, tree: Forest, given: Floats) -> tuple[Floats, Floats]:
    m, k = len(votes.names), len(votes.classes)
    out = np.zeros((m, k + 1, k + 1, k))
    times = _NONE if votes.times is None else votes.times
    count_given(votes.starts, votes.annotators, votes.labels, times, tree.parent, tree.first, tree.children, given, out)
    rows = given.sum(axis=0) if votes.times is None else votes.times @ given
    out[:, k, k] = np.maximum(rows - out.sum(axis=(1, 2)), 0)
    return out, rows


def dependent(votes: Votes, balance: Floats | None = None) -> Consensus:
    """Sources that err together are found and do not count twice.

    The setting of Bach et al., "Learning the Structure of Generative Models without Labeled Data", 2017, and Varma et
    al., "Learning Dependency Structures for Weak Supervision Models", 2019: sources written by one person, or repeating
    one another. Rules, each for one class, get :func:`forested`, sources that answer :func:`repeated`. Where no pair is
    dependent that is :func:`abstention` or :func:`bayes`.
    """
    rules = look(every(votes, SAMPLE)).left < ONE_SIDED
    if rules:
        return forested(votes, balance)
    return repeated(votes, balance, repeating(every(covered(votes), SAMPLE)))


def repeated(votes: Votes, balance: Floats | None, pairs: Pairs) -> Consensus:
    """Each group of sources that repeat one another (:func:`repeating`) has one vote together on a row.

    A composite likelihood: Bayesian Dawid-Skene in which every vote weighs one over the votes of its group on that row.
    Abstention says nothing. O(votes × k) a round.
    """
    if not pairs:
        return replace(bayes(votes, balance), model="dependent")
    once = tempered(votes, groups_of(len(votes.names), pairs))
    return replace(bayes(once, balance), model="dependent", dependent=pairs)


def forested(votes: Votes, balance: Floats | None = None) -> Consensus:
    """Rules that fire together are modelled together: a tree of dependences within each class.

    The structure is read twice: from firing alone (:func:`firing_together`), and from what the model then leaves
    unexplained (a likelihood ratio test of every pair within each class, all pairs together at 1 %). The strongest
    forest over those pairs is kept (Chow and Liu, 1968), and every source's answer (silence is one) then depends on the
    class and on its parent's answer. Soft votes count as their likeliest class. O(votes × m) once, then
    O(votes × children × k) a round.
    """
    hard, m = harden(votes), len(votes.names)
    shared = firing_together(every(hard, SAMPLE))
    if shared:
        start = majority(tempered(hard, groups_of(m, shared)))
        probs, counts, rows, total = fit_forest(hard, forest(m, shared), start, balance)
    else:
        plain = abstention(hard, balance)
        probs = plain.probs
    some = np.arange(0, len(hard), -(-len(hard) // SAMPLE) or 1)
    few = take(hard, some) if len(some) < len(hard) else hard
    left = dependent_pairs(few, probs[some], silence=True)
    pairs = _merged(shared, left)
    if not pairs:
        return replace(plain, model="dependent")
    if len(pairs) > len(shared):
        probs, counts, rows, total = fit_forest(hard, forest(m, pairs), probs, balance)
    share, interval = quality(Counts(counts, rows))
    return Consensus(
        probs,
        share,
        model="dependent",
        interval=interval,
        balance=rows / max(float(rows.sum()), 1e-12) if balance is None else balance,
        log_likelihood=total,
        dependent=pairs,
    )


def _merged(one: Pairs, other: Pairs) -> Pairs:
    """The pairs of both, each once with the greater strength, the strongest first."""
    strength: dict[tuple[int, int], float] = {}
    for i, j, s in (*one, *other):
        strength[i, j] = max(s, strength.get((i, j), 0.0))
    return tuple((i, j, s) for (i, j), s in sorted(strength.items(), key=lambda item: (-item[1], item[0])))
