"""Cost-aware training: many cheap numbers first, weighted by how near a teacher they are, then few accurate ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.roles import Role
from dross.models.examples import Batch
from dross.models.lesson import Lesson
from dross.models.loop import Objective, Run
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor

Numbers = npt.NDArray[np.float64]


# ---- the mathematics ---------------------------------------------------------------------------------------------


def bias_weights(cheap: Tensor, taught: Tensor, gamma: float) -> Tensor:
    """How much each cheap label counts, ``exp(-|cheap - teacher| / gamma)`` over the mean of all, shape (n,).

    The paper writes it for the norm of a force; of numbers it is the absolute difference.

    >>> import torch
    >>> bias_weights(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.0]), 1e-3).tolist()
    [2.0, 0.0]
    """
    weights = (-(cheap - taught).abs() / gamma).exp()
    return weights / weights.mean().clamp(min=1e-12)


def weighted_error(found: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """The mean of the weighted absolute errors; shapes (b,).

    >>> import torch
    >>> float(weighted_error(torch.tensor([1.0, 4.0]), torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.5])))
    1.5
    """
    return (weights * (found - y).abs()).mean()


def sliced_score_loss(energy: Tensor, x: Tensor, directions: Tensor, temperature: float) -> Tensor:
    """Sliced score matching of the density ``exp(-energy / temperature)``, a mean over rows.

    With ``F = -d energy / dx`` it is ``|F|^2 / 2 + temperature v' (dF / dx) v`` for random directions ``v``, whose mean
    is the trace of the derivative; ``energy`` has shape (b,), ``x`` and ``directions`` (b, d).

    >>> import torch
    >>> x = torch.tensor([[2.0]], requires_grad=True)
    >>> float(sliced_score_loss(x.square().sum(dim=1) / 2, x, torch.ones(1, 1), 1.0).detach())
    1.0
    """
    import torch

    (slope,) = torch.autograd.grad(energy.sum(), x, create_graph=True)
    force = -slope
    (bent,) = torch.autograd.grad((force * directions).sum(), x, create_graph=True)
    each: Tensor = force.square().sum(dim=1) / 2 + temperature * (directions * bent).sum(dim=1)
    return each.mean()


# ---- the stages --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Numbers(Objective):
    """Absolute errors, each row with its weight, shape (n,)."""

    weights: npt.NDArray[np.float32] | None = None
    noted: bool = False

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The weighted error of a batch."""
        import torch

        (batch,) = batches
        found = run.net(batch.x)
        if self.noted:
            run.note(batch, found)
        one = torch.ones_like(batch.y)
        counts = one if self.weights is None else torch.from_numpy(self.weights).to(run.device)[batch.rows]
        return weighted_error(found.squeeze(1).float(), batch.y, counts)


