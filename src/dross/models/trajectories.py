"""Trajectory matching: Cazenavette et al., "Dataset Distillation by Matching Training Trajectories", 2022 (MTT)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dross.core.errors import DrossError
from dross.models.devices import import_torch, seeded
from dross.models.examples import Batch, Examples, soft_cross_entropy, supervised
from dross.models.loop import PREDICTED, Objective, Run, Settings, fit

if TYPE_CHECKING:
    from torch import Tensor, nn

FLOOR = 0.1
"""The learnt step size never falls below this share of what it began with: a negative one would climb."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def flat_weights(net: nn.Module) -> Tensor:
    """All weights of a network in a row, shape (p,), a copy without gradient.

    >>> from torch import nn
    >>> flat_weights(nn.Linear(3, 2)).shape
    torch.Size([8])
    """
    import torch

    return torch.cat([weight.detach().reshape(-1) for weight in net.parameters()]).clone()


def applied(net: nn.Module, weights: Tensor, x: Tensor) -> Tensor:
    """What a network says with other weights, shape (p,), than its own; differentiable in the weights and in ``x``.

    >>> import torch
    >>> net = torch.nn.Linear(2, 1); x = torch.ones(1, 2)
    >>> bool(torch.equal(applied(net, flat_weights(net), x), net(x))), applied(net, torch.ones(3), x).tolist()
    (True, [[3.0]])
    """
    import torch
    from torch.func import functional_call

    own = dict(net.named_parameters())
    parts = torch.split(weights, [weight.numel() for weight in own.values()])
    named = {name: part.view_as(weight) for (name, weight), part in zip(own.items(), parts, strict=True)}
    said: Tensor = functional_call(net, named, (x,))
    return said


def said_at(net: nn.Module, weights: Tensor, x: Tensor) -> Tensor:
    """What a network says of rows with other weights, piece by piece and without gradients, shape (n, k), on the CPU.

    >>> import torch
    >>> said_at(torch.nn.Linear(2, 1), torch.ones(3), torch.ones(2, 2)).tolist()
    [[3.0], [3.0]]
    """
    import torch

    device = next(net.parameters()).device
    with torch.no_grad():
        parts = [applied(net, weights.to(device), part.to(device)).cpu() for part in torch.split(x, PREDICTED)]
    return torch.cat(parts)


def matching_loss(reached: Tensor, start: Tensor, target: Tensor) -> Tensor:
    """How far the student ended from the expert, of how far the expert went: ``|r - t|² / |s - t|²`` (MTT, equation 2).

    >>> import torch
    >>> float(matching_loss(torch.tensor([1.0, 0.0]), torch.zeros(2), torch.tensor([2.0, 0.0])))
    0.25
    """
    return (reached - target).square().sum() / (start - target).square().sum().clamp(min=1e-12)


def student_path(
    net: nn.Module,
    start: Tensor,
    batches: Iterator[tuple[Tensor, Tensor]],
    rate: Tensor,
    *,
    momentum: float = 0.0,
    factor: float = 1.0,
) -> list[Tensor]:
    """The weights after each step of SGD on batches of inputs (b, …) and chances (b, k); the way back is kept.

    ``factor`` multiplies the loss. The result can be differentiated in the inputs, the chances and the ``rate``.

    >>> import torch
    >>> net = torch.nn.Linear(1, 2); batch = (torch.ones(1, 1), torch.tensor([[0.5, 0.5]]))
    >>> path = student_path(net, torch.tensor([1.0, 0.0, 0.0, 0.0]), iter([batch] * 3), torch.tensor(1.0))
    >>> len(path), bool(path[2][0] < path[0][0] < 1)
    (3, True)
    """
    import torch

    weights = start.detach().clone().requires_grad_(True)
    moved: Tensor | None = None
    path: list[Tensor] = []
    for x, targets in batches:
        loss = factor * soft_cross_entropy(applied(net, weights, x), targets).mean()
        (slope,) = torch.autograd.grad(loss, weights, create_graph=True)
        moved = slope if moved is None or not momentum else momentum * moved + slope
        weights = weights - rate * moved
        path.append(weights)
    return path


