"""Expectation maximisation for models of sources: one pass over the votes per round, in constant memory.

A model is two tables: ``base`` (s,), the log-odds of each state (a class, or a subtype of one) before any vote is seen,
and ``delta`` (m, k, s), what a vote of source ``j`` for class ``l`` adds to the log-odds of state ``c``. A pass finds
each row's posterior, adds it to the expected counts at once and forgets it: nothing of the size of the data is held.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel, over_rows, threads
from dross.models.votes import Votes, take

Floats = npt.NDArray[np.float64]
Table = tuple[Floats, Floats]
"""``base`` (k,) and ``delta`` (m, k, k)."""
BLOCKS = 16
"""Parts whose counts are added up in a fixed order, so that the number of cores does not show in the answer."""

AFTER_SAMPLE = 3
"""Most passes over all rows after those over a sample of them."""


@dataclass(frozen=True)
class Counts:
    """What a pass over the votes expects.

    Attributes
    ----------
    votes
        How often source ``j`` voted ``l`` on rows of class ``c``, shape (m, k, k).
    rows
        How many rows are of each class, shape (k,).
    log_likelihood
        Of the votes under the model that made the posteriors.
    """

    votes: Floats
    rows: Floats
    log_likelihood: float = -np.inf


@kernel()
def end_of_vote(v: int, stop: int, sources: Any) -> int:
    """Where the vote that begins at ``v`` ends: a soft vote is several entries of one source."""
    end = v + 1
    while end < stop and sources[end] == sources[v]:
        end += 1
    return end


@kernel()
def score_row(start: int, stop: int, sources: Any, labels: Any, weights: Any, delta: Any, score: Any) -> None:
    """Add to ``score`` what the votes of a row say of each state.

    A soft vote is one whose class is not known, only its chances: its likelihood is the mean of its classes', and
    counts as often as its weights make together.
    """
    k = len(score)
    if len(weights) == 0:
        for v in range(start, stop):
            for c in range(k):
                score[c] += delta[sources[v], labels[v], c]
        return
    v = start
    while v < stop:
        end = end_of_vote(v, stop, sources)
        whole = weights[v:end].sum()
        for c in range(k):
            if end == v + 1:
                score[c] += whole * delta[sources[v], labels[v], c]
            else:
                mean = 0.0
                for u in range(v, end):
                    mean += weights[u] / whole * np.exp(delta[sources[u], labels[u], c])
                score[c] += whole * np.log(mean)
        v = end


@kernel()
def count_row(start: int, stop: int, sources: Any, labels: Any, weights: Any, delta: Any, share: Any, out: Any) -> None:
    """Add a row's votes to the expected counts, ``share`` (k,) of them to each state."""
    k = len(share)
    if len(weights) == 0:
        for v in range(start, stop):
            for c in range(k):
                out[sources[v], labels[v], c] += share[c]
        return
    v = start
    while v < stop:
        end = end_of_vote(v, stop, sources)
        whole = weights[v:end].sum()
        for c in range(k):
            mean = 0.0
            for u in range(v, end):
                mean += weights[u] * np.exp(delta[sources[u], labels[u], c])
            for u in range(v, end):
                chance = weights[u] * np.exp(delta[sources[u], labels[u], c]) / mean
                out[sources[u], labels[u], c] += whole * chance * share[c]
        v = end


@kernel()
def softmax(score: Any) -> float:
    """Turn log-odds into chances in place; returns the logarithm of their sum before."""
    top = score[0]
    for c in range(1, len(score)):
        top = max(top, score[c])
    z = 0.0
    for c in range(len(score)):
        score[c] = np.exp(score[c] - top)
        z += score[c]
    for c in range(len(score)):
        score[c] /= z
    return float(top + np.log(z))


@kernel()
def sweep(
    starts: Any, sources: Any, labels: Any, weights: Any, times: Any, base: Any, delta: Any, out: Any, rows: Any
) -> float:
    """E-step and expected counts of a range of rows at once; returns the log-likelihood."""
    k = len(base)
    score = np.empty(k)
    total = 0.0
    for i in range(len(starts) - 1):
        for c in range(k):
            score[c] = base[c]
        score_row(starts[i], starts[i + 1], sources, labels, weights, delta, score)
        count = times[i] if len(times) > 0 else 1.0
        total += count * softmax(score)
        for c in range(k):
            score[c] *= count
            rows[c] += score[c]
        count_row(starts[i], starts[i + 1], sources, labels, weights, delta, score, out)
    return total


