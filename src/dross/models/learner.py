"""Learner: models of one family, each fitted without one fold, and the predictions they make for the rows left out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from dross.core.compiled import threads

Rows = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]
Matrix = Any
"""Features: an array (n, d) or a ``scipy.sparse.csr_matrix``."""
Features = Callable[[Rows], Matrix]
"""Gives the features of the rows asked for, so that they need not all be in memory at once."""
Scorer = Callable[[Matrix], Scores]
"""Scores rows of features, shape (m, k): logits up to a common scale, or predicted numbers."""
BATCH = 16_384


@dataclass(frozen=True)
class Target:
    """What is to be predicted of each row.

    Attributes
    ----------
    matrix
        Shape (n, k): sparse one-hot (one class each) or multi-hot (several labels), or a dense column of numbers.
    kind
        Which of the three.
    """

    matrix: Matrix
    kind: Literal["class", "labels", "number"]

    @classmethod
    def classes(cls, codes: Codes, k: int) -> Target:
        """One class per row, shape (n,), each in 0 … k - 1.

        >>> Target.classes(np.array([1, 0], np.int32), 3).matrix.toarray().tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
        """
        from scipy.sparse import csr_matrix

        n = len(codes)
        return cls(csr_matrix((np.ones(n, np.float32), codes, np.arange(n + 1)), shape=(n, k)), "class")

    @property
    def codes(self) -> Codes:
        """The class of each row, where it has one."""
        return np.asarray(self.matrix.indices, np.int32)

    @property
    def width(self) -> int:
        """How many columns: classes, labels, or one number."""
        return int(self.matrix.shape[1])

    def __getitem__(self, rows: Any) -> Target:
        return Target(self.matrix[rows], self.kind)

    def __len__(self) -> int:
        return int(self.matrix.shape[0])


class Learner(ABC):
    """Models of one family for one problem: the training rows and their folds are given, a model each leaves one out.

    ``strengths`` are the settings to choose from, from the most to the least flexible.
    """

    name: ClassVar[str]
    strengths: ClassVar[tuple[float, ...]] = (1.0,)
    parallel: ClassVar[bool] = False
    """Whether models may be fitted on several threads at once (those that run on one core and release the lock)."""

    def __init__(self, X: Matrix, target: Target, fold: Codes) -> None:
        self.X, self.target, self.fold = X, target, fold

    @classmethod
    @abstractmethod
    def most_rows(cls, sample: Matrix, width: int) -> int:
        """How many training rows keep a fit in bounds, judged by some rows of features; 0 where it is not for this."""

    @abstractmethod
    def without(self, fold: int, strength: float) -> Scorer:
        """A model fitted on all training rows but those of one fold."""


def batches(rows: Rows, size: int = BATCH) -> Iterator[Rows]:
    """Consecutive pieces of some rows.

    >>> [len(b) for b in batches(np.arange(5), 2)]
    [2, 2, 1]
    """
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def out_of_fold(
    learner: Learner,
    strength: float,
    features: Features,
    fold: Codes,
    count: int,
    everywhere: npt.NDArray[np.bool_],
    progress: Callable[[int], None] = lambda done: None,
) -> Scores:
    """Score each row by the model that left its fold out, shape (n, k), float32.

    Rows marked in ``everywhere`` (those that no model was fitted on) get the mean of all models. ``progress`` is
    called with the number of folds done.
    """
    scores = np.zeros((len(fold), learner.target.width), np.float32)
    free = np.flatnonzero(everywhere)

    def predict(f: int) -> Scores:
        scorer = learner.without(f, strength)
        for rows in batches(np.flatnonzero((fold == f) & ~everywhere)):
            scores[rows] = scorer(features(rows))
        parts = [scorer(features(rows)) for rows in batches(free)]
        return np.concatenate(parts) if parts else np.zeros((0, scores.shape[1]), np.float32)

    workers = threads() if learner.parallel else 1
    with ThreadPoolExecutor(workers) as pool:
        for done, found in enumerate(pool.map(predict, range(count)), 1):
            scores[free] += found / np.float32(count)
            progress(done)
    return scores


def score_fold(learner: Learner, strength: float, features: Features, f: int, rows: Rows) -> Scores:
    """Score some rows by the model that left fold ``f`` out, shape (m, k)."""
    scorer = learner.without(f, strength)
    parts = [scorer(features(piece)) for piece in batches(rows)]
    return np.concatenate(parts) if parts else np.zeros((0, learner.target.width), np.float32)
