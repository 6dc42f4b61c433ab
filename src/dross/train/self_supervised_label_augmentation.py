"""Self-supervised label augmentation: learn the class and the rotation of an image as one label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dross.core.dataset import Dataset
from dross.core.paper import Paper
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.models.devices import import_torch
from dross.models.examples import Batch, Teaches, soft_cross_entropy, supervised
from dross.models.loop import Nets, Run
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor


# ---- the mathematics ---------------------------------------------------------------------------------------------


def quarters(height: int, width: int) -> tuple[int, ...]:
    """The quarter turns that keep the shape of an image: four of a square, two of any other.

    >>> quarters(8, 8), quarters(8, 12)
    ((0, 1, 2, 3), (0, 2))
    """
    return (0, 1, 2, 3) if height == width else (0, 2)


def turned(x: Tensor) -> Tensor:
    """Images (b, c, h, w) under each of their m quarter turns, turn after turn, shape (m b, c, h, w).

    >>> import torch
    >>> turned(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))[1].tolist()
    [[[2.0, 4.0], [1.0, 3.0]]]
    """
    import torch

    return torch.cat([x.rot90(turn, dims=(2, 3)) for turn in quarters(x.shape[2], x.shape[3])])


def joint_labels(y: Tensor, turns: int) -> Tensor:
    """The label of class ``c`` under turn ``j`` as the number ``c m + j``, for rows as :func:`turned` has them.

    >>> import torch
    >>> joint_labels(torch.tensor([0, 2]), 4).tolist()
    [0, 8, 1, 9, 2, 10, 3, 11]
    """
    import torch

    return torch.cat([y * turns + turn for turn in range(turns)])


def aggregated(logits: Tensor, turns: int) -> Tensor:
    """The mean over the turns of the logits of each class under the turn that was applied (equation 3), shape (b, k).

    ``logits`` has the shape (m b, k m), rows and columns as above.

    >>> import torch
    >>> aggregated(torch.tensor([[1.0, 9.0, 3.0, 9.0], [9.0, 5.0, 9.0, 7.0]]), 2).tolist()
    [[3.0, 5.0]]
    """
    by_turn = logits.reshape(turns, len(logits) // turns, -1, turns)
    return by_turn.diagonal(dim1=0, dim2=3).mean(dim=2)


def self_distillation(logits: Tensor, aggregate: Tensor) -> Tensor:
    """The divergence of the single view's chances from those of the aggregate (equation 4), a mean over rows.

    Both are logits, shape (b, k); no gradient passes into the aggregate.

    >>> import torch
    >>> float(self_distillation(torch.zeros(1, 2), torch.zeros(1, 2)))
    0.0
    """
    targets = aggregate.detach().softmax(dim=1)
    entropy = soft_cross_entropy(aggregate.detach(), targets)
    return (soft_cross_entropy(logits, targets) - entropy).mean()


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SelfSupervisedLabelAugmentation(NetworkTrainer):
    """Train one softmax over pairs of class and rotation, and answer with the mean over the rotations.

    Lee, Hwang, Shin, "Self-supervised Label Augmentation via Input Transformations", 2020. The network need not answer
    alike for all rotations, as it must where they are mere augmentation or a second task. A second layer on the same
    vectors, which sees the upright image alone, learns the answer of the aggregate at the price of one view.

    Attributes
    ----------
    aggregate
        Whether the trained model answers with the mean over the rotations, at their cost; else with the single view.
    distilled
        The weight of the single view's own cross-entropy, beta of the paper.
    """

    paper: ClassVar = Paper("Self-supervised Label Augmentation via Input Transformations", 2020, "1910.05872")
    alias: ClassVar = "sla"
    answers_with: ClassVar = ("net", "joint")

    aggregate: bool = True
    distilled: float = 1.0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """To images alone: other rows cannot be turned."""
        import_torch()
        from dross.models.networks import kind_read

        reads = kind_read(self.network)
        if reads != "image" and (reads is not None or not data.has(Role.IMAGE)):
            return NotApplicable("rotations need images: an image column, or square pixels and network='cnn'")
        return super().applies(data)

    def build(self, make: Any) -> Nets:
        """The network, whose head is that of the single view, and the layer for pairs of class and turn."""
        from torch import nn

        net = make()
        turns = len(quarters(*make.shape[1:]))
        return {"net": net, "joint": nn.Linear(net.width, net.outputs * turns)}

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy of the pairs, and the single view's divergence from the aggregate and from the label."""
        (batch,) = batches
        views = turned(batch.x)
        turns = len(views) // len(batch.x)
        vectors = run.net.encode(views)
        pairs = run.nets["joint"](vectors)
        single = run.net.head(vectors[: len(batch.x)])
        run.note(batch, single)
        return (
            supervised(pairs, joint_labels(batch.y, turns))
            + self_distillation(single, aggregated(pairs, turns))
            + self.distilled * supervised(single, batch.y)
        )

    def answer(self, nets: Nets, x: Tensor, teaches: Teaches) -> Tensor:
        """The chances of the aggregate, or those of the single view."""
        if not self.aggregate:
            chances: Tensor = nets["net"](x).softmax(dim=1)
            return chances
        pairs = nets["joint"](nets["net"].encode(turned(x)))
        return aggregated(pairs, len(quarters(*x.shape[2:]))).softmax(dim=1)