@kernel()
def sweep_two(
    starts: Any, sources: Any, labels: Any, times: Any, k: int, odds: float, step: Any, out: Any, seen: Any
) -> tuple[float, float, float]:
    """:func:`sweep` for two states, hard votes: a vote is one number, by how much it moves the log-odds.

    ``out`` (m × k,) gets the expected votes of each kind on the second state, ``seen`` (m × k,) all of them. Returns
    the log-likelihood less that of the votes on the first state, and how many rows are of each state.
    """
    total, first, second = 0.0, 0.0, 0.0
    for i in range(len(starts) - 1):
        x = odds
        for v in range(starts[i], starts[i + 1]):
            x += step[sources[v] * k + labels[v]]
        count = times[i] if len(times) > 0 else 1.0
        small = np.exp(-abs(x))
        total += count * (max(x, 0.0) + np.log1p(small))
        p = count * ((1.0 if x > 0 else small) / (1.0 + small))
        first += count - p
        second += p
        for v in range(starts[i], starts[i + 1]):
            cell = sources[v] * k + labels[v]
            out[cell] += p
            seen[cell] += count
    return total, first, second


@kernel()
def posterior_two(starts: Any, sources: Any, labels: Any, k: int, odds: float, step: Any, probs: Any) -> None:
    """:func:`posterior` for two classes and hard votes."""
    for i in range(len(starts) - 1):
        x = odds
        for v in range(starts[i], starts[i + 1]):
            x += step[sources[v] * k + labels[v]]
        small = np.exp(-abs(x))
        p = (1.0 if x > 0 else small) / (1.0 + small)
        probs[i, 0], probs[i, 1] = 1.0 - p, p


