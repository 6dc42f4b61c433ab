"""Self-supervised label augmentation: few labels, rotations as part of the label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dross.claims import Budget, Evidence, claim
from dross.claims._training import accuracy, mean, over_seeds, trained
from dross.models.examples import Batch, supervised
from dross.models.loop import Nets, Run
from dross.models.trainer import NetworkTrainer
from dross.testing.images import digits_exam
from dross.train.cross_entropy import CrossEntropy
from dross.train.self_supervised_label_augmentation import SelfSupervisedLabelAugmentation, turned

if TYPE_CHECKING:
    from torch import Tensor

EPOCHS = 200
TURNS = 4


@dataclass(frozen=True)
class RotationTask(NetworkTrainer):
    """The baseline: class and rotation as two tasks on the same vectors, both learnt from all rotations."""

    def build(self, make: Any) -> Nets:
        """The network and the layer that tells rotations apart."""
        from torch import nn

        net = make()
        return {"net": net, "rotation": nn.Linear(net.width, TURNS)}

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The sum of both cross-entropies."""
        import torch

        (batch,) = batches
        vectors = run.net.encode(turned(batch.x))
        turns = torch.arange(TURNS, device=vectors.device).repeat_interleave(len(batch.x))
        task = supervised(run.nets["rotation"](vectors), turns)
        return supervised(run.net.head(vectors), batch.y.repeat(TURNS)) + task


@claim(
    method="self-supervised-label-augmentation",
    paper="Self-supervised Label Augmentation via Input Transformations",
    says="large accuracy improvements with few labels",
    fast=False,
)
def rotation_in_the_label_beats_rotation_as_a_task(budget: Budget) -> Evidence:
    """100 labelled digits, ten of each class; all networks take the same number of updates."""

    def one(seed: int) -> dict[str, float]:
        exam = digits_exam(seed, per_class=10)
        options: dict[str, Any] = {"network": "cnn", "epochs": EPOCHS, "seed": seed}
        plain = accuracy(trained(CrossEntropy(**options), exam), exam)
        task = accuracy(trained(RotationTask(**options), exam), exam)
        ours = trained(SelfSupervisedLabelAugmentation(**options), exam)
        single = replace(ours, method=SelfSupervisedLabelAugmentation(aggregate=False, **options))
        aggregate, alone = accuracy(ours, exam), accuracy(single, exam)
        return {
            "accuracy of cross-entropy": plain,
            "accuracy with rotation as a second task": task,
            "points gained over cross-entropy": aggregate - plain,
            "points gained over the second task": aggregate - task,
            "points gained over cross-entropy by the single view": alone - plain,
        }

    measured = over_seeds(budget, one)
    gained = mean(measured["points gained over cross-entropy"])
    kept = mean(measured["points gained over cross-entropy by the single view"])
    holds = gained >= 2 and mean(measured["points gained over the second task"]) >= 2 and kept >= gained / 2
    return Evidence(measured, holds, over=budget.seeds)
