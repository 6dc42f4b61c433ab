"""Majority vote: every vote counts alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dross.models.crowd import Consensus
from dross.models.label_models.common import quality
from dross.models.label_models.em import by_majority
from dross.models.votes import Votes
from dross.models.votes import majority as shares

Floats = npt.NDArray[np.float64]


def majority(votes: Votes, balance: Floats | None = None) -> Consensus:
    """The share of each class among the row's votes; a given class balance breaks ties only.

    The quality of a source is its agreement with the other sources' votes on the same rows. O(votes).
    """
    probs = shares(votes)
    if balance is not None:
        probs = (probs + 1e-6 * balance) / (1 + 1e-6)
    counts = by_majority(votes, leave_out=True)
    share, interval = quality(counts)
    seen = counts.rows / max(float(counts.rows.sum()), 1e-12)
    return Consensus(probs, share, model="majority", interval=interval, balance=seen if balance is None else balance)
