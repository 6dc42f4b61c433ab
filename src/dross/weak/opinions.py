"""Another opinion: the rows whose consensus one more vote is most likely to mend."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dross.models.crowd import Consensus
from dross.models.votes import Votes

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
_ROUNDING = 1e-9


def vote_of_one_more(votes: Votes, belief: Consensus) -> Floats:
    """How a further annotator is expected to vote: the chance of each answer (column) on each class (row), (k, k).

    Read from the votes there are, each counted by what the consensus believes of its row; one vote's worth of evenly
    spread answers keeps a class that was hardly met from looking certain.

    >>> from dross.models.votes import from_matrix
    >>> votes = from_matrix(np.array([[0, 0], [1, 0]]), 2)
    >>> vote_of_one_more(votes, Consensus(np.array([[1.0, 0.0], [0.0, 1.0]]), np.ones(2))).round(3).tolist()
    [[0.833, 0.167], [0.5, 0.5]]
    """
    k = len(votes.classes)
    weights = np.ones(len(votes.labels)) if votes.weights is None else votes.weights
    believed = belief.probs[votes.rows] * weights[:, None]
    counts = np.stack([np.bincount(votes.labels, believed[:, c], k) for c in range(k)]) + 1 / max(1, k)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def expected_gain(probs: Floats, vote: Floats) -> Floats:
    """By how much one more vote raises the chance that the likeliest class is right, shape (n,), at least 0.

    With chances p of the classes and a vote j of chance q(j | c): the sum over j of max over c of p(c) q(j | c), less
    max over c of p(c). It is 0 where no single vote could change the answer. O(n k²).

    >>> vote = np.array([[0.75, 0.25], [0.25, 0.75]])
    >>> expected_gain(np.array([[0.5, 0.5], [0.9, 0.1]]), vote).tolist()
    [0.25, 0.0]
    """
    after = np.zeros(len(probs))
    for j in range(vote.shape[1]):
        after += (probs * vote[:, j]).max(axis=1, initial=0.0)
    gain = after - probs.max(axis=1, initial=0.0)
    return np.where(gain > _ROUNDING, gain, 0.0)


def ask_again(votes: Votes, belief: Consensus, count: int | None = None) -> tuple[Rows, Floats]:
    """The rows to send for another opinion, the most worthwhile first, and the gain to expect of one more vote on each.

    Rows on which no single vote would change the answer follow by how doubtful they are, for there two votes may. Rows
    without a vote come with what they are: the class balance is all that is known of them.

    Parameters
    ----------
    votes, belief
        The votes, and what a label model makes of them.
    count
        How many rows; all when absent.

    Examples
    --------
    >>> from dross.models.label_models import fit
    >>> from dross.models.votes import from_matrix
    >>> votes = from_matrix(np.array([[0, 0, 0], [1, 1, 1], [0, 1, -1], [1, 1, 0]]), 2)
    >>> ask_again(votes, fit("majority", votes), 2)[0].tolist()
    [2, 3]
    """
    gain = expected_gain(belief.probs, vote_of_one_more(votes, belief))
    doubt = 1 - belief.probs.max(axis=1, initial=0.0)
    order = np.lexsort((np.arange(len(gain)), -doubt, -gain))[:count]
    return order.astype(np.int64), gain[order]