# ---- experts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Descent(Objective):
    """Training by SGD at a constant rate, which keeps the weights of each epoch where asked.

    The step that the student takes is one of plain SGD, so the expert must have gone by such steps too.

    Attributes
    ----------
    momentum, halfway
        Of SGD; what the rate is multiplied by after half of the epochs.
    shares
        What the loss is multiplied by in the first epochs, one number each; 1 afterwards.
    penalty
        The weight of ``(|d f / d x| - 1)²``, f the sum of a row's logits: how steep the network is where the rows are.
    targets
        Chances to learn instead of classes, shape (n, k).
    keeps
        Whether ``run.state["weights"]``, shape (epochs + 1, p), takes down where each epoch began.
    """

    momentum: float = 0.0
    halfway: float = 1.0
    shares: tuple[float, ...] = ()
    penalty: float = 0.0
    targets: Tensor | None = field(default=None, repr=False)
    keeps: bool = False

    def begin(self, run: Run) -> None:
        """SGD in the place of the loop's own optimizer."""
        import torch

        weights = list(run.net.parameters())
        rate, decay = run.settings.learning_rate, run.settings.weight_decay
        run.optimizer = torch.optim.SGD(weights, rate, momentum=self.momentum, weight_decay=decay)
        if self.keeps:
            count = sum(weight.numel() for weight in weights)
            run.state["weights"] = torch.empty(run.settings.epochs + 1, count)

    def epoch(self, run: Run) -> None:
        """A constant rate, and the weights taken down."""
        late = run.epoch > run.settings.epochs // 2
        for group in run.optimizer.param_groups:
            group["lr"] = run.settings.learning_rate * (self.halfway if late else 1.0)
        if self.keeps:
            run.state["weights"][run.epoch] = flat_weights(run.net).cpu()

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy on classes or chances, damped at first, and the penalty."""
        (batch,) = batches
        logits = run.net(batch.x)
        if self.targets is None:
            loss = supervised(logits, batch.y)
        else:
            loss = soft_cross_entropy(logits, self.targets.to(run.device)[batch.rows]).mean()
        if run.epoch < len(self.shares):
            loss = self.shares[run.epoch] * loss
        return loss + self.penalty * steepness(run.net, batch.x) if self.penalty else loss


def steepness(net: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The mean of ``(|d f / d x| - 1)²`` over rows, f the sum of a row's logits; differentiable in the weights.

    >>> import torch
    >>> round(float(steepness(lambda x: x @ torch.tensor([[3.0], [4.0]]), torch.zeros(5, 2))), 4)
    16.0
    """
    import torch

    inputs = x.detach().clone().requires_grad_(True)
    (slopes,) = torch.autograd.grad(net(inputs).sum(), inputs, create_graph=True)
    norms: Tensor = (slopes.flatten(1).square().sum(dim=1) + 1e-12).sqrt()
    return (norms - 1).square().mean()


def expert_trajectories(
    objective: Descent,
    make: Callable[..., Any],
    examples: Examples,
    settings: Settings,
    count: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Tensor, nn.Module]:
    """The weights of ``count`` experts at the start and after each epoch, shape (count, epochs + 1, p), on the CPU.

    Also the network of the last one, which :func:`applied` gives other weights.
    """
    import torch

    paths: list[Tensor] = []
    for i in range(count):
        seed = int(np.random.SeedSequence((settings.seed, i)).generate_state(1)[0])
        run = fit(replace(objective, keeps=True), make, examples, replace(settings, seed=seed))
        run.state["weights"][-1] = flat_weights(run.net).cpu()
        paths.append(run.state["weights"])
        progress(i + 1, count)
    return torch.stack(paths), run.net


def step_norms(paths: Tensor) -> Tensor:
    """How far each expert moved in each epoch, shape (count, epochs).

    >>> import torch
    >>> step_norms(torch.tensor([[[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]]])).tolist()
    [[5.0, 0.0]]
    """
    moved: Tensor = (paths[:, 1:] - paths[:, :-1]).norm(dim=2)
    return moved


# ---- matching ----------------------------------------------------------------------------------------------------


@dataclass
class Distilled:
    """The few rows as they are learnt.

    Attributes
    ----------
    x
        Inputs as the network reads them, shape (m, …).
    logits
        Their labels before the softmax, shape (m, k).
    rate
        The step size of the student.
    losses
        The matching loss of each iteration.
    """

    x: Tensor
    logits: Tensor
    rate: Tensor
    losses: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Matching:
    """How the few rows are learnt.

    Attributes
    ----------
    iterations
        Updates of the rows.
    span
        Epochs of the expert that the student is to reach in its ``steps`` steps on ``batch`` rows each (0: on all).
    input_rate, label_rate, step_rate
        Learning rates of inputs, logits and step size; 0 keeps the labels as they are.
    momentum
        Of the student.
    threshold
        An iteration whose loss is above it changes nothing.
    intermediate
        Whether the student is also to be where the expert was after each epoch between.
    perturbation
        Size of the noise on the weights that the student starts from.
    """

    iterations: int
    span: int
    steps: int
    batch: int
    input_rate: float
    label_rate: float = 0.0
    step_rate: float = 1e-5
    momentum: float = 0.0
    threshold: float = float("inf")
    intermediate: bool = False
    perturbation: float = 0.0
    seed: int = 0


