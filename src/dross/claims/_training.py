"""What the claims of trainers share: train, judge on clean rows, compare pairwise over seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dross.claims import Budget, interval
from dross.core.signal import Signals
from dross.models.trained import Trained
from dross.models.trainer import NetworkTrainer
from dross.testing.images import Exam

Measured = dict[str, float | tuple[float, float, float]]


def trained(method: NetworkTrainer, exam: Exam) -> Trained:
    """The model that a method makes of the exam's training rows."""
    model = method.run(exam.data, Signals(exam.data))
    assert isinstance(model, Trained), model
    return model


def accuracy(model: Trained, exam: Exam) -> float:
    """Right answers on the clean rows, in per cent."""
    return 100 * model.score(exam.test)


def memorised(model: Trained, exam: Exam) -> float:
    """Of the training rows with a wrong label, the share (in per cent) that the model answers with that label."""
    given = np.asarray(exam.data.codes)
    wrong = (given >= 0) & (given != exam.truth)
    return float(100 * (model.predict_proba(exam.data).argmax(axis=1) == given)[wrong].mean())


def balanced_accuracy(model: Trained, exam: Exam) -> float:
    """The mean recall over the classes on the clean rows, in per cent."""
    guess, truth = model.predict_proba(exam.test).argmax(axis=1), np.asarray(exam.test.codes)
    return float(100 * np.mean([(guess[truth == c] == c).mean() for c in np.unique(truth)]))


def over_seeds(budget: Budget, one: Callable[[int], Mapping[str, float]]) -> Measured:
    """Each number that ``one(seed)`` measures, as mean and 95 % interval over the seeds."""
    found: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, value in one(seed).items():
            found.setdefault(name, []).append(value)
    return {name: interval(values) for name, values in found.items()}


def mean(value: Any) -> float:
    """The estimate of an interval.

    >>> mean((1.0, 0.5, 1.5))
    1.0
    """
    return float(value[0])
