"""Symmetric cross-entropy: the reverse, which trusts the prediction and doubts the label, stands beside the usual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.examples import Batch, supervised
from dross.models.loop import Run
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor


# ---- the mathematics ---------------------------------------------------------------------------------------------


def reverse_cross_entropy(logits: Tensor, y: Tensor, log_of_zero: float) -> Tensor:
    """``- sum_c p_c log [c = y]`` with ``log 0`` set to a number (equation 4), which is ``-A (1 - p_y)``, shape (b,).

    >>> import torch
    >>> reverse_cross_entropy(torch.zeros(1, 4), torch.tensor([0]), -4.0).tolist()
    [3.0]
    """
    own = logits.softmax(dim=1).gather(1, y[:, None]).squeeze(1)
    return -log_of_zero * (1 - own)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SymmetricCrossEntropy(NetworkTrainer):
    """Minimise a little cross-entropy and much reverse cross-entropy.

    Wang, Ma, Chen, Luo, Yi, Bailey, "Symmetric Cross Entropy for Robust Learning with Noisy Labels", 2019. The reverse
    term is the mean absolute error times a constant, which withstands wrong labels; the usual term makes it learn.

    Attributes
    ----------
    alpha, beta
        The weights of the cross-entropy and of the reverse term, at least 0; the paper takes 0.1 and 1 for ten classes,
        6 and 0.1 for a hundred.
    log_of_zero
        A of the paper, below 0.
    """

    paper: ClassVar = Paper("Symmetric Cross Entropy for Robust Learning with Noisy Labels", 2019, "1908.06112")
    alias: ClassVar = "sce"

    alpha: float = 0.1
    beta: float = 1.0
    log_of_zero: float = -4.0

    def begin(self, run: Run) -> None:
        """Check the weights."""
        if not (self.alpha >= 0 and self.beta >= 0 and self.alpha + self.beta > 0 and self.log_of_zero < 0):
            told = f"alpha is {self.alpha}, beta {self.beta}, log_of_zero {self.log_of_zero}"
            raise DrossError(told, fix="give weights of at least 0, one of them above, and log_of_zero below 0")

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The weighted sum of both."""
        (batch,) = batches
        logits = run.net(batch.x)
        run.note(batch, logits)
        reverse = reverse_cross_entropy(logits.float(), batch.y, self.log_of_zero).mean()
        return self.alpha * supervised(logits, batch.y) + self.beta * reverse

    def beliefs(self, run: Run) -> Tensor:
        """What the network says in the end: wrong labels are not learnt by heart."""
        return run.probs()
