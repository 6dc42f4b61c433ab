"""Bootstrapping: the target is part the label, part what the network itself believes."""

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


def soft_term(logits: Tensor) -> Tensor:
    """``- sum_c q_c log q_c``, what equation 6 adds: the entropy of the prediction, shape (b,).

    The gradient goes through both factors, which makes it the minimum-entropy regularizer that the paper calls it.

    >>> import torch
    >>> soft_term(torch.zeros(1, 2)).round(decimals=4).tolist()
    [0.6930999755859375]
    """
    logs = logits.log_softmax(dim=1)
    rows: Tensor = -(logs.exp() * logs).sum(dim=1)
    return rows


def hard_term(logits: Tensor) -> Tensor:
    """``- log max_c q_c``, what equation 7 adds: the cross-entropy against the likeliest class, shape (b,).

    >>> import torch
    >>> hard_term(torch.tensor([[0.0, 0.0]])).round(decimals=4).tolist()
    [0.6930999755859375]
    """
    return -logits.log_softmax(dim=1).amax(dim=1)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bootstrapping(NetworkTrainer):
    """Minimise the cross-entropy against a mixture of the label and the network's own prediction.

    Reed, Lee, Anguelov, Szegedy, Erhan, Rabinovich, "Training Deep Neural Networks on Noisy Labels with Bootstrapping",
    2014. Hard bootstrapping takes the likeliest class as the prediction, soft its chances.

    Attributes
    ----------
    hard
        Which of the two.
    trust
        The share of the label in the target, beta of the paper, in (0, 1]; 0 takes the paper's: 0.8 for hard and 0.95
        for soft bootstrapping.
    """

    paper: ClassVar = Paper("Training Deep Neural Networks on Noisy Labels with Bootstrapping", 2014, "1412.6596")

    hard: bool = True
    trust: float = 0.0

    def begin(self, run: Run) -> None:
        """Check the share."""
        if not 0 <= self.trust <= 1:
            raise DrossError(f"trust is {self.trust}", fix="give a share")

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy against the mixture."""
        (batch,) = batches
        logits = run.net(batch.x)
        run.note(batch, logits)
        trust = self.trust or (0.8 if self.hard else 0.95)
        own = (hard_term if self.hard else soft_term)(logits.float()).mean()
        return trust * supervised(logits, batch.y) + (1 - trust) * own

    def beliefs(self, run: Run) -> Tensor:
        """What the network says in the end."""
        return run.probs()
