"""The usual model of a proof: linear on the embedding, as strongly regularised as the data it is given calls for."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from dross.job.arms import Arm, Material
from dross.job.paired import Numbers, Scored

PENALTIES = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
"""Strengths of the quadratic penalty to choose from (the inverse of scikit-learn's C), strongest first."""
FOLDS = 4


MOST_ROWS = 20_000
MOST_WORK = 3e7


class Learner(Protocol):
    """What a proof trains in each arm."""

    @property
    def plain(self) -> Learner | None:
        """Plain training, to stand beside it; None where it is plain itself."""
        ...

    def name(self, k: int | None) -> str:
        """What was trained, for k classes or (None) a number."""
        ...

    def most_rows(self, width: int, k: int) -> int:
        """On how many rows of ``width`` numbers it is trained at most, to save time."""
        ...

    def tuned(self, arm: Arm, k: int | None, seed: int) -> Self:
        """The same with what it chooses chosen, once and on raw rows, for all arms."""
        ...

    def score(self, arm: Arm, material: Material, held: npt.NDArray[np.int64]) -> Scored:
        """Fit it to an arm and let it answer for the test rows."""
        ...


@dataclass(frozen=True)
class Linear:
    """Logistic or ridge regression on the embedding; ``penalty`` is the strength of its quadratic penalty."""

    penalty: float = 1.0

    @property
    def plain(self) -> None:
        """It is plain itself."""
        return None

    def name(self, k: int | None) -> str:
        """What was trained."""
        kind = "ridge regression" if k is None else "logistic regression"
        return f"{kind} on the embedding, its penalty chosen on the raw data by cross-validation"

    def most_rows(self, width: int, k: int) -> int:
        """As many as fit in a few seconds."""
        return min(MOST_ROWS, max(2000, int(MOST_WORK / (width * k))))

    def tuned(self, arm: Arm, k: int | None, seed: int) -> Self:
        """The same with the penalty that :func:`tune` chooses."""
        return replace(self, penalty=tune(arm, k, seed))

    def score(self, arm: Arm, material: Material, held: npt.NDArray[np.int64]) -> Scored:
        """Fit and answer."""
        scale = scale_of(arm.X)
        X, X_test = arm.X * scale, material.vectors[held] * scale
        if material.changes.classes is None:
            return answered(material, held, numbers(X, arm.y, arm.weight, X_test, self.penalty))
        k = len(material.changes.classes)
        return answered(material, held, class_probabilities(X, arm.y, arm.weight, X_test, k, self.penalty))


def answered(material: Material, held: npt.NDArray[np.int64], said: Numbers) -> Scored:
    """What a model says of test rows, chances (t, k) or numbers (t,), beside the truth."""
    truth, group = material.truth[held], material.group[held]
    if material.changes.classes is None:
        return Scored(truth, said, np.ones(len(held)), group)
    codes = truth.astype(np.int64)
    return Scored(codes, said.argmax(1), said[np.arange(len(held)), codes], group)


def tune(arm: Arm, k: int | None, seed: int) -> float:
    """The strongest penalty whose cross-validated loss is within one standard error of the least.

    The loss is the error rate, or the squared error in regression; the rule is that of Breiman, Friedman, Olshen and
    Stone, "Classification and Regression Trees", 1984. The penalty is chosen once, on raw rows, for all arms: a model
    that is too free learns wrong labels by heart, and any cleaning would seem to help; arms that chose for themselves
    would differ in more than their rows.
    """
    n = len(arm.y)
    fold = np.random.default_rng(seed).permutation(np.arange(n) % FOLDS)
    X = arm.X * scale_of(arm.X)
    losses = np.empty((len(PENALTIES), n))
    for i, penalty in enumerate(PENALTIES):
        for f in range(FOLDS):
            rest, held = fold != f, fold == f
            train = X[rest], arm.y[rest], arm.weight[rest]
            if k is None:
                losses[i, held] = (numbers(*train, X[held], penalty) - arm.y[held]) ** 2
            else:
                losses[i, held] = class_probabilities(*train, X[held], k, penalty).argmax(axis=1) != arm.y[held]
    means = losses.mean(axis=1)
    best = int(np.argmin(means))
    bound = means[best] + losses[best].std(ddof=1) / np.sqrt(n)
    return PENALTIES[int(np.argmax(means <= bound))]


def scale_of(X: npt.NDArray[Any]) -> float:
    """What to multiply vectors of d numbers by so that their mean square length is d, whatever the embedding."""
    return float(np.sqrt(X.shape[1] / max(float(np.mean(np.sum(X**2, axis=1))), 1e-12)))


def numbers(X: npt.NDArray[Any], y: Numbers, weight: Numbers, X_test: npt.NDArray[Any], penalty: float) -> Numbers:
    """What a ridge regression trained on (X, y) says of the test rows, shape (t,)."""
    from sklearn.linear_model import Ridge

    guess: Numbers = Ridge(alpha=penalty).fit(X, y, sample_weight=weight).predict(X_test)
    return guess


def class_probabilities(
    X: npt.NDArray[Any], y: Numbers, weight: Numbers, X_test: npt.NDArray[Any], k: int, penalty: float = 1.0
) -> Numbers:
    """What a logistic regression trained on (X, y) says of the test rows, shape (t, k), every entry above zero.

    Classes it has not seen, and certainty, are tempered as by one imaginary row of each class: the answer is mixed
    with the uniform distribution at weight k / (n + k). One class in y gives that class alone.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    probs = np.zeros((len(X_test), k))
    X, codes, weight = X[weight > 0], y[weight > 0].astype(np.int64), weight[weight > 0]
    seen = np.unique(codes)
    if len(seen) < 2:
        probs[:, seen] = 1.0
    else:
        with warnings.catch_warnings():
            # the arms are compared at equal effort; a fit that stops at the limit is good enough and no news
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=1 / penalty, max_iter=200, tol=1e-3).fit(X, codes, sample_weight=weight)
        probs[:, seen] = model.predict_proba(X_test)
    return tempered(probs, len(codes))


def tempered(probs: Numbers, rows: int) -> Numbers:
    """Chances as if one more row of each class had been among the rows; the uniform ones without any row.

    >>> tempered(np.array([[1.0, 0.0]]), 2).tolist()
    [[0.75, 0.25]]
    """
    k = probs.shape[1]
    share = k / (rows + k)
    mixed: Numbers = (1 - share) * probs + share / k
    return mixed
