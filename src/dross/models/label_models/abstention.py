"""Dawid and Skene with abstention as one more answer, whose chance depends on the class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dross.models.crowd import Consensus
from dross.models.label_models.common import answer
from dross.models.label_models.em import Counts, Table, iterate
from dross.models.votes import Votes

Floats = npt.NDArray[np.float64]
PSEUDO_ROWS = 16.0


def likely(counts: Counts, prior: Floats) -> Floats:
    """What a source that is as good as all together would say of each class, shape (m, k, k).

    A vote for ``l`` makes class ``c`` likelier by the same factor for every source; how often it says ``l`` is its own.
    """
    k = counts.votes.shape[1]
    pooled = counts.votes.sum(axis=0) + 1e-2 + 0.1 * np.eye(k)
    lift = pooled / pooled.sum(axis=1, keepdims=True) / prior
    said = counts.votes.sum(axis=2) / max(float(counts.rows.sum()), 1.0)
    expected: Floats = np.minimum(said[:, :, None] * lift, 0.9)
    return expected


def abstention_table(counts: Counts, balance: Floats | None) -> Table:
    """Tables of a model in which a source's silence, too, depends on the class; ``PSEUDO_ROWS`` rows a class are as
    :func:`likely` has them.
    """
    prior = (counts.rows + 1) / (counts.rows + 1).sum() if balance is None else balance
    prior = np.maximum(prior, 1e-9)
    usual = likely(counts, prior)
    said = counts.votes + PSEUDO_ROWS * usual
    silent = np.maximum(counts.rows - counts.votes.sum(axis=1), 0) + PSEUDO_ROWS * np.maximum(
        1 - usual.sum(axis=1), 0.05
    )
    total = said.sum(axis=1) + silent
    none = np.log(silent / total)
    base = np.log(prior) + none.sum(axis=0)
    return base, np.log(np.maximum(said / total[:, None], 1e-12)) - none[:, None]


def abstention(votes: Votes, balance: Floats | None = None) -> Consensus:
    """Confusion matrices with abstention as a (k+1)-th answer, fitted by expectation maximisation.

    The conditionally independent model of Ratner et al., "Data Programming: Creating Large Training Sets, Quickly",
    2016, in its class-conditional form; by maximum likelihood. It suits rules that vote for one class only. A pass
    costs O(votes × k), not O(n × m): the silence of all is one constant.
    """
    table, counts = iterate(votes, lambda c: abstention_table(c, balance))
    confusion = np.exp(table[1]) / np.exp(table[1]).sum(axis=1, keepdims=True)
    return replace(answer("abstention", votes, table, counts, balance), confusion=confusion.transpose(0, 2, 1))
