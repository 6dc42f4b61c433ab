"""What the claims of trainers share: train, judge on clean rows, compare pairwise over seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from dross.claims import Budget, interval
from dross.core.signal import Signals
from dross.models.lesson import lesson_of
from dross.models.loop import Run, over
from dross.models.trained import Trained
from dross.models.trainer import NetworkTrainer
from dross.testing.images import Exam, digits_exam
from dross.train.cross_entropy import CrossEntropy

Measured = dict[str, float | tuple[float, float, float]]
Noted = Callable[[Run, Any, Any], None]


def trained(method: NetworkTrainer, exam: Exam) -> Trained:
    """The model that a method makes of the exam's training rows."""
    model = method.run(exam.data, Signals(exam.data))
    assert isinstance(model, Trained), model
    return model


def finished(method: NetworkTrainer, exam: Exam, noted: Noted | None = None) -> tuple[Run, float]:
    """A finished training with all that the method remembers, and its right answers on the clean rows in per cent."""
    import torch

    lesson = replace(lesson_of(method, exam.data, Signals(exam.data)), noted=noted)
    run = method.learn(lesson)
    inputs = torch.from_numpy(lesson.encoder(exam.test))
    probs = over(run.nets, lambda x: method.answer(run.nets, x, "class"), inputs, run.device)
    guesses = np.asarray(exam.data.classes)[probs.argmax(dim=1).cpu().numpy()]
    return run, float(100 * (guesses == np.asarray(exam.test.classes)[exam.test.codes]).mean())


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


# ---- against cross-entropy on wrong labels -----------------------------------------------------------------------


@cache
def plain_on_noise(seed: int, noise: float, kind: str, epochs: int) -> tuple[Exam, Trained]:
    """Digits with wrong labels, and what cross-entropy makes of them; trained once for all claims that compare."""
    exam = digits_exam(seed, noise=noise, kind=kind)
    return exam, trained(CrossEntropy(epochs=epochs, seed=seed), exam)


def surely(value: Any) -> float:
    """The lower end of an interval; NaN over a single seed.

    >>> surely((1.0, 0.5, 1.5))
    0.5
    """
    return float(value[1])


def on_noise(
    seed: int, method: NetworkTrainer, noise: float = 0.4, kind: str = "symmetric"
) -> tuple[dict[str, float], Trained]:
    """How a method fares against cross-entropy, trained as long, on 1,000 digits with wrong labels; and its model."""
    exam, plain = plain_on_noise(seed, noise, kind, method.epochs)
    ours = trained(method, exam)
    before, after = accuracy(plain, exam), accuracy(ours, exam)
    measured = {
        "accuracy of cross-entropy": before,
        "points gained": after - before,
        "wrong labels memorised by cross-entropy, %": memorised(plain, exam),
        "wrong labels memorised, %": memorised(ours, exam),
    }
    return measured, ours


def resists(measured: Measured, points: float) -> bool:
    """Whether so many points are gained, and at most half as many wrong labels are memorised as by cross-entropy."""
    half = mean(measured["wrong labels memorised by cross-entropy, %"]) / 2
    return mean(measured["points gained"]) >= points and mean(measured["wrong labels memorised, %"]) <= half


# ---- against cross-entropy under a long tail ---------------------------------------------------------------------


@cache
def plain_on_long_tail(seed: int, rarest: float, epochs: int) -> tuple[Exam, Trained]:
    """Digits whose classes, in random order, fall off to a share ``rarest``, and what cross-entropy makes of them."""
    order = np.random.default_rng((seed, 11)).permutation(10)
    exam = digits_exam(seed, shares=np.geomspace(1, rarest, 10)[order])
    return exam, trained(CrossEntropy(epochs=epochs, seed=seed), exam)


def on_long_tail(seed: int, method: NetworkTrainer, rarest: float = 0.02) -> dict[str, float]:
    """How a method fares against cross-entropy, trained as long, on long-tailed digits."""
    exam, plain = plain_on_long_tail(seed, rarest, method.epochs)
    before, after = balanced_accuracy(plain, exam), balanced_accuracy(trained(method, exam), exam)
    return {"balanced accuracy of cross-entropy": before, "points of balanced accuracy gained": after - before}
