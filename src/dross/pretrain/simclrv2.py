"""SimCLRv2: pretrain a big network by contrast, fine-tune it on few labels, distil it into a small one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dross.core.paper import Paper
from dross.models.augment import strong
from dross.models.examples import Batch, soft_cross_entropy, supervised
from dross.models.lesson import Lesson
from dross.models.loop import Nets, Objective, Run, frozen
from dross.models.nt_xent import Contrast
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor

LAYERS = 3
"""Linear layers of the projection head."""
WIDE = {name: f"wide-{name}" for name in ("mlp", "cnn", "pixel-mlp")}
"""The big form of a small network, where there is one."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of the student against the teacher's chances, both at a temperature (equation 2), shape ().

    Both are logits, shape (b, k); no gradient passes into the teacher.

    >>> import torch
    >>> round(float(distillation(torch.zeros(1, 2), torch.tensor([[9.0, 0.0]]), 1.0)), 4)
    0.6931
    """
    targets = (teacher.detach() / temperature).softmax(dim=1)
    return soft_cross_entropy(student / temperature, targets).mean()


def with_middle(net: Any, projector: Any, kept: int, outputs: int) -> Any:
    """A network whose body goes up to the ``kept``-th layer of the projection head, with a new head on that.

    Both are copied. With 0 the projection head is thrown away, as SimCLR does.

    >>> from dross.models.networks import Maker
    >>> from dross.models.nt_xent import projection
    >>> net = Maker("mlp", "vector", (4,), 3)()
    >>> len(with_middle(net, projection(net.width, 3), 1, 3).body)
    3
    """
    from torch import nn

    from dross.models.networks import Network

    parts = [net.body, *list(projector)[: 2 * kept]]  # a linear layer and its ReLU each
    return Network(nn.Sequential(*copy.deepcopy(parts)), net.width, outputs)


# ---- the stages --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FineTuning(Objective):
    """All of the pretrained network learns from the labelled rows, changed as in the pretraining."""

    pretrained: Nets
    kept: int

    def build(self, make: Any) -> Nets:
        """The pretrained network up to the middle of its projection head."""
        net, projector = self.pretrained["net"], self.pretrained["projector"]
        return {"net": with_middle(net, projector, self.kept, make.outputs)}

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy."""
        (batch,) = batches
        logits = run.net(strong(batch.x))
        run.note(batch, logits)
        return supervised(logits, batch.y)


@dataclass(frozen=True)
class Distillation(Objective):
    """A new network learns from all rows, labelled or not, what the teacher says of them."""

    teacher: Any
    temperature: float

    def build(self, make: Callable[..., Any]) -> Nets:
        """The small network, and the teacher, which stays as it is."""
        return {"net": make(), "teacher": frozen(self.teacher)}

    def epoch(self, run: Run) -> None:
        """The teacher answers as it would after training."""
        run.nets["teacher"].eval()

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """All rows."""
        for rows in run.shuffled(np.arange(len(run.examples))):
            yield (rows,)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Both see the same changed rows."""
        import torch

        x = strong(batches[0].x)
        with torch.no_grad():
            said = run.nets["teacher"](x)
        return distillation(run.net(x), said, self.temperature)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SimCLRv2(NetworkTrainer):
    """Pretrain a big network on all rows by contrast, fine-tune it on the labelled ones, distil it into a small one.

    Chen, Kornblith, Swersky, Norouzi, Hinton, "Big Self-Supervised Models are Strong Semi-Supervised Learners", 2020.
    Fine-tuning starts from a middle layer of the three-layer projection head, and the small network, which is what
    answers, learns the big one's chances on every row. ``epochs``, ``batch_size`` are those of the fine-tuning.

    Attributes
    ----------
    teacher
        Name of the big network; ``auto`` takes the wide form of ``network`` where there is one.
    pretrain_epochs, distill_epochs
        Passes over all rows with the contrastive loss and with the distillation.
    pretrain_batch
        Rows whose views are told apart in a step.
    temperature, softness
        Of the contrastive loss, and of the chances in the distillation.
    kept
        Layers of the projection head that are fine-tuned too, 0 to 2.
    """

    paper: ClassVar = Paper("Big Self-Supervised Models are Strong Semi-Supervised Learners", 2020, "2006.10029")
    alias: ClassVar = "simclrv2"

    teacher: str = "auto"
    epochs: int = 100
    pretrain_epochs: int = 100
    distill_epochs: int = 30
    pretrain_batch: int = 128
    temperature: float = 0.5
    softness: float = 1.0
    kept: int = 1

    def learn(self, lesson: Lesson) -> Run:
        """The three stages."""
        return self.distill(lesson, self.tune(lesson, self.pretrain(lesson)))

    def pretrain(self, lesson: Lesson) -> Run:
        """The contrastive stage, on all rows."""
        objective = Contrast(self.temperature, LAYERS, self.big(lesson))
        # no validation row can judge a network that has no classes yet
        return replace(lesson, held=None).fit(
            objective,
            stage="contrastive pretraining",
            epochs=self.pretrain_epochs,
            batch_size=self.pretrain_batch,
        )

    def tune(self, lesson: Lesson, pretrained: Run) -> Run:
        """The fine-tuning stage, on the labelled rows; the pretrained networks are copied."""
        return lesson.fit(FineTuning(pretrained.nets, self.kept), stage="fine-tuning")

    def distill(self, lesson: Lesson, teacher: Run) -> Run:
        """The distillation stage, on all rows."""
        return lesson.fit(Distillation(teacher.net, self.softness), stage="distillation", epochs=self.distill_epochs)

    def big(self, lesson: Lesson) -> str:
        """Name of the network that is pretrained."""
        if self.teacher != "auto":
            return self.teacher
        name = lesson.make.name
        if name == "auto":
            from dross.models.networks import USUAL

            name = USUAL[lesson.make.kind]
        return WIDE.get(name, name)
