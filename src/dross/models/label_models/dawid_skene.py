"""Dawid and Skene: a confusion matrix a source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dross.models.crowd import Consensus
from dross.models.label_models.common import SMOOTHING, answer, covered, log_balance
from dross.models.label_models.em import Counts, Table, iterate
from dross.models.votes import Votes

Floats = npt.NDArray[np.float64]


def confusion_table(counts: Counts, balance: Floats | None) -> Table:
    """Tables from expected counts: how often each source says ``l`` of class ``c``, with a little of the pooled one."""
    k = counts.votes.shape[1]
    pooled = counts.votes.sum(axis=0) + 1e-3
    pooled /= pooled.sum(axis=0, keepdims=True)
    confusion = counts.votes + SMOOTHING * k * pooled
    confusion /= confusion.sum(axis=1, keepdims=True)
    return log_balance(counts, balance), np.log(np.maximum(confusion, 1e-12))


def dawid_skene(votes: Votes, balance: Floats | None = None) -> Consensus:
    """Each source has a confusion matrix; abstaining says nothing; fitted by expectation maximisation.

    Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", 1979. A source that
    only ever votes for one class carries no information here: see :mod:`abstention` for those. O(rounds × votes × k).
    """
    seen = covered(votes)
    table, counts = iterate(seen, lambda c: confusion_table(c, balance))
    return replace(answer("dawid-skene", votes, table, counts, balance), confusion=np.exp(table[1]).transpose(0, 2, 1))