def match(
    made: Distilled,
    net: nn.Module,
    paths: Tensor,
    how: Matching,
    window: Callable[[int], tuple[int, int]],
    *,
    varies: Tensor,
    factor: Callable[[int], float] = lambda epoch: 1.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Distilled:
    """Learn the rows: each iteration trains a student from some expert's epoch and follows the distance back.

    Parameters
    ----------
    made
        What to begin with.
    net, paths
        The network, and what :func:`expert_trajectories` gave.
    how
        Rates, steps and options.
    window
        From the iteration to the first epoch that may be drawn, and the one after the last.
    varies
        Which inputs may change, shape of a row, bool.
    factor
        From the epoch to what the student's loss is multiplied by.
    progress
        Called with the number of iterations done and their total.

    Time grows with iterations times steps times the cost of a step of training, memory with the steps. Raises
    DrossError where no iteration has a loss that is a number.
    """
    torch = import_torch()
    device = next(net.parameters()).device
    rng = np.random.default_rng((how.seed, 17))
    x, logits, rate = (part.detach().to(device).clone() for part in (made.x, made.logits, made.rate))
    least, free = FLOOR * float(rate), varies.to(device)
    losses: list[float] = []
    learnt = [x, rate, logits] if how.label_rate else [x, rate]
    for part in learnt:
        part.requires_grad_(True)
    groups: list[dict[str, Any]] = [
        {"params": [x], "lr": how.input_rate, "momentum": 0.5},
        {"params": [rate], "lr": how.step_rate, "momentum": 0.5},
    ] + ([{"params": [logits], "lr": how.label_rate, "momentum": 0.9}] if how.label_rate else [])
    optimizer = torch.optim.SGD(groups, lr=how.input_rate)
    net.train()
    with seeded(how.seed, 19):
        for iteration in range(how.iterations):
            low, high = window(iteration)
            epoch, expert = int(rng.integers(low, max(high, low + 1))), int(rng.integers(len(paths)))
            part = paths[expert, epoch : epoch + how.span + 1].to(device)
            start = perturbed(net, part[0], how.perturbation)
            batches = _batches(x, logits, how, rng)
            path = student_path(net, start, batches, rate, momentum=how.momentum, factor=factor(epoch))
            loss = matching_loss(path[-1], start, part[-1])
            if how.intermediate:
                for i in range(1, how.span):
                    loss = loss + matching_loss(path[how.steps // how.span * i - 1], start, part[i])
            losses.append(float(loss.detach()))
            progress(iteration + 1, how.iterations)
            if not losses[-1] <= how.threshold:
                continue
            for one, slope in zip(learnt, torch.autograd.grad(loss, learnt), strict=True):
                one.grad = slope * free if one is x else slope
            optimizer.step()
            with torch.no_grad():
                rate.clamp_(min=least)
    net.eval()
    if not np.isfinite(losses).any():
        raise DrossError("the student's weights are no longer numbers", fix="try a lower learning_rate or fewer steps")
    return Distilled(x.detach().cpu(), logits.detach().cpu(), rate.detach().cpu(), losses)


def perturbed(net: nn.Module, weights: Tensor, size: float) -> Tensor:
    """Weights with noise in proportion to each: ``w + size d / |d| w`` for each matrix, d normal (AST's code).

    >>> import torch
    >>> net = torch.nn.Linear(2, 1); perturbed(net, torch.tensor([0.0, 0.0, 5.0]), 1.0).tolist()
    [0.0, 0.0, 5.0]
    """
    import torch

    if not size:
        return weights
    parts = torch.split(weights, [weight.numel() for weight in net.parameters()])
    out = []
    for own, part in zip(net.parameters(), parts, strict=True):
        noise = torch.randn(part.shape, device=part.device)
        out.append(part + size * noise / noise.norm() * part if own.ndim > 1 else part)
    return torch.cat(out)


def _batches(x: Tensor, logits: Tensor, how: Matching, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of one student: pass after pass over the few rows in random order."""
    import torch

    m, size = len(x), how.batch if 0 < how.batch < len(x) else len(x)
    targets, waiting = logits.softmax(dim=1), np.empty(0, np.int64)
    for _ in range(how.steps):
        if size == m:
            yield x, targets
            continue
        if len(waiting) < size:
            waiting = np.concatenate([waiting, rng.permutation(m)])
        rows, waiting = torch.from_numpy(waiting[:size].copy()).to(x.device), waiting[size:]
        yield x[rows], targets[rows]
