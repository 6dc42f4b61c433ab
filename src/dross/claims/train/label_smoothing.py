"""Label smoothing: answers are less extreme, and wrong labels harm less."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._training import mean, on_noise, over_seeds, plain_on_noise
from dross.models.trained import Trained
from dross.testing.images import Exam
from dross.train.label_smoothing import LabelSmoothing

EPOCHS, NOISE = 60, 0.4


@claim(
    method="label-smoothing",
    paper="Rethinking the Inception Architecture for Computer Vision",
    says="keeps the largest logit from becoming much larger than all others, and generalises better",
)
def smoothed_labels_keep_answers_moderate(budget: Budget) -> Evidence:
    """1,000 digits, 40 % of them with another class drawn at random, a share of 0.4 spread over all classes."""

    def one(seed: int) -> dict[str, float]:
        measured, ours = on_noise(seed, LabelSmoothing(smoothing=NOISE, epochs=EPOCHS, seed=seed), NOISE)
        exam, plain = plain_on_noise(seed, NOISE, "symmetric", EPOCHS)
        return {**measured, "logit gap of cross-entropy": logit_gap(plain, exam), "logit gap": logit_gap(ours, exam)}

    measured = over_seeds(budget, one)
    closer = mean(measured["logit gap"]) <= mean(measured["logit gap of cross-entropy"]) / 2
    note = "It does not keep wrong labels from being learnt by heart: it only makes the network less sure of them."
    return Evidence(measured, closer and mean(measured["points gained"]) >= 1, over=budget.seeds, note=note)


def logit_gap(model: Trained, exam: Exam) -> float:
    """The mean distance of the largest logit from the mean of all, on clean rows."""
    logs = np.log(np.maximum(model.predict_proba(exam.test), 1e-30))
    return float((logs.max(axis=1) - logs.mean(axis=1)).mean())