@kernel()
def posterior(
    starts: Any, sources: Any, labels: Any, weights: Any, base: Any, delta: Any, per: int, probs: Any, logs: Any
) -> None:
    """The chance of each class on each row of a range, and the log-likelihood of its votes; either may be empty.

    ``per`` states in a row of the tables make a class.
    """
    k = len(base)
    score = np.empty(k)
    for i in range(len(starts) - 1):
        for c in range(k):
            score[c] = base[c]
        score_row(starts[i], starts[i + 1], sources, labels, weights, delta, score)
        total = softmax(score)
        if len(logs) > 0:
            logs[i] = total
        if len(probs) > 0:
            probs[i, :] = 0.0
            for c in range(k):
                probs[i, c // per] += score[c]


@kernel()
def tally(
    starts: Any, sources: Any, labels: Any, weights: Any, times: Any, k: int, leave_out: int, out: Any, rows: Any
) -> None:
    """Expected counts where the class is drawn from the row's other votes (or all, for ``leave_out`` 0)."""
    weighted, repeated = len(weights) > 0, len(times) > 0
    share = np.empty(k)
    for i in range(len(starts) - 1):
        if starts[i] == starts[i + 1]:
            continue
        count = times[i] if repeated else 1.0
        share[:] = 0.0
        total = 0.0
        for v in range(starts[i], starts[i + 1]):
            w = weights[v] if weighted else 1.0
            share[labels[v]] += w
            total += w
        if total <= 0:
            continue
        for c in range(k):
            rows[c] += count * share[c] / total
        for v in range(starts[i], starts[i + 1]):
            w = weights[v] if weighted else 1.0
            own = w if leave_out else 0.0
            rest = total - own
            if rest <= 1e-12:
                continue
            for c in range(k):
                others = share[c] - (own if c == labels[v] else 0.0)
                out[sources[v], labels[v], c] += count * w * others / rest


_NONE = np.empty(0)


def _parts(n: int) -> list[tuple[int, int]]:
    edges = [n * i // BLOCKS for i in range(BLOCKS + 1)]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _summed(votes: Votes, states: int, work: Callable[[Any, Any, Floats, Floats], float]) -> Counts:
    """The sum over all blocks of what ``work(starts, times, out, rows)`` counts in one."""
    m, k = len(votes.names), len(votes.classes)

    def one(part: tuple[int, int]) -> Counts:
        out, rows = np.zeros((m, k, states)), np.zeros(states)
        times = votes.times[part[0] : part[1]] if votes.times is not None else _NONE
        return Counts(out, rows, work(votes.starts[part[0] : part[1] + 1], times, out, rows))

    parts = _parts(len(votes)) if len(votes) > 4096 else [(0, len(votes))]
    workers = min(threads(), len(parts))
    if workers <= 1:
        done = [one(part) for part in parts]
    else:
        with ThreadPoolExecutor(workers) as pool:
            done = list(pool.map(one, parts))
    return Counts(
        np.sum([d.votes for d in done], axis=0),
        np.sum([d.rows for d in done], axis=0),
        float(sum(d.log_likelihood for d in done)),
    )


def _weights(votes: Votes) -> Floats:
    return _NONE if votes.weights is None else votes.weights


def expected(votes: Votes, table: Table) -> Counts:
    """One pass: the expected counts under a model, and its log-likelihood."""
    weights, (base, delta) = _weights(votes), table
    if len(base) == 2 and len(weights) == 0:
        return _expected_two(votes, base, delta)
    return _summed(
        votes,
        len(base),
        lambda starts, times, out, rows: sweep(
            starts, votes.annotators, votes.labels, weights, times, base, delta, out, rows
        ),
    )


def _expected_two(votes: Votes, base: Floats, delta: Floats) -> Counts:
    k, m = len(votes.classes), len(votes.names)
    step = (delta[:, :, 1] - delta[:, :, 0]).ravel()

    def work(starts: Any, times: Any, out: Floats, rows: Floats) -> float:
        second, seen = np.zeros(m * k), np.zeros(m * k)
        total, rows[0], rows[1] = sweep_two(
            starts, votes.annotators, votes.labels, times, k, base[1] - base[0], step, second, seen
        )
        out[:, :, 1], out[:, :, 0] = second.reshape(m, k), (seen - second).reshape(m, k)
        return float(total + rows.sum() * base[0] + seen @ delta[:, :, 0].ravel())

    return _summed(votes, 2, work)


def by_majority(votes: Votes, *, leave_out: bool = False) -> Counts:
    """The counts expected when a row's class is drawn from its votes; without the vote that is counted, if asked."""
    weights, k = _weights(votes), len(votes.classes)

    def work(starts: Any, times: Any, out: Floats, rows: Floats) -> float:
        tally(starts, votes.annotators, votes.labels, weights, times, k, int(leave_out), out, rows)
        return -np.inf

    return _summed(votes, k, work)


def posteriors(votes: Votes, table: Table) -> Floats:
    """The chance of each class on each row, shape (n, k); states of one class stand side by side in the table."""
    weights, (base, delta) = _weights(votes), table
    k = len(votes.classes)
    probs = np.empty((len(votes), k))
    per = max(1, len(base) // max(k, 1))

    def part(a: int, b: int) -> None:
        starts = votes.starts[a : b + 1]
        if len(base) == 2 and len(weights) == 0:
            step = (delta[:, :, 1] - delta[:, :, 0]).ravel()
            posterior_two(starts, votes.annotators, votes.labels, k, base[1] - base[0], step, probs[a:b])
            return
        posterior(starts, votes.annotators, votes.labels, weights, base, delta, per, probs[a:b], _NONE)

    over_rows(part, len(votes))
    return probs


def likelihoods(votes: Votes, table: Table) -> Floats:
    """The log-likelihood of each row's votes, shape (n,)."""
    base, delta = table
    logs = np.empty(len(votes))
    none = np.empty((0, len(base)))
    posterior(votes.starts, votes.annotators, votes.labels, _weights(votes), base, delta, 1, none, logs)
    return logs


def iterate(
    votes: Votes,
    step: Callable[[Counts], Table],
    *,
    start: Callable[[Votes], Counts] = by_majority,
    iterations: int = 200,
    tolerance: float = 1e-6,
) -> tuple[Table, Counts]:
    """Alternate ``step`` (the M-step: counts to tables) with passes until the log-likelihood stands still.

    Many rows are begun on an even sample of them, which leaves few passes to make over all.
    """
    some = _sample(votes)
    counts = start(some)
    table = step(counts)
    for part, most in [(some, iterations), (votes, AFTER_SAMPLE)] if some is not votes else [(votes, iterations)]:
        before = -np.inf
        for _ in range(most):
            counts = expected(part, table)
            if abs(counts.log_likelihood - before) <= tolerance * abs(counts.log_likelihood):
                break
            before = counts.log_likelihood
            table = step(counts)
    return table, counts


def _sample(votes: Votes) -> Votes:
    """Every so-manieth row where that leaves votes enough of every source, else all."""
    size = 200 * len(votes.names) * len(votes.classes)
    stride = len(votes.labels) // max(size, 40_000)
    return take(votes, np.arange(0, len(votes), stride)) if stride >= 4 else votes
