"""Linear models on n-grams: softmax (one class) or logistic (several labels) regression learnt row by row."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel
from dross.models.learner import Learner, Matrix, Scorer, Scores

PASSES = 5
DECAY = np.float32(0.003)
MOST_WEIGHTS = 1 << 25
MOST_WORK = 1 << 30
"""Entries of the training rows times classes, about: a few seconds for each pass over the data."""
MOST_ENTRIES = 1 << 25


@kernel(fastmath=True)
def spread_of(scores: Any, exclusive: bool) -> None:
    """Turn scores into probabilities, in place: over all classes together, or of each label by itself."""
    if exclusive:
        top = scores.max()
        total = np.float32(0)
        for c in range(len(scores)):
            scores[c] = np.exp(scores[c] - top)
            total += scores[c]
        for c in range(len(scores)):
            scores[c] /= total
    else:
        for c in range(len(scores)):
            scores[c] = np.float32(1) / (np.float32(1) + np.exp(-scores[c]))


@kernel(fastmath=True)
def learn(
    starts: Any, columns: Any, values: Any, label_starts: Any, labels: Any, order: Any,
    W: Any, bias: Any, energy: Any, rate: np.float32, decay: np.float32, passes: int, exclusive: bool,
) -> None:  # fmt: skip
    """Passes of AdaGrad over sparse rows: the step of a feature shrinks with the gradients it has seen.

    ``W`` (m, k), ``bias`` (k,) and ``energy`` (m + 1,), the sums of squared gradients, are changed in place.
    """
    m, k = W.shape
    p = np.empty(k, np.float32)
    for _ in range(passes):
        for i in order:
            p[:] = bias
            for j in range(starts[i], starts[i + 1]):
                w, v = W[columns[j]], values[j]
                for c in range(k):
                    p[c] += v * w[c]
            spread_of(p, exclusive)
            for j in range(label_starts[i], label_starts[i + 1]):
                p[labels[j]] -= np.float32(1)
            size = np.float32(0)
            for c in range(k):
                size += p[c] * p[c]
            energy[m] += size
            step = np.float32(0.1) * rate / np.sqrt(energy[m])
            for c in range(k):
                bias[c] -= step * p[c]
            for j in range(starts[i], starts[i + 1]):
                w, v = W[columns[j]], values[j]
                energy[columns[j]] += v * v * size
                step = rate / np.sqrt(energy[columns[j]])
                kept, push = np.float32(1) - step * decay, step * v
                for c in range(k):
                    w[c] = kept * w[c] - push * p[c]


class NgramLinear(Learner):
    """A linear model on TF-IDF weights of n-grams, learnt by AdaGrad in five passes.

    Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", 2011, with one
    step size per feature. A smaller rate stays nearer to zero, which is what noisy labels ask for. The rows are taken
    in the order they are given in: give them in random order. O(entries · k) for each pass.
    """

    name: ClassVar[str] = "n-grams"
    strengths: ClassVar[tuple[float, ...]] = (0.5, 0.2, 0.1, 0.05)
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
        W, bias = np.zeros((m, k), np.float32), np.zeros(k, np.float32)
        learn(
            np.asarray(X.indptr, np.int64), np.asarray(X.indices, np.int32), X.data,
            np.asarray(Y.indptr, np.int64), np.asarray(Y.indices, np.int32), np.flatnonzero(self.fold != fold),
            W, bias, np.full(m + 1, 1e-3, np.float32),
            np.float32(strength), DECAY, PASSES, self.target.kind == "class",
        )  # fmt: skip

        def score(rows: Matrix) -> Scores:
            found: npt.NDArray[np.float32] = rows @ W + bias
            return found

        return score
