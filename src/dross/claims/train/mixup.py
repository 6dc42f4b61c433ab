"""Mixup: wrong labels are memorised less."""

from __future__ import annotations

from dross.claims import Budget, Evidence, claim
from dross.claims._training import on_noise, over_seeds, resists
from dross.train.mixup import Mixup

EPOCHS = 60


@claim(
    method="mixup",
    paper="mixup: Beyond Empirical Risk Minimization",
    says="reduces the memorisation of corrupt labels",
)
def mixtures_are_not_memorised(budget: Budget) -> Evidence:
    """1,000 digits, 40 % of them with another class drawn at random; alpha 8, as the paper for wrong labels."""
    measured = over_seeds(budget, lambda seed: on_noise(seed, Mixup(alpha=8.0, epochs=EPOCHS, seed=seed))[0])
    return Evidence(measured, resists(measured, 5), over=budget.seeds)
