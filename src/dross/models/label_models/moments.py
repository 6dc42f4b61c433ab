"""How often each pair of votes meets on a row: the sufficient statistics of the models without iterations over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel
from dross.models.votes import Votes

Floats = npt.NDArray[np.float64]
_NONE = np.empty(0)


@kernel()
def meet(starts: Any, sources: Any, labels: Any, weights: Any, times: Any, k: int, out: Any) -> None:
    """Add the weight of every pair of votes of a row; ``out`` is (m × k, m × k)."""
    weighted, repeated = len(weights) > 0, len(times) > 0
    for i in range(len(starts) - 1):
        count = times[i] if repeated else 1.0
        for v in range(starts[i], starts[i + 1]):
            w = count * (weights[v] if weighted else 1.0)
            a = sources[v] * k + labels[v]
            for u in range(starts[i], v + 1):
                both = w * (weights[u] if weighted else 1.0)
                out[a, sources[u] * k + labels[u]] += both


@kernel()
def meet_by_class(starts: Any, sources: Any, labels: Any, times: Any, k: int, probs: Any, out: Any) -> None:
    """The same, shared out over the classes by the row's posterior; ``out`` is (m × k, m × k, k)."""
    repeated = len(times) > 0
    for i in range(len(starts) - 1):
        count = times[i] if repeated else 1.0
        for v in range(starts[i], starts[i + 1]):
            a = sources[v] * k + labels[v]
            for u in range(starts[i], v + 1):
                b = sources[u] * k + labels[u]
                for c in range(k):
                    out[a, b, c] += count * probs[i, c]


def pair_counts(votes: Votes) -> Floats:
    """``out[i, a, j, b]``: on how many rows source ``i`` says ``a`` and ``j`` says ``b``, shape (m, k, m, k)."""
    m, k = len(votes.names), len(votes.classes)
    out = np.zeros((m * k, m * k))
    weights = _NONE if votes.weights is None else votes.weights
    times = _NONE if votes.times is None else votes.times
    meet(votes.starts, votes.annotators, votes.labels, weights, times, k, out)
    out += np.tril(out, -1).T
    return out.reshape(m, k, m, k)


def pair_counts_by_class(votes: Votes, probs: Floats) -> Floats:
    """``out[i, a, j, b, c]``: the same for rows of class ``c``, in expectation, shape (m, k, m, k, k)."""
    m, k = len(votes.names), len(votes.classes)
    out = np.zeros((m * k, m * k, k))
    times = _NONE if votes.times is None else votes.times
    meet_by_class(votes.starts, votes.annotators, votes.labels, times, k, probs, out)
    out += np.tril(out.transpose(2, 0, 1), -1).transpose(2, 1, 0)
    return out.reshape(m, k, m, k, k)
