"""Label smoothing: a little of each label is given to all classes alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.examples import Batch, soft_cross_entropy
from dross.models.loop import Run
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor


# ---- the mathematics ---------------------------------------------------------------------------------------------


def smoothed(y: Tensor, k: int, share: float) -> Tensor:
    """Targets ``(1 - share) [c = y] + share / k`` (section 7 of the paper), shape (b, k), rows adding up to 1.

    >>> import torch
    >>> smoothed(torch.tensor([1]), 4, 0.5).tolist()
    [[0.125, 0.625, 0.125, 0.125]]
    """
    import torch

    targets = torch.full((len(y), k), share / k, device=y.device)
    return targets.scatter_add_(1, y[:, None], torch.full((len(y), 1), 1 - share, device=y.device))


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LabelSmoothing(NetworkTrainer):
    """Minimise the cross-entropy against labels of which a share is spread over all classes.

    Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception Architecture for Computer Vision", 2015, section
    7. No finite gap between logits is ever too small any more, so that the network is not driven to certainty, about
    wrong labels either (Lukasik, Bhojanapalli, Menon, Kumar, "Does label smoothing mitigate label noise?", 2020).

    Attributes
    ----------
    smoothing
        The share, epsilon of the paper, in [0, 1). Where labels are wrong at random, about their share is a good one.
    """

    paper: ClassVar = Paper("Rethinking the Inception Architecture for Computer Vision", 2015, "1512.00567")
    alias: ClassVar = "ls"

    smoothing: float = 0.1

    def begin(self, run: Run) -> None:
        """Check the share."""
        if not 0 <= self.smoothing < 1:
            raise DrossError(f"smoothing is {self.smoothing}", fix="give a share of at least 0 and below 1")

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy against the smoothed labels."""
        (batch,) = batches
        logits = run.net(batch.x)
        run.note(batch, logits)
        targets = smoothed(batch.y, run.examples.outputs, self.smoothing)
        return soft_cross_entropy(logits.float(), targets).mean()
