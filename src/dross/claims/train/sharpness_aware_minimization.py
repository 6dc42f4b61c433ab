"""Sharpness-aware minimization: a small MLP-Mixer ends in a flatter minimum, and generalises better."""

from __future__ import annotations

from typing import Any

from dross.claims import Budget, Evidence, claim
from dross.claims._training import accuracy, mean, over_seeds, trained
from dross.models.trained import Trained
from dross.testing.images import Exam, digits_exam
from dross.train.cross_entropy import CrossEntropy
from dross.train.sharpness_aware_minimization import SharpnessAwareMinimization, top_hessian_eigenvalue

ROWS, EPOCHS, NOISE = 300, 60, 0.2
CLEAN_RHO, NOISY_RHO = 0.1, 0.2


@claim(
    method="sharpness-aware-minimization",
    paper="When Vision Transformers Outperform ResNets without Pre-training or Strong Data Augmentations",
    says="flatter minima, and with them much higher accuracy of transformers and mixers trained from nothing",
    fast=False,
)
def mixers_end_flatter_and_generalise_better(budget: Budget) -> Evidence:
    """A small MLP-Mixer on 300 digits against AdamW, as many updates: right labels, and 20 % wrong ones.

    Held to 1.5 points on right labels, 4 on wrong ones, and a lower top eigenvalue of the Hessian of the training loss.
    The radius was chosen on other seeds for each of the two.
    """

    def one(seed: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, noise, rho in (("right labels", 0.0, CLEAN_RHO), ("20 % wrong labels", NOISE, NOISY_RHO)):
            exam = digits_exam(seed, noise=noise, train=ROWS)
            settings: dict[str, Any] = {"network": "mixer", "epochs": EPOCHS, "seed": seed}
            plain = trained(CrossEntropy(**settings), exam)
            ours = trained(SharpnessAwareMinimization(rho=rho, **settings), exam)
            found[f"accuracy of AdamW, {name}"] = accuracy(plain, exam)
            found[f"points gained, {name}"] = accuracy(ours, exam) - accuracy(plain, exam)
            found[f"top eigenvalue over AdamW's, {name}"] = sharpness(ours, exam) / sharpness(plain, exam)
        return found

    measured = over_seeds(budget, one)
    clean, noisy = mean(measured["points gained, right labels"]), mean(measured["points gained, 20 % wrong labels"])
    flatter = mean(measured["top eigenvalue over AdamW's, 20 % wrong labels"]) < 1
    note = (
        "On right labels minima are as much flatter, but the accuracy gained is below 1.5 points. Also tried there, "
        "on seeds 100 and 101: radii of 0.05 to 0.5, 120 epochs, batches of 16, three times the learning rate; at best "
        "0.3 points gained."
    )
    return Evidence(measured, clean >= 1.5 and noisy >= 4 and flatter, over=budget.seeds, note=note)


def sharpness(model: Trained, exam: Exam) -> float:
    """The top eigenvalue of the Hessian of the training loss."""
    import torch

    from dross.models.devices import seeded
    from dross.models.examples import supervised

    net = model.nets["net"]
    x, y = torch.from_numpy(model.encoder(exam.data)), torch.from_numpy(model.outcome.y)
    with seeded(0):
        return top_hessian_eigenvalue(lambda: supervised(net(x), y), list(net.parameters()), steps=20, tolerance=0.01)
