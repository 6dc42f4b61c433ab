"""FixMatch: a sure guess on a slightly changed row is the label of the same row changed strongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dross.core.paper import Paper
from dross.models.augment import strong, weak
from dross.models.examples import Batch, Teaches, activated, supervised
from dross.models.loop import Nets, Run, follow, frozen
from dross.models.trainer import NetworkTrainer
from dross.models.unlabelled import confident_cross_entropy, side_by_side, warm

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FixMatch(NetworkTrainer):
    """Train on weakly augmented labelled rows and on strongly augmented unlabelled ones whose class is sure.

    Sohn, Berthelot, Li, Zhang, Carlini, Cubuk, Kurakin, Zhang, Raffel, "FixMatch: Simplifying Semi-Supervised Learning
    with Consistency and Confidence", 2020. The class is read off a weak augmentation of the row, and used only where
    its chance is above a threshold. The running mean of the weights answers, as in the paper.

    Attributes
    ----------
    weight
        The weight of the unlabelled rows, lambda_u of the paper.
    threshold
        The least chance of a class that is used, tau of the paper.
    ratio
        Unlabelled rows for each labelled one in a step, mu of the paper.
    decay
        How slowly the mean of the weights moves, in [0, 1); the paper's 0.999 is for a million steps.
    """

    paper: ClassVar = Paper(
        "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", 2020, "2001.07685"
    )
    answers_with: ClassVar = ("net", "mean")
    auto_for: ClassVar = ("few",)

    weight: float = 1.0
    threshold: float = 0.95
    ratio: int = 7
    decay: float = 0.99

    def build(self, make: Callable[..., Any]) -> Nets:
        """The network, and the mean of its weights."""
        net = make()
        return {"net": net, "mean": frozen(net)}

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """Labelled and unlabelled rows."""
        return side_by_side(run, self.ratio)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Equations 3 and 4 of the paper."""
        import torch

        labelled, unlabelled = batches
        with torch.no_grad():
            probs = run.net(weak(unlabelled.x)).softmax(dim=1)
        logits = run.net(torch.cat([weak(labelled.x), strong(unlabelled.x)]))
        own, others = logits[: len(labelled.x)], logits[len(labelled.x) :]
        run.note(labelled, own)
        return supervised(own, labelled.y) + self.weight * confident_cross_entropy(others, probs, self.threshold)

    def after(self, run: Run, *batches: Batch) -> None:
        """Move the mean."""
        follow(run.nets["mean"], run.net, warm(self.decay, run.step))

    def answer(self, nets: Nets, x: Tensor, teaches: Teaches) -> Tensor:
        """What the mean of the weights says."""
        return activated(nets["mean"](x), teaches)
