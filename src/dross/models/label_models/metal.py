"""The matrix-completion label model: what sources say of each class, from how often their votes meet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dross.models.crowd import Consensus
from dross.models.label_models.common import answer, covered
from dross.models.label_models.em import Table, by_majority, expected
from dross.models.label_models.moments import pair_counts
from dross.models.votes import Votes

Floats = npt.NDArray[np.float64]
_RIDGE = 1e-4


def complete(meetings: Floats, alone: Floats, apart: npt.NDArray[np.bool_], start: Floats, balance: Floats) -> Floats:
    """The chances ``mu[i, a, y]`` that source ``i`` says ``a`` on a row of class ``y``, shape (m, k, k).

    ``meetings`` (m, k, m, k) are the shares of rows on which two votes meet, ``alone`` (m, k) the shares on which each
    vote stands, ``apart`` (m, m) the pairs to leave out. Solves ``meetings[i, :, j] = mu_i P mu_j'`` for all other
    pairs and ``mu_i p = alone_i`` by alternating least squares, a source at a time.
    """
    m, k = alone.shape
    mu, P = start.copy(), np.diag(balance)
    flat = meetings.reshape(m, k, m * k)
    joint = (~apart).astype(np.float64)
    np.fill_diagonal(joint, 0)
    mine = np.repeat(joint, k, axis=1)
    for _ in range(100):
        before = mu.copy()
        for i in range(m):
            others = (mu @ P).reshape(m * k, k) * mine[i][:, None]
            weight = max(joint[i].sum(), 1.0)
            gram = others.T @ others + weight * np.outer(balance, balance) + _RIDGE * np.eye(k)
            right = flat[i] @ others + weight * np.outer(alone[i], balance) + _RIDGE * start[i]
            mu[i] = np.clip(np.linalg.solve(gram, right.T).T, 1e-6, 1)
        if np.abs(mu - before).max() < 1e-5:
            break
    return mu


def metal(votes: Votes, balance: Floats | None = None) -> Consensus:
    """The class-conditional label model of Snorkel MeTaL, its matrix completed by alternating least squares.

    Ratner, Hancock, Dunnmon, Sala, Pandey, Ré, "Training Complex Models with Multi-Task Weak Supervision", 2019: for
    sources that are independent given the class, the second moments of the votes' indicators off the diagonal are
    ``mu P mu'``, of rank k; the diagonal is unknown and is completed. The paper takes gradient steps, which are slow
    and stop early; least squares a source at a time reaches the minimum. Pairs of sources that never vote on the same
    row though chance would let them meet (crowds share out the work) say nothing and are left out. A source's silence
    counts in how often it says what of each class, not as evidence of its own. The balance, if not given, is that of
    the votes. O(votes × m) once, then O(m² k²) a round.
    """
    seen = covered(votes)
    n = float(len(seen) if seen.times is None else seen.times.sum())
    m, k = len(votes.names), len(votes.classes)
    counts = pair_counts(seen)
    drawn = by_majority(seen)
    share = drawn.rows / max(drawn.rows.sum(), 1e-12) if balance is None else balance
    share = np.maximum(share, 1e-3) / np.maximum(share, 1e-3).sum()
    alone = drawn.votes.sum(axis=2) / max(n, 1.0)
    both = counts.sum(axis=(1, 3))
    by_chance = np.outer(alone.sum(axis=1), alone.sum(axis=1)) * n
    apart = (both == 0) & (by_chance > 0)
    start = drawn.votes / np.maximum(n * share, 1e-9)
    table: Table = np.log(share), np.log(complete(counts / max(n, 1.0), alone, apart, np.clip(start, 1e-6, 1), share))
    found = answer("metal", votes, table, expected(seen, table), share, likelihood=False)
    confusion = np.exp(table[1]) / np.exp(table[1]).sum(axis=1, keepdims=True)
    return replace(found, confusion=confusion.transpose(0, 2, 1).reshape(m, k, k))
