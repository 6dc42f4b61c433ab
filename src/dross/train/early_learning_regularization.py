"""Early-learning regularization: keep to what the network believed before it learnt the wrong labels by heart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dross.core.paper import Paper
from dross.models.examples import Batch, supervised
from dross.models.loop import Run
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor

_LEAST = 1e-4
"""Chances are kept this far from 0 and 1, as in the paper's code, so that the logarithm is finite."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def moved_targets(targets: Tensor, probs: Tensor, momentum: float) -> Tensor:
    """The running target of each row after one more look, ``t = beta t + (1 - beta) p`` (equation 9), shape (b, k).

    The chances are divided by their sum after clamping.

    >>> import torch
    >>> moved_targets(torch.zeros(1, 2), torch.tensor([[0.25, 0.75]]), 0.5).tolist()
    [[0.125, 0.375]]
    """
    clamped = probs.clamp(_LEAST, 1 - _LEAST)
    return momentum * targets + (1 - momentum) * clamped / clamped.sum(dim=1, keepdim=True)


def early_learning_term(probs: Tensor, targets: Tensor) -> Tensor:
    """The regularizer ``log(1 - <p, t>)``, a mean over rows (equation 6); it falls as predictions near the targets.

    >>> import torch
    >>> round(float(early_learning_term(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]]))), 4)
    -0.6931
    """
    agreement = (probs.clamp(_LEAST, 1 - _LEAST) * targets).sum(dim=1)
    return (1 - agreement).log().mean()


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EarlyLearningRegularization(NetworkTrainer):
    """Train with a term that pulls each prediction towards the running mean of the row's earlier predictions.

    Liu, Niles-Weed, Razavian, Fernandez-Granda, "Early-Learning Regularization Prevents Memorization of Noisy Labels",
    2020. Networks learn the right labels first and the wrong ones later. The gradient of the term cancels that of the
    cross-entropy on rows whose label contradicts what was learnt early, so that these are never learnt by heart.

    Attributes
    ----------
    strength
        The weight of the term, lambda of the paper.
    momentum
        How slowly the targets move, beta of the paper, in [0, 1).
    """

    paper: ClassVar = Paper("Early-Learning Regularization Prevents Memorization of Noisy Labels", 2020, "2007.00151")
    alias: ClassVar = "elr"
    auto_for: ClassVar = ("many",)

    strength: float = 3.0
    momentum: float = 0.7

    def begin(self, run: Run) -> None:
        """All targets are zero: nothing is believed yet."""
        import torch

        run.state["targets"] = torch.zeros(len(run.examples), run.examples.outputs, device=run.device)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy plus the term, after the targets have moved."""
        (batch,) = batches
        logits = run.net(batch.x)
        run.note(batch, logits)
        probs = logits.float().softmax(dim=1)
        targets = moved_targets(run.state["targets"][batch.rows], probs.detach(), self.momentum)
        run.state["targets"][batch.rows] = targets
        return supervised(logits, batch.y) + self.strength * early_learning_term(probs, targets)

    def beliefs(self, run: Run) -> Tensor:
        """The targets, each made to add up to one."""
        targets = run.state["targets"]
        return targets / targets.sum(dim=1, keepdim=True).clamp(min=1e-12)
