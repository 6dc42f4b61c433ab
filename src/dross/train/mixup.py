"""Mixup: networks learn from straight lines between rows and between their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.examples import Batch, supervised
from dross.models.loop import Run
from dross.models.mixing import mixed_logits, mixing_share
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor


# ---- the mathematics ---------------------------------------------------------------------------------------------


def mixed_cross_entropy(logits: Tensor, y: Tensor, other: Tensor, share: float) -> Tensor:
    """Cross-entropy against ``share`` of the label ``y`` and the rest of the label ``other``, a mean over rows.

    >>> import torch
    >>> logits = torch.tensor([[2.0, 0.0]])
    >>> round(float(mixed_cross_entropy(logits, torch.tensor([0]), torch.tensor([1]), 0.5)), 3)
    1.127
    """
    return share * supervised(logits, y) + (1 - share) * supervised(logits, other)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mixup(NetworkTrainer):
    """Train on random mixtures of pairs of rows, with their labels mixed alike, instead of on the rows.

    Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", 2017. What is never shown as it is
    cannot be learnt by heart so easily. As in the paper's code one share is drawn for a batch, and each row meets
    another of the batch. Texts are mixed as vectors before the last layer.

    Attributes
    ----------
    alpha
        Of the Beta distribution of the share, above 0: 0.1 to 0.4 mixes little, 1 at random, and 8 to 32 (which the
        paper takes where labels are wrong) by halves.
    """

    paper: ClassVar = Paper("mixup: Beyond Empirical Risk Minimization", 2017, "1710.09412")

    alpha: float = 1.0

    def begin(self, run: Run) -> None:
        """Check the distribution."""
        if not self.alpha > 0:
            raise DrossError(f"alpha is {self.alpha}", fix="give a number above 0")

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The mixed cross-entropy of mixed rows."""
        import torch

        (batch,) = batches
        if run.noted is not None:  # how training goes is told of the rows themselves, not of mixtures
            with torch.no_grad():
                run.note(batch, run.net(batch.x))
        share = mixing_share(self.alpha, run.rng)
        order = torch.randperm(len(batch.y), device=batch.y.device)
        logits = mixed_logits(run.net, batch.x, batch.x[order], share)
        return mixed_cross_entropy(logits, batch.y, batch.y[order], share)
