"""Unsupervised data augmentation: predictions must not change when a row is changed in ways that keep its class."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.augment import jittered, strong, weak
from dross.models.examples import Batch
from dross.models.loop import Run
from dross.models.trainer import NetworkTrainer
from dross.models.unlabelled import done, side_by_side

if TYPE_CHECKING:
    from torch import Tensor

Schedule = Literal["none", "linear", "log", "exp"]
SCALE = 5
"""Of the exponents of the schedules, as in the paper."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def signal_threshold(share: float, k: int, schedule: Schedule) -> float:
    """The chance of the right class above which a labelled row is left out, when a share of the training is done.

    It rises from 1/k to 1 (section 3.3): evenly, fast at first (``log``) or late (``exp``); ``none`` leaves out none.

    >>> signal_threshold(0.0, 4, "linear"), signal_threshold(0.5, 4, "linear"), signal_threshold(0.0, 4, "none")
    (0.25, 0.625, 1.0)
    """
    alpha = {
        "none": 1.0,
        "linear": share,
        "log": 1 - math.exp(-SCALE * share),
        "exp": math.exp(SCALE * (share - 1)),
    }[schedule]
    return alpha * (1 - 1 / k) + 1 / k


def annealed_cross_entropy(logits: Tensor, y: Tensor, threshold: float) -> Tensor:
    """Cross-entropy over the rows whose right class is not yet more likely than the threshold, a mean over those.

    >>> import torch
    >>> logits = torch.tensor([[0.0, 0.0], [9.0, 0.0]])
    >>> round(float(annealed_cross_entropy(logits, torch.tensor([0, 0]), 0.9)), 4)
    0.6931
    """
    from torch.nn import functional

    rows = functional.cross_entropy(logits, y, reduction="none")
    learning = ((-rows.detach()).exp() <= threshold).to(rows.dtype)
    return (rows * learning).sum() / learning.sum().clamp(min=1)


def consistency(logits: Tensor, original: Tensor, temperature: float, threshold: float) -> Tensor:
    """KL divergence from the sharpened prediction on the original to that on the changed row, a mean over all rows.

    Rows whose original prediction is at most ``threshold`` sure count nothing; no gradient passes into the original.
    ``logits`` and ``original`` are logits of shape (b, k).

    >>> import torch
    >>> same = torch.tensor([[2.0, 0.0]])
    >>> float(consistency(same, same, 1.0, 0.5)), float(consistency(-same, same, 1.0, 0.95))
    (0.0, 0.0)
    """
    original = original.detach()
    target = (original / temperature).log_softmax(dim=1)
    rows = (target.exp() * (target - logits.log_softmax(dim=1))).sum(dim=1)
    sure = original.softmax(dim=1).amax(dim=1) > threshold
    return (rows * sure).mean()


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UnsupervisedDataAugmentation(NetworkTrainer):
    """Train on labels, and on the agreement of the predictions on an unlabelled row and on its strong augmentation.

    Xie, Dai, Hovy, Luong, Le, "Unsupervised Data Augmentation for Consistency Training", 2019. Predictions on the
    original row are targets: sharpened, used only where they are sure, and without a gradient. Labelled rows that are
    already right with a chance above a rising threshold are left out, so that few labels are not learnt by heart while
    most rows have none (training signal annealing).

    Attributes
    ----------
    weight
        The weight of the unlabelled rows, lambda of the paper.
    temperature
        Divides the logits of the targets; below 1 sharpens.
    threshold
        The chance of the likeliest class above which a target is used.
    ratio
        Unlabelled rows for each labelled one in a step.
    annealing
        How the threshold of the labelled rows rises: ``linear``, ``log`` or ``exp``, the later the more the labels are
        learnt by heart (texts, with few of them); ``none`` leaves no row out, as the authors' code for images does
        unless asked.
    noise
        ``augmentation``; or ``gaussian``, the noise of earlier consistency training, to compare with.
    deviation
        Standard deviation of that noise, in units of the standardised inputs.
    """

    paper: ClassVar = Paper("Unsupervised Data Augmentation for Consistency Training", 2019, "1904.12848")
    alias: ClassVar = "uda"

    weight: float = 1.0
    temperature: float = 0.4
    threshold: float = 0.8
    ratio: int = 5
    annealing: Schedule = "none"
    noise: Literal["augmentation", "gaussian"] = "augmentation"
    deviation: float = 0.5

    def begin(self, run: Run) -> None:
        """Look at the settings."""
        if self.noise == "gaussian" and not run.examples.x.is_floating_point():
            raise DrossError("words cannot take gaussian noise", fix="give noise='augmentation'")
        if self.temperature <= 0:
            raise DrossError(f"temperature is {self.temperature}", fix="give more than 0")

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """Labelled and unlabelled rows."""
        return side_by_side(run, self.ratio)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Equation 1 of the paper, with the techniques of section 3."""
        import torch

        labelled, unlabelled = batches
        with torch.no_grad():
            original = run.net(weak(unlabelled.x)).float()
        changed = strong(unlabelled.x) if self.noise == "augmentation" else jittered(unlabelled.x, self.deviation)
        logits = run.net(torch.cat([weak(labelled.x), changed])).float()
        own, others = logits[: len(labelled.x)], logits[len(labelled.x) :]
        run.note(labelled, own)
        limit = signal_threshold(done(run, self.ratio), run.examples.outputs, self.annealing)
        agreement = consistency(others, original, self.temperature, self.threshold)
        return annealed_cross_entropy(own, labelled.y, limit) + self.weight * agreement
