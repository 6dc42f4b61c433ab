"""Logit adjustment: rare classes are given a head start in training, and so lose none when all count alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.class_counts import class_counts
from dross.models.examples import Batch, supervised
from dross.models.loop import Run
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor


# ---- the mathematics ---------------------------------------------------------------------------------------------


def margins(counts: Tensor, tau: float) -> Tensor:
    """What is added to the logits in training: ``tau log pi_c`` (equation 10), shape (k,).

    A class without rows counts as half a row. Subtracted from the logits of a network that was trained as usual they
    give the post-hoc form (equation 9).

    >>> import torch
    >>> margins(torch.tensor([1.0, 3.0]), 1.0).exp().tolist()
    [0.25, 0.75]
    """
    known = counts.clamp(min=0.5)
    return tau * (known / known.sum()).log()


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogitAdjustment(NetworkTrainer):
    """Minimise the cross-entropy of logits to which the logarithm of the class's frequency is added.

    Menon, Jayasumana, Rawat, Jain, Veit, Kumar, "Long-tail learning via logit adjustment", 2020. The network's own
    logits, without the addition, then answer as if all classes were equally frequent, which is what the balanced error
    asks; on rows with the frequencies of the training rows, accuracy may be lower.

    Attributes
    ----------
    tau
        How much is added, at least 0; 1 is right for the balanced error.
    """

    paper: ClassVar = Paper("Long-tail learning via logit adjustment", 2020, "2007.07314")

    tau: float = 1.0

    def begin(self, run: Run) -> None:
        """Count the classes."""
        if not self.tau >= 0:
            raise DrossError(f"tau is {self.tau}", fix="give 0 or more")
        run.state["margins"] = margins(class_counts(run.y, run.examples.outputs), self.tau)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy of the adjusted logits."""
        (batch,) = batches
        logits = run.net(batch.x)
        run.note(batch, logits)
        return supervised(logits.float() + run.state["margins"], batch.y)
