"""Class-balanced loss: a class weighs by the inverse of its effective number of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dross.core.errors import DrossError, nearest
from dross.core.paper import Paper
from dross.models.class_counts import class_counts
from dross.models.examples import Batch
from dross.models.loop import Run
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor

LOSSES = ("softmax", "sigmoid", "focal")


# ---- the mathematics ---------------------------------------------------------------------------------------------


def effective_weights(counts: Tensor, beta: float) -> Tensor:
    """Weights ``(1 - beta) / (1 - beta^n_c)`` made to add up to the number of classes (section 4), shape (k,).

    The denominator over the numerator is the effective number of n rows (equation 2): 1 at ``beta`` 0, and n as it goes
    to 1. Classes without rows weigh 0.

    >>> import torch
    >>> effective_weights(torch.tensor([1.0, 2.0, 0.0]), 0.5).round(decimals=4).tolist()
    [1.7999999523162842, 1.2000000476837158, 0.0]
    """
    import torch

    some = counts > 0
    weights = torch.where(some, (1 - beta) / (1 - beta ** counts.double().clamp(min=1)), 0.0)
    return (weights * len(counts) / weights.sum().clamp(min=1e-12)).float()


def row_losses(logits: Tensor, y: Tensor, kind: str, gamma: float) -> Tensor:
    """The loss of each row before it is weighted (sections 4.1 to 4.3), shape (b,).

    ``softmax`` is the cross-entropy, ``sigmoid`` a sum of binary ones over the classes, ``focal`` that sum with each
    term times ``(1 - p)^gamma``, p being the chance of the right side (Lin et al., 2017).

    >>> import torch
    >>> [round(float(row_losses(torch.zeros(1, 2), torch.tensor([0]), kind, 1.0)), 3) for kind in LOSSES]
    [0.693, 1.386, 0.693]
    """
    import torch
    from torch.nn import functional

    if kind == "softmax":
        return functional.cross_entropy(logits, y, reduction="none")
    side = torch.full_like(logits, -1.0).scatter_(1, y[:, None], 1.0)
    logs = functional.logsigmoid(side * logits)
    focus = (1 - logs.exp()) ** gamma if kind == "focal" else 1.0
    rows: Tensor = -(focus * logs).sum(dim=1)
    return rows


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassBalancedLoss(NetworkTrainer):
    """Weigh the loss of each row by the inverse of the effective number of rows of its class.

    Cui, Jia, Lin, Song, Belongie, "Class-Balanced Loss Based on Effective Number of Samples", 2019. Rows of one class
    overlap, so that the n-th adds less than the first; the weights lie between none and the inverse frequency.

    Attributes
    ----------
    beta
        In [0, 1): 0 weighs all rows alike, near 1 by the inverse frequency; the paper takes 0.9, 0.99, 0.999 or 0.9999.
    kind
        One of :data:`LOSSES`. The chances that a model of the last two gives are those of a softmax over its logits:
        the order of the classes is meant, not their size.
    gamma
        Of the focal loss, at least 0.
    """

    paper: ClassVar = Paper("Class-Balanced Loss Based on Effective Number of Samples", 2019, "1901.05555")

    beta: float = 0.999
    kind: str = "softmax"
    gamma: float = 1.0

    def begin(self, run: Run) -> None:
        """Count the classes."""
        if self.kind not in LOSSES:
            raise DrossError(f"no kind of loss is called {self.kind!r}", fix=nearest(self.kind, list(LOSSES)))
        if not (0 <= self.beta < 1 and self.gamma >= 0):
            raise DrossError(
                f"beta is {self.beta}, gamma {self.gamma}", fix="give beta in [0, 1) and gamma of at least 0"
            )
        run.state["weights"] = effective_weights(class_counts(run.y, run.examples.outputs), self.beta)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The weighted mean over the rows of the batch."""
        (batch,) = batches
        logits = run.net(batch.x)
        run.note(batch, logits)
        return (run.state["weights"][batch.y] * row_losses(logits.float(), batch.y, self.kind, self.gamma)).mean()
