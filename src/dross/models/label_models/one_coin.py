"""One accuracy a source, found together with the truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dross.models.crowd import Consensus
from dross.models.label_models.common import answer, covered
from dross.models.label_models.em import Counts, Table, iterate
from dross.models.label_models.weighted import accuracy_table
from dross.models.votes import Votes

Floats = npt.NDArray[np.float64]


def one_coin(votes: Votes, balance: Floats | None = None) -> Consensus:
    """Each source is right with one chance whatever the class, and wrong evenly; fitted by expectation maximisation.

    Zhang, Chen, Zhou, Jordan, "Spectral Methods Meet EM: A Provably Optimal Algorithm for Crowdsourcing", 2014, section
    2 (the one-coin model). Without a given balance all classes are alike beforehand: an estimated one lets the model
    call every row the common class. O(rounds × votes × classes).
    """
    k = len(votes.classes)
    base = np.full(k, -np.log(k)) if balance is None else np.log(np.maximum(balance, 1e-12))

    def step(counts: Counts) -> Table:
        return accuracy_table(counts, base)

    seen = covered(votes)
    table, counts = iterate(seen, step)
    return answer("one-coin", votes, table, counts, balance)