@dataclass(frozen=True)
class _Scores(Objective):
    """Score matching on inputs alone."""

    temperature: float

    def batches(self, run: Run) -> Any:
        """All rows, whether labelled or not."""
        for rows in run.shuffled(np.arange(len(run.examples))):
            yield (rows,)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The sliced loss along one random direction for each row; rectifiers, which do not bend, are made smooth."""
        import torch

        x = batches[0].x.detach().requires_grad_()
        energy = smooth(run.net, x).squeeze(1)
        return sliced_score_loss(energy, x, torch.randn_like(x), self.temperature)


def smooth(net: Any, x: Tensor) -> Tensor:
    """What a perceptron answers with softplus in the place of its rectifiers, whose second derivative is 0.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.ReLU()); smooth(net, torch.zeros(1)).round(decimals=3).tolist()
    [0.0689999982714653]
    """
    from torch import nn
    from torch.nn import functional

    for layer in _layers(net):
        x = functional.softplus(x, beta=10.0) if isinstance(layer, nn.ReLU) else layer(x)
    return x


def _layers(net: Any) -> list[Any]:
    from torch import nn

    if isinstance(net, nn.Sequential):
        return [leaf for layer in net for leaf in _layers(layer)]
    return [*_layers(net.body), net.head] if hasattr(net, "head") else [net]


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CostAwareTraining(NetworkTrainer):
    """Pretrain on cheap biased numbers, weighted by a teacher of the accurate ones, and finish on these.

    Bukharin, Liu, Wang, Zuo, Gao, Yan, Zhao, "Machine Learning Force Fields with Data Cost Aware Training" (ASTEROID),
    2023. The accurate number stands in the column with the role target, null where it is not known; cheap ones stand
    in columns with the role votes (their mean is taken where there are several). A teacher learns the accurate
    numbers; the student learns the cheap ones, those less that are far from what the teacher says, and is then
    trained further on the accurate ones. Where no row has a cheap number, the student instead learns the density of
    all inputs by score matching, which needs vectors. The error is the absolute one, as in the paper's code.

    Attributes
    ----------
    gamma
        How far from the teacher a cheap number still counts: its weight falls to 1/e there, in mean distances
        between the cheap numbers and the teacher.
    teacher_epochs, tuning_epochs
        Passes over the accurate rows, for the teacher and at the end; ``epochs`` are those of the pretraining.
    tuning_rate
        The learning rate of the end, as a share of that of the pretraining.
    temperature
        Of the density whose energy the network learns, when there are no cheap numbers.
    """

    paper: ClassVar = Paper("Machine Learning Force Fields with Data Cost Aware Training", 2023, "2306.03109")
    alias: ClassVar = "asteroid"
    needs: ClassVar = (Role.TARGET,)

    gamma: float = 0.5
    teacher_epochs: int = 300
    tuning_epochs: int = 100
    tuning_rate: float = 0.3
    temperature: float = 0.1

    def learn(self, lesson: Lesson) -> Run:
        """Teacher, pretraining, tuning."""
        import torch

        cheap = _cheap(lesson)
        known = np.isfinite(cheap)
        nets = None
        if known.any():
            teacher = lesson.fit(_Numbers(), stage="teacher", epochs=self.teacher_epochs)
            taught = teacher.probs().squeeze(1).cpu()
            given = torch.from_numpy(cheap.astype(np.float32))
            apart = (given - taught)[torch.from_numpy(known)].abs().mean()
            weights = np.ones(len(cheap), np.float32)
            weights[known] = bias_weights(given[known], taught[known], self.gamma * max(float(apart), 1e-9)).numpy()
            examples = replace(lesson.examples, y=given)
            nets = lesson.fit(_Numbers(weights), stage="pretraining", examples=examples).nets
        elif lesson.encoder.kind == "vector":
            nets = lesson.fit(_Scores(self.temperature), stage="score matching").nets
        rate = self.learning_rate * (self.tuning_rate if nets is not None else 1.0)
        return lesson.fit(
            _Numbers(noted=True), stage="tuning", nets=nets, epochs=self.tuning_epochs, learning_rate=rate
        )

    def _check(self) -> None:
        super()._check()
        for name in ("gamma", "tuning_rate", "temperature"):
            if not getattr(self, name) > 0:
                raise DrossError(f"{name} is {getattr(self, name)}", fix="give a number above 0")


def _cheap(lesson: Lesson) -> Numbers:
    """The mean cheap number of each training row on the scale of the targets, shape (n,); NaN where there is none."""
    names = lesson.data.roles.get(Role.VOTES, ())
    if not names:
        return np.full(len(lesson.rows), np.nan)
    values = np.stack([_numbers(lesson.data, name)[lesson.rows] for name in names])
    there = np.isfinite(values)
    total = np.where(there, values, 0).sum(axis=0)
    mean = np.divide(total, there.sum(axis=0), out=np.full(len(total), np.nan), where=there.any(axis=0))
    return np.asarray((mean - lesson.outcome.centre) / lesson.outcome.scale, np.float64)


def _numbers(data: Dataset, name: str) -> Numbers:
    import pyarrow as pa

    kind = data.table.column(name).type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise DrossError(
            f"cheap numbers are numbers, not {kind}", where=f"column {name!r}", fix="give votes=NUMERIC COLUMN"
        )
    return data.numbers(name)
