"""LiST: adapters alone, and weights learnt from the gold labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._training import accuracy, mean, over_seeds, trained
from dross.core.signal import Signals
from dross.models.lesson import lesson_of
from dross.models.trained import Trained
from dross.testing.images import digits_exam
from dross.train.cross_entropy import CrossEntropy
from dross.train.lite_self_training import LiteSelfTraining

EPOCHS, ROUND = 60, 10
WRONG, RIGHT = "mean weight of wrong predicted labels", "mean weight of right predicted labels"


@claim(
    method="lite-self-training",
    paper="LiST: Lite Prompted Self-training Makes Parameter-Efficient Few-shot Learners",
    says="weighted self-training of few parameters improves on what few labels teach",
    fast=False,
)
def learnt_weights_help_self_training(budget: Budget) -> Evidence:
    """30 gold labels among 1,000 digits; the same rounds with even weights; weights are those of the last round."""

    def one(seed: int) -> dict[str, float]:
        exam = digits_exam(seed, per_class=3)
        options: dict[str, Any] = {"epochs": EPOCHS, "round_epochs": ROUND, "seed": seed}
        method = LiteSelfTraining(**options)
        lesson = lesson_of(method, exam.data, Signals(exam.data))
        run = method.learn(lesson)
        ours = Trained(method, {"net": run.net}, lesson.encoder, lesson.make, lesson.outcome, {})
        gold = accuracy(trained(CrossEntropy(epochs=EPOCHS, seed=seed), exam), exam)
        even = accuracy(trained(LiteSelfTraining(weighted=False, **options), exam), exam)
        weight = (run.state["weight"] / run.state["drawn"].clamp(min=1)).cpu().numpy()
        weighed = run.state["drawn"].cpu().numpy() > 0
        wrong = run.state["said"].cpu().numpy() != exam.truth
        total = sum(p.numel() for p in run.net.net.parameters())
        return {
            "accuracy of the gold labels alone": gold,
            "accuracy of self-training with even weights": even,
            "points gained over even weights": accuracy(ours, exam) - even,
            "points gained over the gold labels alone": accuracy(ours, exam) - gold,
            WRONG: float(np.mean(weight[weighed & wrong])),
            RIGHT: float(np.mean(weight[weighed & ~wrong])),
            "parameters tuned, %": 100 * method.report(run)["tuned"] / total,
        }

    measured = over_seeds(budget, one)
    gained = mean(measured["points gained over even weights"])
    lower = mean(measured[WRONG]) < mean(measured[RIGHT])
    return Evidence(
        measured,
        holds=gained >= 2 and lower and mean(measured["parameters tuned, %"]) < 5,
        over=budget.seeds,
        note="Rows that the network is unsure of have the larger gradients, and so weigh more where they weigh at all.",
    )
