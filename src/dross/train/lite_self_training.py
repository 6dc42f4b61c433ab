"""LiST: self-training that tunes adapters alone, and weighs each predicted label by what it does to the gold ones."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.examples import Batch, supervised
from dross.models.lesson import Lesson
from dross.models.loop import Nets, Objective, Run, frozen
from dross.models.nt_xent import Contrast
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor


# ---- the mathematics ---------------------------------------------------------------------------------------------


def meta_gradient(
    losses: Callable[[dict[str, Tensor]], Tensor],
    gold: Callable[[dict[str, Tensor]], Tensor],
    parameters: dict[str, Tensor],
    rate: float,
) -> Tensor:
    """How the gold loss changes with the weight of each row in one step of descent, shape (b,), at weights of zero.

    The step is virtual: ``parameters`` moved by ``rate`` against the gradient of the weighted sum of ``losses``, whose
    shape is (b,); the gold loss is taken there (Ren et al., "Learning to Reweight Examples for Robust Deep Learning",
    2018, equations 4 to 6; the paper's equation 5).

    >>> import torch
    >>> at = {"v": torch.tensor(1.0, requires_grad=True)}
    >>> pulls = torch.tensor([1.0, -1.0])
    >>> meta_gradient(lambda p: pulls * p["v"], lambda p: p["v"], at, 0.5).tolist()
    [-0.5, 0.5]
    """
    import torch

    rows = losses(parameters)
    weights = torch.zeros_like(rows, requires_grad=True)
    gradients = torch.autograd.grad((weights * rows).sum(), list(parameters.values()), create_graph=True)
    moved = {name: p - rate * g for (name, p), g in zip(parameters.items(), gradients, strict=True)}
    (found,) = torch.autograd.grad(gold(moved), weights)
    return found


def sample_weights(gradient: Tensor) -> Tensor:
    """Weights of rows: what the gradient takes off the gold loss, never below zero, with the sum one, shape (b,).

    Where no row helps all weights are zero.

    >>> import torch
    >>> sample_weights(torch.tensor([-3.0, 1.0, -1.0])).tolist()
    [0.75, 0.0, 0.25]
    """
    helps = (-gradient).clamp(min=0)
    total = helps.sum()
    return helps / total if float(total) > 0 else helps


def _each(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy of each row, shape (b,)."""
    from torch.nn import functional

    return functional.cross_entropy(logits, classes, reduction="none")


# ---- a round -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Round(Objective):
    """One round: the adapters learn what the teacher says of the rows without a label."""

    backbone: Any
    teacher: Any
    share: float
    warmup: float
    weighted: bool

    def build(self, make: Callable[..., Any]) -> Nets:
        """The tuned network, frozen, with fresh adapters; and the teacher."""
        from dross.models.adapters import Adapted

        return {"net": Adapted(copy.deepcopy(self.backbone), self.share), "teacher": frozen(self.teacher)}

    def begin(self, run: Run) -> None:
        """What the teacher says of all rows; no weight was given yet."""
        import torch

        run.state["said"] = run.probs("teacher").argmax(dim=1)
        run.state["weight"], run.state["drawn"] = (torch.zeros(len(run.examples), device=run.device) for _ in range(2))

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """Gold rows, and rows without a label (all rows where each has one), in pairs."""
        rows = run.unlabelled if len(run.unlabelled) else run.labelled
        size = run.settings.batch_size
        gold = run.drawn(run.labelled, min(size, len(run.labelled)))
        for other in run.shuffled(rows):
            yield next(gold), other

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy of the teacher's classes, weighted; the gold labels only weigh, so that they stay a test."""
        gold, other = batches
        said = run.state["said"][other.rows]
        return (self.weights(run, gold, other) * _each(run.net(other.x), said)).sum()

    def weights(self, run: Run, gold: Batch, other: Batch) -> Tensor:
        """Of the rows without a label, shape (b,): even at first, then those of the virtual step."""
        import torch
        from torch.func import functional_call

        if not self.weighted or run.epoch < self.warmup * run.settings.epochs:
            return torch.full((len(other.rows),), 1 / len(other.rows), device=run.device)
        said, net = run.state["said"][other.rows], run.net
        parameters = {name: p for name, p in net.named_parameters() if p.requires_grad}
        found = sample_weights(
            meta_gradient(
                lambda p: _each(functional_call(net, p, (other.x,)), said),
                lambda p: supervised(functional_call(net, p, (gold.x,)), gold.y),
                parameters,
                run.settings.learning_rate,
            )
        )
        run.state["weight"].index_add_(0, other.rows, found * len(found))
        run.state["drawn"].index_add_(0, other.rows, torch.ones_like(found))
        return found


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LiteSelfTraining(NetworkTrainer):
    """Tune a teacher on the gold labels, then adapters of a frozen copy on its predictions, round after round.

    Wang, Mukherjee, Liu, Gao, Awadallah, Gao, "LiST: Lite Prompted Self-training Makes Parameter-Efficient Few-shot
    Learners", 2022. A predicted label counts as far as one step on it would lower the loss on the gold labels; each
    round's student is the next one's teacher. ``epochs`` are those of the teacher.

    Attributes
    ----------
    pretrain_epochs, temperature
        Passes of the contrastive pretraining of small networks, and its temperature; a local Hugging Face model needs
        none.
    backbone_epochs
        Passes over the gold labels that the frozen network has seen, as a prompt makes a language model know the task.
        Few leave more to learn than adapters of a small network can; many leave little in the gold labels to weigh by.
    rounds
        Of self-training.
    round_epochs
        Passes over the rows without a label in each round.
    gold_epochs
        Passes of the adapters over the gold labels after them.
    share
        The adapters have at most this share of the network's parameters.
    adapter_rate
        The learning rate of the adapters.
    warmup
        The share of a round's epochs in which all predicted labels count alike.
    weighted
        Whether they are weighed afterwards.
    """

    paper: ClassVar = Paper(
        "LiST: Lite Prompted Self-training Makes Parameter-Efficient Few-shot Learners", 2022, "2110.06274"
    )
    alias: ClassVar = "list"

    epochs: int = 60
    pretrain_epochs: int = 30
    temperature: float = 0.5
    backbone_epochs: int = 60
    rounds: int = 3
    round_epochs: int = 10
    gold_epochs: int = 20
    share: float = 0.04
    adapter_rate: float = 0.01
    warmup: float = 0.1
    weighted: bool = True

    def build(self, make: Callable[..., Any]) -> Nets:
        """The network with its adapters."""
        from dross.models.adapters import Adapted

        return {"net": Adapted(make(), self.share)}

    def learn(self, lesson: Lesson) -> Run:
        """The teacher and the rounds."""
        from dross.models.networks import pretrained_folder

        if self.rounds < 1:
            raise DrossError(f"rounds is {self.rounds}", fix="give 1 or more")
        nets = None if pretrained_folder(self.network) else {"net": self.pretrained(lesson)}
        begun = lesson.fit(Objective(), stage="backbone", nets=nets, epochs=self.backbone_epochs).net
        teacher = lesson.fit(Objective(), stage="teacher", nets={"net": copy.deepcopy(begun)}).net
        for i in range(self.rounds):
            objective = Round(begun, teacher, self.share, self.warmup, self.weighted)
            rate = self.adapter_rate
            taught = lesson.fit(objective, stage=f"round {i + 1}", epochs=self.round_epochs, learning_rate=rate)
            teacher = taught.net
            nets = {"net": teacher}
            run = lesson.fit(
                Objective(), stage=f"round {i + 1} gold", nets=nets, epochs=self.gold_epochs, learning_rate=rate
            )
        run.state |= taught.state  # the weights of the last round
        return run

    def pretrained(self, lesson: Lesson) -> Any:
        """A network that contrast taught on all rows, in the place of a pretrained language model."""
        unjudged = replace(lesson, held=None)  # no validation row can judge a network that has no classes yet
        return unjudged.fit(Contrast(self.temperature), stage="pretraining", epochs=self.pretrain_epochs).net

    def report(self, run: Run) -> dict[str, Any]:
        """How many parameters were tuned in the rounds."""
        return {"tuned": sum(p.numel() for p in run.net.parameters() if p.requires_grad)}
