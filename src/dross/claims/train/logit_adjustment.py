"""Logit adjustment: rare classes are recognised as well as frequent ones."""

from __future__ import annotations

from dross.claims import Budget, Evidence, claim
from dross.claims._training import mean, on_long_tail, over_seeds
from dross.train.logit_adjustment import LogitAdjustment

EPOCHS = 60


@claim(
    method="logit-adjustment",
    paper="Long-tail learning via logit adjustment",
    says="consistent for the balanced error: better than cross-entropy under a long tail",
)
def adjusted_logits_raise_balanced_accuracy(budget: Budget) -> Evidence:
    """Digits of which the classes' shares fall from 1 to 1/50, tested on digits as they are."""
    measured = over_seeds(budget, lambda seed: on_long_tail(seed, LogitAdjustment(epochs=EPOCHS, seed=seed)))
    return Evidence(measured, mean(measured["points of balanced accuracy gained"]) >= 3, over=budget.seeds)
