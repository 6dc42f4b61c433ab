"""Classes with subtypes: sources that err together on some kinds of rows, without naming the kinds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dross.models.crowd import Consensus
from dross.models.label_models.common import answer, covered
from dross.models.label_models.em import Counts, Table, iterate
from dross.models.votes import Votes

Floats = npt.NDArray[np.float64]
RIGHT, WRONG = 4.0, 1.0
"""Pseudo-votes of every source for the right class and for each other one."""
SHARE = 0.1
"""Pseudo-rows of a subtype: small, so that subtypes that are not needed stay empty."""


@dataclass(frozen=True)
class Fit:
    """A fitted model: the tables of the variational posterior, those of its means, and the counts."""

    table: Table
    means: Table
    counts: Counts


def pseudo_votes(k: int, subtypes: int) -> Floats:
    """The pseudo-votes for each answer on each subtype, the same for every source, shape (k, k × subtypes).

    >>> pseudo_votes(2, 1).tolist()
    [[4.0, 1.0], [1.0, 4.0]]
    """
    return np.repeat(np.where(np.eye(k, dtype=bool), RIGHT, WRONG), subtypes, axis=1)


def fit_subtypes(
    votes: Votes,
    subtypes: int,
    *,
    balance: Floats | None = None,
    rounds: int = 300,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> Fit:
    """Variational Bayes from the majority's labels, the subtypes of each row drawn at random."""
    k = len(votes.classes)
    pseudo = pseudo_votes(k, subtypes)

    def tables(counts: Counts) -> tuple[Table, Table]:
        return _tables(counts, subtypes, pseudo, balance, k)

    table, counts = iterate(
        votes,
        lambda counts: tables(counts)[0],
        start=lambda some: _start(some, subtypes, seed),
        iterations=rounds,
        tolerance=tolerance,
    )
    return Fit(table, tables(counts)[1], counts)


def _tables(counts: Counts, subtypes: int, pseudo: Floats, balance: Floats | None, k: int) -> tuple[Table, Table]:
    from scipy.special import digamma

    votes, rows = counts.votes + pseudo, counts.rows.reshape(k, subtypes)
    classes = rows.sum(axis=1) + 1.0
    within = rows + SHARE
    share = np.log(classes / classes.sum()) if balance is None else np.log(np.maximum(balance, 1e-12))
    mean = share[:, None] + np.log(within / within.sum(axis=1, keepdims=True))
    if balance is None:
        share = digamma(classes) - digamma(classes.sum())
    base = share[:, None] + digamma(within) - digamma(within.sum(axis=1, keepdims=True))
    total = votes.sum(axis=1, keepdims=True)
    return (base.ravel(), digamma(votes) - digamma(total)), (mean.ravel(), np.log(votes / total))


def _start(votes: Votes, subtypes: int, seed: int) -> Counts:
    """The counts when each row's class follows its votes and its subtype is drawn at random."""
    m, k, states = len(votes.names), len(votes.classes), len(votes.classes) * subtypes
    shares = votes.counts()
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    drawn = np.random.default_rng(seed).dirichlet(np.ones(subtypes), (len(votes), k)) if subtypes > 1 else 1.0
    belief: Floats = (shares[:, :, None] * drawn).reshape(len(votes), states)
    if votes.times is not None:
        belief *= votes.times[:, None]
    cell, rows = votes.annotators.astype(np.int64) * k + votes.labels, votes.rows
    weights = 1.0 if votes.weights is None else votes.weights
    out = np.stack([np.bincount(cell, weights * belief[rows, s], m * k) for s in range(states)], axis=1).astype(float)
    return Counts(out.reshape(m, k, states), belief.sum(axis=0))


def subtypes(votes: Votes, balance: Floats | None = None, *, count: int = 10, seed: int = 0) -> Consensus:
    """Each class is a mixture of subtypes, on each of which every source has its own confusion; variational Bayes.

    Li, Rubinstein, Cohn, "Exploiting Worker Correlation for Label Aggregation in Crowdsourcing", 2019 (EBCC): given the
    class alone, sources may be dependent, since they stumble over the same rows or copy the same leader. With ``count``
    1 it is the Bayesian Dawid-Skene model of Kim and Ghahramani, 2012. Abstention says nothing.
    O(rounds × votes × classes × subtypes).
    """
    seen, k = covered(votes), len(votes.classes)
    fitted = fit_subtypes(seen, count, balance=balance, seed=seed)
    m = len(votes.names)
    found = answer("subtypes" if count > 1 else "bayes", votes, fitted.table, collapse(fitted.counts, k), balance)
    confusion = collapse(fitted.counts, k).votes + pseudo_votes(k, 1)
    confusion /= confusion.sum(axis=1, keepdims=True)
    return replace(found, confusion=confusion.transpose(0, 2, 1).reshape(m, k, k))


def collapse(counts: Counts, k: int) -> Counts:
    """Counts by class from counts by subtype."""
    m, _, states = counts.votes.shape
    votes = counts.votes.reshape(m, k, k, states // k).sum(axis=3)
    return Counts(votes, counts.rows.reshape(k, -1).sum(axis=1), counts.log_likelihood)


def bayes(votes: Votes, balance: Floats | None = None) -> Consensus:
    """One subtype a class: the Bayesian Dawid-Skene model; sources with few votes are taken for fairly good."""
    return subtypes(votes, balance, count=1)
