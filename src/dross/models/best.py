"""Best: the epoch that does best on validation rows, and when to stop looking for a better one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dross.models.examples import Examples

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dross.models.loop import Nets, Objective, Run


@dataclass
class Best:
    """The best epoch so far on validation rows, and when to stop looking for a better one.

    Attributes
    ----------
    patience
        Epochs to wait; 0 keeps the last epoch, whatever the validation rows say.
    held
        The validation rows; None where there are none.
    score, since
        The best score (share of right answers, or minus the loss) and the epoch after which it was reached.
    weights
        The networks' tensors at that epoch, by network and name.
    """

    patience: int
    held: Examples | None
    score: float = -math.inf
    since: int = 0
    weights: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    def enough(self, epoch: int) -> bool:
        """Whether there was no better epoch for as long as one waits."""
        return bool(self.patience) and self.held is not None and epoch - self.since >= self.patience

    def judge(self, run: Run, objective: Objective) -> None:
        """Score the networks on the validation rows, and remember them where they are the best."""
        if self.held is None or not len(self.held):
            return
        found = score(run.nets, objective, self.held, run.device)
        run.history[-1]["validation"] = found
        if self.patience and found > self.score:
            self.score, self.since = found, run.epoch + 1
            self.weights = {
                name: {key: value.clone() for key, value in net.state_dict().items()} for name, net in run.nets.items()
            }

    def restore(self, run: Run) -> None:
        """Put the best networks back."""
        for name, weights in self.weights.items():
            run.nets[name].load_state_dict(weights)


def score(nets: Nets, objective: Objective, held: Examples, device: torch.device) -> float:
    """The share of right classes (of right labels), or minus the mean squared error, of some rows."""
    from dross.models.loop import over

    found = over(nets, lambda x: objective.answer(nets, x, held.teaches), held.x, device).cpu()
    y = held.y.cpu()
    if held.teaches == "class":
        return float((found.argmax(dim=1) == y).float().mean())
    if held.teaches == "labels":
        return float(((found > 0.5) == (y > 0.5)).float().mean())
    return -float((found.squeeze(1) - y).square().mean())
