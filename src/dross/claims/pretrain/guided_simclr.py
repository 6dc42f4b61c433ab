"""Guided SimCLR: fewer twins pushed apart, and better vectors for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._training import mean, over_seeds
from dross.core.signal import Signals
from dross.models.lesson import lesson_of
from dross.models.trained import Trained
from dross.pretrain.guided_simclr import GuidedSimCLR, guided_batches, shared_negatives
from dross.testing.images import Exam
from dross.testing.mnist import mnist_exam, told

EPOCHS = 40


def probed(model: Trained, exam: Exam) -> float:
    """Right answers, in per cent, of a linear model of the pretrained vectors that all true labels taught."""
    from sklearn.linear_model import LogisticRegression

    train, test = model.embed(exam.data), model.embed(exam.test)
    scale = float(train.std()) or 1.0
    linear = LogisticRegression(max_iter=2000).fit(train / scale, exam.truth)
    return float(100 * linear.score(test / scale, exam.test.codes))


@claim(
    method="guided-simclr",
    paper="G-SimCLR : Self-Supervised Contrastive Learning with Guided Projection via Pseudo Labelling",
    says="better than SimCLR's random batches",
    fast=False,
)
def guided_batches_hold_fewer_twins(budget: Budget) -> Evidence:
    """1,000 images without labels; both pretrained for as many steps, in batches of ten; judged by a linear probe."""

    def one(seed: int) -> dict[str, float]:
        exam = mnist_exam(seed, train=1000, per_class=5)
        options: dict[str, Any] = {
            "network": "pixel-mlp",
            "pretrain_epochs": EPOCHS,
            "denoise_epochs": 10,
            "seed": seed,
        }
        ours, plain = (GuidedSimCLR(guided=guided, **options) for guided in (True, False))
        lesson = lesson_of(ours, exam.data, Signals(exam.data))
        rng = np.random.default_rng(seed)
        guided = list(guided_batches(ours.pseudo_classes(lesson), ours.contrast_batch, rng))
        random = [rng.permutation(len(exam.data))[: ours.contrast_batch] for _ in guided]
        before = probed(plain.taught(lesson), exam)
        return {
            "negatives of the row's own class in random batches, %": 100 * shared_negatives(exam.truth, random),
            "negatives of the row's own class in guided batches, %": 100 * shared_negatives(exam.truth, guided),
            "linear probe of SimCLR": before,
            "points gained": probed(ours.taught(lesson), exam) - before,
        }

    measured = over_seeds(budget, one)
    random, guided = (mean(measured[f"negatives of the row's own class in {kind} batches, %"]) for kind in _KINDS)
    return Evidence(measured, guided <= 0.75 * random and mean(measured["points gained"]) >= 1, budget.seeds, told())


_KINDS = ("random", "guided")
