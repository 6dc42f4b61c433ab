"""Linear models on n-grams: softmax (one class) or logistic (several labels) regression learnt row by row."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel
from dross.models.learner import Learner, Matrix, Scorer, Scores

PASSES = 5
DECAY = 0.003
"""How strongly weights are drawn to zero at small rates; at large ones that would undo what rare classes learnt."""
MOST_WEIGHTS = 1 << 25
MOST_WORK = 1 << 30
"""Entries of the training rows times classes, about: a few seconds for each pass over the data."""
MOST_ENTRIES = 1 << 25


@kernel(fastmath=True)
def residual(p: Any, labels: Any, first: int, last: int, exclusive: bool) -> np.float32:
    """Turn scores, in place, into probabilities less the given labels; returns the sum of their squares.

    Probabilities over all classes together where one excludes the others, else of each label by itself.
    """
    k, one = len(p), np.float32(1)
    top, total = np.float32(0), one
    if exclusive:
        total = np.float32(0)
        for c in range(k):
            top = max(top, p[c])
        for c in range(k):
            total += np.exp(p[c] - top)
    for c in range(k):
        p[c] = np.exp(p[c] - top) / total if exclusive else one / (one + np.exp(-p[c]))
    for j in range(first, last):
        p[labels[j]] -= one
    size = np.float32(0)
    for c in range(k):
        size += p[c] * p[c]
    return size


@kernel(fastmath=True)
def learn(
    starts: Any, columns: Any, values: Any, label_starts: Any, labels: Any, order: Any,
    W: Any, bias: Any, energy: Any, rate: np.float32, decay: np.float32, exclusive: bool,
) -> None:  # fmt: skip
    """One pass of AdaGrad over sparse rows: the step of a feature shrinks with the gradients it has seen.

    ``W`` (m, k), ``bias`` (k,) and ``energy`` (m + 1,), the sums of squared gradients, are changed in place.
    """
    m, k = W.shape
    p = np.empty(k, np.float32)
    for t in range(len(order)):
        i = order[t]
        for c in range(k):
            p[c] = bias[c]
        for j in range(starts[i], starts[i + 1]):
            f, v = columns[j], values[j]
            for c in range(k):
                p[c] += v * W[f, c]
        size = residual(p, labels, label_starts[i], label_starts[i + 1], exclusive)
        energy[m] += size
        step = np.float32(0.1) * rate / np.sqrt(energy[m])
        for c in range(k):
            bias[c] -= step * p[c]
        for j in range(starts[i], starts[i + 1]):
            f, v = columns[j], values[j]
            energy[f] += v * v * size
            step = rate / np.sqrt(energy[f])
            kept, push = np.float32(1) - step * decay, step * v
            for c in range(k):
                W[f, c] = kept * W[f, c] - push * p[c]


class NgramLinear(Learner):
    """A linear model on TF-IDF weights of n-grams, learnt by AdaGrad in five passes.

    Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", 2011, with one
    step size per feature. A smaller rate stays nearer to zero, which is what noisy labels ask for. The rows are taken
    in the order they are given in: give them in random order. O(entries · k) for each pass.
    """

    name: ClassVar[str] = "n-grams"
    strengths: ClassVar[tuple[float, ...]] = (1.0, 0.5, 0.2, 0.1, 0.05)
    parallel: ClassVar[bool] = True

    @classmethod
    def most_rows(cls, sample: Matrix, width: int) -> int:
        """As many rows as the budget of work and memory allows."""
        if sample.shape[1] * width > MOST_WEIGHTS:
            return 0
        entries = max(1.0, sample.nnz / max(1, sample.shape[0]))
        return int(min(MOST_WORK / (PASSES * width), MOST_ENTRIES) / entries)

    def without(self, fold: int, strength: float) -> Scorer:
        """Learn from the other folds' rows."""
        X, Y = self.X, self.target.matrix
        m, k = X.shape[1], self.target.width
        decay = DECAY if strength < 0.3 else 0.0
        W, bias = np.zeros((m, k), np.float32), np.zeros(k, np.float32)
        rows = (np.asarray(X.indptr, np.int64), np.asarray(X.indices, np.int32), X.data)
        given = (np.asarray(Y.indptr, np.int64), np.asarray(Y.indices, np.int32))
        order, energy = np.flatnonzero(self.fold != fold), np.full(m + 1, 1e-3, np.float32)
        exclusive = self.target.kind == "class"
        for _ in range(PASSES):
            learn(*rows, *given, order, W, bias, energy, np.float32(strength), np.float32(decay), exclusive)

        def score(rows: Matrix) -> Scores:
            found: npt.NDArray[np.float32] = rows @ W + bias
            return found

        return score
