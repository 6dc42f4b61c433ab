"""Classifier: a trainer as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from dross.core.dataset import Dataset
from dross.models.trainer import NetworkTrainer


class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Any training method with ``fit``, ``predict_proba``, ``predict`` and ``score``, for scikit-learn's tools.

    Parameters
    ----------
    method
        A name, an alias, a configured trainer, or ``auto``; see :func:`dross.train.fit`.

    Attributes
    ----------
    model_
        The trained model; ``model_.save(FOLDER)`` writes it. A fitted classifier is not pickled.
    classes_
        The classes, sorted, shape (k,).

    Examples
    --------
    >>> from sklearn.base import clone
    >>> from dross.train.cross_entropy import CrossEntropy
    >>> X = np.repeat(np.eye(2, dtype=np.float32), 20, axis=0); y = np.repeat(["a", "b"], 20)
    >>> fitted = clone(Classifier(CrossEntropy(epochs=20))).fit(X, y)
    >>> fitted.predict(X[[0, 39]]).tolist(), fitted.score(X, y)
    (['a', 'b'], 1.0)
    """

    def __init__(self, method: str | NetworkTrainer = "auto") -> None:
        self.method = method

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train.

        ``X`` is a matrix (n, d), images (n, h, w) or (n, h, w, 3) of uint8, texts (n,), a table of features, or a
        Dataset with a label; ``y`` the class of each row, None or NaN where it is unknown.
        """
        from dross.job.training import fit

        self.model_ = fit(_rows(X, y), self.method)
        self.classes_ = np.array(self.model_.classes)
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float32]:
        """The chance of each class, shape (n, k)."""
        check_is_fitted(self, "model_")
        return self.model_.predict_proba(_rows(X))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The likeliest class of each row, shape (n,)."""
        found: npt.NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return found


def _rows(X: Any, y: Any = None) -> Dataset:
    """Anything that is a set of rows, as a dataset; texts and tables get the roles of text and features."""
    from dross.io import load

    if isinstance(X, Dataset):
        return X
    label = {} if y is None else {"label": y}
    if hasattr(X, "columns"):
        return load(X, features=list(X.columns), **label)
    if isinstance(next(iter(X), None), str):
        return load({"text": list(X)}, text="text", **label)
    return load(X=np.asarray(X), **label)
