"""Forward correction: the noise is recovered, and undone in training."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._training import mean, on_noise, over_seeds, resists
from dross.models.trained import Trained
from dross.train.forward_correction import ForwardCorrection

EPOCHS, NOISE = 60, 0.3


@claim(
    method="forward-correction",
    paper="Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach",
    says="an estimated transition matrix corrects the loss, so that training withstands class-dependent noise",
)
def estimated_noise_is_undone(budget: Budget) -> Evidence:
    """1,000 digits, 30 % of them with the label of the next class, to the last epoch.

    The error of the matrix is the mean absolute sum of a row's differences; that of taking all labels for right is 0.6.
    """

    def one(seed: int) -> dict[str, float]:
        anchors, model = on_noise(seed, ForwardCorrection(epochs=EPOCHS, seed=seed), NOISE, "pairwise")
        counted = ForwardCorrection(estimate="counts", epochs=EPOCHS, seed=seed)
        counts, other = on_noise(seed, counted, NOISE, "pairwise")
        return {
            **anchors,
            "error of the matrix": matrix_error(model),
            "points gained by counting": counts["points gained"],
            "error of the counted matrix": matrix_error(other),
        }

    measured = over_seeds(budget, one)
    recovered = mean(measured["error of the matrix"]) <= NOISE
    return Evidence(measured, recovered and resists(measured, 5), over=budget.seeds)


def matrix_error(model: Trained) -> float:
    """How far the matrix is from that of the noise."""
    truth = (1 - NOISE) * np.eye(10) + NOISE * np.roll(np.eye(10), 1, axis=1)
    return float(np.abs(np.array(model.summary["transition"]) - truth).sum(axis=1).mean())
