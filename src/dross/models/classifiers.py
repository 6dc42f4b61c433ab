"""scikit-learn's models as learners: logistic regression, and boosted trees for classes and numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.models.learner import Learner, Matrix, Scorer, Scores

Present = npt.NDArray[np.integer]
FEW_CELLS = 200_000
"""Rows times columns up to which one thread is as fast as two, and much faster where the machine is busy."""


class Logistic(Learner):
    """Multinomial logistic regression; a strength is the inverse of the L2 penalty.

    The features are centred and divided by one number, so that directions of little spread stay weak.
    """

    name: ClassVar[str] = "logistic"
    strengths: ClassVar[tuple[float, ...]] = (10.0, 1.0, 0.1, 0.01)

    @classmethod
    def most_rows(cls, sample: Matrix, width: int) -> int:
        """A billion features times classes, but never fewer than 5,000 rows; not for more than 300 classes."""
        return max(5000, 1_000_000_000 // max(1, sample.shape[1] * width)) if width <= 300 else 0

    def without(self, fold: int, strength: float) -> Scorer:
        """Fit on the other folds' rows."""
        from sklearn.linear_model import LogisticRegression

        kept = self.fold != fold
        X, codes = self.X[kept], self.target.codes[kept]
        if len(np.unique(codes)) < 2:
            return constant(self.target.matrix[kept])
        centre = X.mean(axis=0)
        scale = np.sqrt(np.square(X - centre).mean()) or np.float32(1)
        model = LogisticRegression(C=strength, max_iter=100)
        with quiet(), one_thread(X.size < FEW_CELLS):
            model.fit((X - centre) / scale, codes)
        width = self.target.width
        return lambda rows: complete(model.decision_function((rows - centre) / scale), model.classes_, width)


@contextmanager
def quiet() -> Iterator[None]:
    """Without scikit-learn's warnings that a hundred steps were too few and that there are many classes.

    The steps are enough for probabilities that are calibrated afterwards; the classes are the user's.
    """
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The number of unique classes")
        yield


@contextmanager
def one_thread(wanted: bool) -> Iterator[None]:
    """On one thread: on small data several cost more time in waiting for each other than they save."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1 if wanted else None):
        yield


class BoostedTrees(Learner):
    """Histogram gradient boosting, classes or a number; a strength is the number of leaves of a tree.

    The features are the columns for trees; the first row of ``categories`` says which of them are categories.
    """

    name: ClassVar[str] = "boosted trees"
    strengths: ClassVar[tuple[float, ...]] = (31, 8)

    @classmethod
    def most_rows(cls, sample: Matrix, width: int) -> int:
        """A million rows times classes, at most 100,000; not for more than 400 columns times classes, which is slow."""
        return min(100_000, 1_000_000 // width) if width * sample.shape[1] <= 400 else 0

    def __init__(self, X: Matrix, target: Any, fold: Any, categories: npt.NDArray[np.bool_] | None = None) -> None:
        super().__init__(X, target, fold)
        self.categories = categories if categories is not None and categories.any() else None

    def without(self, fold: int, strength: float) -> Scorer:
        """Fit 100 trees (per class) on the other folds' rows."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        kept = self.fold != fold
        options = {
            "max_leaf_nodes": int(strength),
            "l2_regularization": 1.0,
            "early_stopping": False,
            "categorical_features": self.categories,
            "random_state": 0,
        }
        empty = ~np.isfinite(self.X[kept]).any(axis=0)

        def known(rows: Matrix) -> Matrix:
            return np.where(empty, 0.0, rows) if empty.any() else rows  # a column without values cannot be binned

        X, target = known(self.X[kept]), self.target[kept]
        if target.kind == "number" and not len(target):
            return lambda rows: np.zeros((len(rows), 1), np.float32)
        if target.kind == "number":
            with one_thread(X.size < FEW_CELLS):
                trees = HistGradientBoostingRegressor(**options).fit(X, target.matrix.ravel())

            def foretell(rows: Matrix) -> Scores:
                with one_thread(rows.size < FEW_CELLS):
                    return np.asarray(trees.predict(known(rows)), np.float32)[:, None]

            return foretell
        if len(np.unique(target.codes)) < 2:
            return constant(target.matrix)
        model = HistGradientBoostingClassifier(**options)
        with quiet(), one_thread(X.size < FEW_CELLS):
            model.fit(X, target.codes)

        def decide(rows: Matrix) -> Scores:
            with one_thread(rows.size < FEW_CELLS):
                return complete(model.decision_function(known(rows)), model.classes_, target.width)

        return decide


def constant(seen: Any) -> Callable[[Matrix], Scores]:
    """Scores every row by the logarithm of how frequent each class was in ``seen``, one-hot, shape (n, k).

    >>> from dross.models.learner import Target
    >>> constant(Target.classes(np.array([1, 1], np.int32), 2).matrix)(np.zeros((1, 3))).argmax()
    np.int64(1)
    """
    counts = np.asarray(seen.sum(axis=0)).ravel()
    scores = np.log((counts + 0.5) / (counts + 0.5).sum()).astype(np.float32)
    return lambda rows: np.tile(scores, (rows.shape[0], 1))


def complete(decision: npt.NDArray[Any], present: Present, k: int) -> Scores:
    """scikit-learn's decision values as logits of all k classes, shape (m, k).

    Of two classes it gives one column, the logarithm of the odds. A class that was not among the training rows gets
    the score of the row's least likely one, less three.

    >>> complete(np.array([2.0]), np.array([0, 2]), 3).tolist()
    [[-1.0, -4.0, 1.0]]
    """
    seen = np.stack([-decision / 2, decision / 2], axis=1) if decision.ndim == 1 else decision
    if len(present) == k:
        return seen.astype(np.float32)
    scores = np.repeat(seen.min(axis=1, keepdims=True) - 3, k, axis=1)
    scores[:, present] = seen
    return scores.astype(np.float32)
