"""Future self-training: the teacher is moved by a student one step ahead before it teaches the present one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.augment import strong, weak
from dross.models.examples import Batch, Teaches, activated, supervised
from dross.models.loop import Nets, Run, follow, frozen
from dross.models.trainer import NetworkTrainer
from dross.models.unlabelled import side_by_side, warm

if TYPE_CHECKING:
    from torch import Tensor, nn


# ---- the mathematics ---------------------------------------------------------------------------------------------


def pseudo_label_loss(logits: Tensor, probs: Tensor, threshold: float) -> Tensor:
    """Cross-entropy against the teacher's likeliest classes, times the share of rows that it is sure of.

    ``logits`` and ``probs`` have shape (b, k). The share is a common weight of all rows of the batch, as in the
    authors' code: an unsure teacher is heard little, and none of its rows is left out.

    >>> import torch
    >>> probs = torch.tensor([[0.1, 0.9], [0.4, 0.6]])
    >>> round(float(pseudo_label_loss(torch.zeros(2, 2), probs, 0.8)), 4)
    0.3466
    """
    top, classes = probs.detach().max(dim=1)
    return (top >= threshold).float().mean() * supervised(logits, classes)


class Present:
    """The student and its optimizer as they are now, to come back to after virtual steps.

    >>> import torch
    >>> net = torch.nn.Linear(1, 1, bias=False)
    >>> optimizer = torch.optim.AdamW(net.parameters(), 0.1)
    >>> present, before = Present(net, optimizer), net.weight.detach().clone()
    >>> net(torch.ones(1, 1)).sum().backward(); optimizer.step()
    >>> present.restore(); bool((net.weight == before).all()), len(optimizer.state)
    (True, 0)
    """

    def __init__(self, net: nn.Module, optimizer: Any) -> None:
        self._net, self._optimizer = net, optimizer
        self._weights = [p.detach().clone() for p in net.parameters()]
        self._moments = {p: {key: value.clone() for key, value in held.items()} for p, held in optimizer.state.items()}

    def restore(self) -> None:
        """Put both back."""
        import torch

        with torch.no_grad():
            for parameter, weight in zip(self._net.parameters(), self._weights, strict=True):
                parameter.copy_(weight)
        self._optimizer.state.clear()
        for parameter, held in self._moments.items():
            self._optimizer.state[parameter] = {key: value.clone() for key, value in held.items()}


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FutureSelfTraining(NetworkTrainer):
    """Self-training whose momentum teacher learns from the student's future before it teaches the present student.

    Du, Shen, Wang, Fei, Li, Wu, Zhao, Fu, Liu, "Learning from Future: A Novel Self-Training Framework for Semantic
    Segmentation", 2022. At each step the student is optimized virtually, the teacher is moved towards that future
    student, the student is put back, and takes its real step under the teacher's new pseudo-labels. A teacher made of
    past students only confirms their errors. ``deep`` takes several virtual steps one after the other; ``wide`` takes
    one on each of several batches and moves the teacher towards the mean of the students. Pseudo-labels are of whole
    rows here, and optimizer and student are both put back. The teacher answers.

    Each virtual step costs as much as a real one.

    Attributes
    ----------
    variant
        ``deep`` or ``wide``.
    ahead
        Virtual steps, K or N of the paper; 0 is the usual mean teacher.
    decay
        How slowly the teacher moves, mu of the paper, in [0, 1).
    threshold
        The chance above which the teacher counts as sure.
    weight
        The weight of the pseudo-labelled rows.
    ratio
        Unlabelled rows for each labelled one in a step.
    """

    paper: ClassVar = Paper(
        "Learning from Future: A Novel Self-Training Framework for Semantic Segmentation", 2022, "2209.06993"
    )
    alias: ClassVar = "fst"
    answers_with: ClassVar = ("net", "teacher")

    variant: Literal["deep", "wide"] = "deep"
    ahead: int = 3
    decay: float = 0.99
    threshold: float = 0.9
    weight: float = 1.0
    ratio: int = 1

    def build(self, make: Callable[..., Any]) -> Nets:
        """The student, and the teacher, which starts as its copy."""
        net = make()
        return {"net": net, "teacher": frozen(net)}

    def begin(self, run: Run) -> None:
        """Look at the settings."""
        if self.ahead < 0:
            raise DrossError(f"ahead is {self.ahead}", fix="give 0 or more")
        if self.variant not in ("deep", "wide"):
            raise DrossError(f"variant is {self.variant!r}", fix="give deep or wide")

    def epoch(self, run: Run) -> None:
        """The teacher speaks without dropout."""
        run.nets["teacher"].eval()

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """Labelled and unlabelled rows; the wide variant sees others in each virtual step."""
        return side_by_side(run, self.ratio, 1 + self.ahead if self.variant == "wide" else 1)

    def step(self, run: Run, *batches: Batch) -> Tensor:
        """The virtual steps, the teacher's move, and the real step."""
        noted, run.noted = run.noted, None  # what virtual students say is no part of how training goes
        if self.variant == "deep" or self.ahead == 0:
            self._deep(run, *batches[:2])
        else:
            self._wide(run, *batches[2:])
        run.noted = noted
        return super().step(run, *batches[:2])

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy of the labels, and of the present teacher's pseudo-labels."""
        import torch

        labelled, unlabelled = batches
        with torch.no_grad():
            probs = run.nets["teacher"](weak(unlabelled.x)).softmax(dim=1)
        logits = run.net(torch.cat([weak(labelled.x), strong(unlabelled.x)]))
        own, others = logits[: len(labelled.x)], logits[len(labelled.x) :]
        run.note(labelled, own)
        return supervised(own, labelled.y) + self.weight * pseudo_label_loss(others, probs, self.threshold)

    def answer(self, nets: Nets, x: Tensor, teaches: Teaches) -> Tensor:
        """What the teacher says."""
        return activated(nets["teacher"](x), teaches)

    def _teach(self, run: Run) -> None:
        follow(run.nets["teacher"], run.net, warm(self.decay, run.step))

    def _deep(self, run: Run, *batches: Batch) -> None:
        """The teacher follows the student now and after each virtual step on the batch (FST-D)."""
        self._teach(run)
        if self.ahead == 0:
            return
        present = Present(run.net, run.optimizer)
        for _ in range(self.ahead):
            super().step(run, *batches)
            self._teach(run)
        present.restore()

    def _wide(self, run: Run, *batches: Batch) -> None:
        """The teacher follows the mean of students that each took one virtual step on a batch of its own (FST-W)."""
        present, mean = Present(run.net, run.optimizer), frozen(run.net)
        self._teach(run)
        for i in range(self.ahead):
            super().step(run, *batches[2 * i : 2 * i + 2])
            follow(mean, run.net, 1 - 1 / (i + 1))
            present.restore()
        follow(run.nets["teacher"], mean, warm(self.decay, run.step))
