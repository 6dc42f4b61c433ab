"""Class prototype training: a class-aware division of the rows beats that by one mixture of losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._training import finished, mean, over_seeds
from dross.claims.detect.class_prototypes import auc, noisy_digits
from dross.models.co_division import CoDivision
from dross.models.loop import Run
from dross.testing.images import Exam, pixel_dataset
from dross.train.class_prototype_training import ClassPrototypeTraining
from dross.train.dividemix import DivideMix

TRAIN = 1300


@claim(
    method="class-prototype-training",
    paper="Class Prototype-based Cleaner for Label Noise Learning",
    says="divides the rows better than one mixture of losses for all classes, and semi-supervised training gains by it",
    fast=False,
)
def class_aware_divisions_train_better(budget: Budget) -> Evidence:
    """Digits whose classes are mislabelled at 10 to 60 %, half as one confusable class, the rest as two others.

    The baseline is DivideMix, which divides by one mixture of losses, with the same networks, warm-up, epochs and
    semi-supervised training. Divisions are judged when they are first made, after the warm-up that both share, and
    in the last epoch.
    """

    def one(seed: int) -> dict[str, float]:
        X, truth, labels = noisy_digits(seed, uniform=False)
        pixels = X.astype(np.float32)
        exam = Exam(pixel_dataset(pixels[:TRAIN], labels), truth[:TRAIN], pixel_dataset(pixels[TRAIN:], truth[TRAIN:]))
        first, last, accuracy = _judged(DivideMix(seed=seed), exam)
        ours, lastly, right = _judged(ClassPrototypeTraining(seed=seed), exam)
        return {
            "AUC of the mixture at first": first,
            "AUC points gained at first": ours - first,
            "AUC of the mixture at last": last,
            "AUC points gained at last": lastly - last,
            "accuracy with the mixture": accuracy,
            "points of accuracy gained": right - accuracy,
        }

    measured = over_seeds(budget, one)
    first = measured["AUC points gained at first"]
    holds = mean(first) >= 3 and mean(measured["points of accuracy gained"]) > 0
    return Evidence(measured, holds, over=budget.seeds, note="The prototypes' weight was chosen on other seeds.")


def _judged(method: CoDivision, exam: Exam) -> tuple[float, float, float]:
    """AUC of wrong labels by the first and the last division, and the accuracy on clean rows, in per cent."""
    divisions: dict[int, Any] = {}

    def noted(run: Run, *_: Any) -> None:
        if run.epoch >= method.first_division(run):
            divisions[run.epoch] = run.state["clean"].mean(dim=1).cpu().numpy()

    _, accuracy = finished(method, exam, noted)
    wrong = exam.data.codes != exam.truth
    first, last = (100 * auc(wrong, 1 - divisions[epoch]) for epoch in (min(divisions), max(divisions)))
    return first, last, accuracy
