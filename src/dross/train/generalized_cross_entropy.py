"""Generalized cross-entropy: between cross-entropy, which learns fast, and the mean absolute error, which is robust."""

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


def box_cox_loss(logits: Tensor, y: Tensor, q: float) -> Tensor:
    """``L_q = (1 - p_y^q) / q`` (equation 6), shape (b,); 1 - p_y for q = 1, and the cross-entropy as q goes to 0.

    >>> import torch
    >>> box_cox_loss(torch.zeros(1, 4), torch.tensor([2]), 0.5).tolist()
    [1.0]
    """
    own = logits.log_softmax(dim=1).gather(1, y[:, None]).squeeze(1)
    return (1 - (q * own).exp()) / q


def worth_fitting(own: Tensor, least: float) -> Tensor:
    """Which rows the truncated loss still learns from: those whose label has a chance of ``least``, shape (n,), bool.

    The weights that minimise the objective of equation 12 at fixed weights of the network: 1 where ``L_q(p) <=
    L_q(least)``, which is where ``p >= least``.

    >>> import torch
    >>> worth_fitting(torch.tensor([0.2, 0.5, 0.9]), 0.5).tolist()
    [False, True, True]
    """
    return own >= least


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GeneralizedCrossEntropy(NetworkTrainer):
    """Minimise the negative Box-Cox transformation of the chance of the label, ``(1 - p^q) / q``.

    Zhang, Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels", 2018. Its
    gradient is that of the cross-entropy times p^q: labels that the network finds unlikely pull less. In the truncated
    form, after a third of the epochs, rows whose label has a chance below ``truncation`` are left out; which those are
    is settled anew before each epoch (the paper does so every tenth).

    Attributes
    ----------
    q
        0 is cross-entropy, 1 the mean absolute error; the paper takes 0.7.
    truncation
        The chance k below which a label is no longer learnt; 0 learns all, and the paper's truncated form takes 0.5.
    """

    paper: ClassVar = Paper(
        "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels", 2018, "1805.07836"
    )
    alias: ClassVar = "gce"
    auto_for: ClassVar = ("many",)

    q: float = 0.7
    truncation: float = 0.0

    def begin(self, run: Run) -> None:
        """All rows are learnt from."""
        import torch

        if not (0 <= self.q <= 1 and 0 <= self.truncation < 1):
            raise DrossError(f"q is {self.q}, truncation {self.truncation}", fix="give shares; truncation below 1")
        run.state["kept"] = torch.ones(len(run.examples), device=run.device)

    def epoch(self, run: Run) -> None:
        """Leave out the rows that are not worth fitting, once enough was learnt to tell."""
        import torch

        if self.truncation and run.epoch >= run.settings.epochs / 3:
            own = run.probs().gather(1, run.y.clamp(min=0)[:, None]).squeeze(1)
            kept = worth_fitting(own, self.truncation) & (run.y >= 0)
            run.state["kept"] = kept.float() if kept.any() else torch.ones_like(own)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The mean over the rows of the batch, those left out counting 0."""
        (batch,) = batches
        logits = run.net(batch.x)
        run.note(batch, logits)
        if not self.q:
            return supervised(logits, batch.y)
        return (run.state["kept"][batch.rows] * box_cox_loss(logits.float(), batch.y, self.q)).mean()

    def beliefs(self, run: Run) -> Tensor:
        """What the network says in the end: wrong labels are not learnt by heart."""
        return run.probs()
