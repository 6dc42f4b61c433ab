"""The one training loop. A method is its own mathematics, in the hooks of an :class:`Objective`."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dross.core.errors import DrossError
from dross.models.best import Best
from dross.models.devices import device_of, evaluating, import_torch, memory_explained, precision, seeded
from dross.models.examples import Batch, Examples, Teaches, activated, supervised

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from dross.models.checkpoint import Keeper
    from dross.models.distributed import Team

Nets = dict[str, Any]
"""Networks by name; ``net`` is the one that answers."""
Rows = npt.NDArray[np.int64]
WATCH = 20
"""Steps between two looks at whether the loss is still a number."""
PREDICTED = 1024
"""Rows that are predicted at a time."""


@dataclass(frozen=True)
class Settings:
    """How long and how fast to train: AdamW, its rate going down half a cosine from epoch to epoch.

    Attributes
    ----------
    epochs
        Passes over the rows.
    batch_size
        Labelled rows in a step.
    learning_rate, weight_decay
        Of AdamW.
    seed
        Of the weights, the order of the rows and everything else that is random.
    device
        ``auto`` (the GPU where there is one), ``cpu``, ``cuda``, …
    devices
        How many of them train together, a process each; on a CPU, so many processes. Each takes its part of a batch.
    patience
        Epochs without a better answer on validation rows after which training stops and the best epoch is taken; 0
        trains to the end.
    """

    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    seed: int = 0
    device: str = "auto"
    devices: int = 1
    patience: int = 0


class Objective:
    """What a method adds to the loop. The defaults are plain training: cross-entropy on the labelled rows.

    What must survive from batch to batch lives in the :class:`Run`: networks in ``run.nets``, tensors in ``run.state``;
    both are kept with every checkpoint. Random numbers come from torch's own functions and from ``run.rng``, which the
    loop seeds anew at each epoch.
    """

    def build(self, make: Callable[..., Any]) -> Nets:
        """The networks, by name; ``make`` is a :class:`~dross.models.networks.Maker`."""
        return {"net": make()}

    def begin(self, run: Run) -> None:
        """Before the first epoch: set up what is remembered about rows."""

    def epoch(self, run: Run) -> None:
        """Before each epoch: split the rows, renew targets, choose what to draw."""

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """The rows of each step of an epoch: one tensor of positions for each batch that ``loss`` takes."""
        for rows in run.shuffled(run.labelled):
            yield (rows,)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The number to bring down, from the batches of one step."""
        logits = run.net(batches[0].x)
        run.note(batches[0], logits)
        return supervised(logits, batches[0].y, run.examples.teaches)

    def step(self, run: Run, *batches: Batch) -> Tensor:
        """One update; the loss it saw. Methods that look ahead, or take two gradients, do so here."""
        loss = self.loss(run, *batches)
        run.descend(loss)
        return loss

    def after(self, run: Run, *batches: Batch) -> None:
        """After each update: move a teacher, renew running means."""

    def answer(self, nets: Nets, x: Tensor, teaches: Teaches) -> Tensor:
        """What the trained networks say of a batch: chances (b, k), or numbers (b, 1)."""
        return activated(nets["net"](x), teaches)


@dataclass
class Run:
    """A training under way: what its objective may use and change.

    Attributes
    ----------
    nets
        All networks; the parameters that ask for a gradient are trained.
    state
        What the objective remembers, tensors by name.
    history
        One entry per epoch: the mean loss, and the score on validation rows.
    epoch, step
        The number of the epoch under way and of the update, from 0.
    rng
        Random numbers of this epoch.
    noted
        Is shown the logits of labelled rows as they are computed.
    team
        The processes that train together; None where this one trains alone.
    """

    examples: Examples
    settings: Settings
    nets: Nets
    device: torch.device
    optimizer: torch.optim.Optimizer
    noted: Callable[[Run, Batch, Tensor], None] | None = None
    team: Team | None = None
    state: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    epoch: int = 0
    step: int = 0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    labelled: Rows = field(init=False)
    unlabelled: Rows = field(init=False)

    def __post_init__(self) -> None:
        known = self.examples.known.cpu().numpy()
        self.labelled, self.unlabelled = np.flatnonzero(known), np.flatnonzero(~known)

    @property
    def net(self) -> Any:
        """The network that answers."""
        return self.nets["net"]

    @property
    def y(self) -> Tensor:
        """The labels of all rows, on the device."""
        return self.examples.y.to(self.device)

    def shuffled(self, rows: Rows, size: int | None = None) -> Iterator[Tensor]:
        """The rows in random batches, each row once; no batch holds a single row where there are more."""
        import torch

        size = self.settings.batch_size if size is None else size
        order = torch.from_numpy(self.rng.permutation(rows))
        starts = list(range(0, len(order), size))
        if len(starts) > 1 and len(order) - starts[-1] == 1:
            starts.pop()
        for start, stop in itertools.pairwise([*starts, len(order)]):
            yield order[start:stop]

    def drawn(self, rows: Rows, size: int, weights: npt.NDArray[Any] | None = None) -> Iterator[Tensor]:
        """Random batches of the rows for ever: pass after pass, or with replacement by ``weights``, shape (m,)."""
        import torch

        chances = None if weights is None else np.asarray(weights, np.float64) / np.sum(weights)
        waiting = np.empty(0, np.int64)
        while len(rows):
            while len(waiting) < size:
                more = self.rng.permutation(rows) if chances is None else self.rng.choice(rows, size, p=chances)
                waiting = np.concatenate([waiting, more])
            yield torch.from_numpy(waiting[:size])
            waiting = waiting[size:]

    def batch(self, rows: Tensor) -> Batch:
        """The rows with their inputs and labels, on the device."""
        at = rows.to(self.examples.x.device)
        x, y = self.examples.x[at], self.examples.y[at]
        return Batch(rows.to(self.device), x.to(self.device), y.to(self.device))

    def note(self, batch: Batch, logits: Tensor) -> None:
        """Show the logits of labelled rows to whoever records how training goes."""
        if self.noted is not None:
            self.noted(self, batch, logits.detach())

    def descend(self, loss: Tensor) -> None:
        """One step of the optimizer down a loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def over(self, function: Callable[[Tensor], Tensor], rows: Rows | None = None) -> Tensor:
        """A function of the inputs of some rows (all when none are given), in evaluation mode, without gradients."""
        return over(self.nets, function, self.examples.x if rows is None else self.examples.x[rows], self.device)

    def probs(self, name: str = "net", rows: Rows | None = None) -> Tensor:
        """What one network says of the rows now, shape (m, k)."""
        return self.over(lambda x: activated(self.nets[name](x), self.examples.teaches), rows)

    def losses(self, name: str = "net") -> Tensor:
        """The cross-entropy of each row under one network now, shape (n,); NaN for rows without a label."""
        import torch

        own = self.probs(name).gather(1, self.y.clamp(min=0)[:, None]).squeeze(1)
        return torch.where(self.y >= 0, -own.clamp(min=1e-7).log(), torch.nan)


def over(nets: Nets, function: Callable[[Tensor], Tensor], x: Tensor, device: torch.device) -> Tensor:
    """A function of inputs piece by piece, the networks in evaluation mode, without gradients; shape (n, …)."""
    import torch

    with evaluating(nets.values()), torch.no_grad(), precision(device):
        starts = range(0, max(1, len(x)), PREDICTED)
        return torch.cat([function(x[i : i + PREDICTED].to(device)).float() for i in starts])


def frozen(net: nn.Module) -> nn.Module:
    """A copy that no optimizer trains, such as a mean teacher."""
    twin = copy.deepcopy(net)
    for parameter in twin.parameters():
        parameter.requires_grad_(False)
    return twin


def follow(teacher: nn.Module, student: nn.Module, decay: float) -> None:
    """Move a teacher's weights to ``decay`` times themselves plus the rest of the student's."""
    import torch

    with torch.no_grad():
        for mine, theirs in zip(teacher.state_dict().values(), student.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)


# ---- the loop -------------------------------------------------------------------------------------------------------


def fit(
    objective: Objective,
    make: Callable[..., Any],
    examples: Examples,
    settings: Settings,
    *,
    nets: Nets | None = None,
    held: Examples | None = None,
    keeper: Keeper | None = None,
    noted: Callable[[Run, Batch, Tensor], None] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    team: Team | None = None,
) -> Run:
    """Train, and return the run with its networks in evaluation mode.

    Parameters
    ----------
    objective
        The method.
    make
        Makes networks: a :class:`~dross.models.networks.Maker`.
    examples
        The training rows.
    settings
        How long and how fast.
    nets
        Networks to train further, instead of new ones.
    held
        Validation rows, for early stopping.
    keeper
        Where checkpoints are kept; training goes on from the last one there.
    noted
        Is shown the logits of labelled rows as they are computed.
    progress
        Called with the number of epochs done and their total.
    team
        The processes that train together, in each of them; others start them where ``settings.devices`` asks for them.

    Raises
    ------
    DrossError
        When the loss is no longer a number, or memory runs out; the last checkpoint is kept.
    """
    import_torch()
    if settings.devices > 1 and team is None:
        from dross.models.distributed import train_together

        if noted is not None:
            raise DrossError("what training sees of rows is noted in one process only", fix="leave devices at 1")
        return train_together(
            objective, make, examples, settings, nets=nets, held=held, keeper=keeper, progress=progress
        )
    device = device_of(settings.device)
    with seeded(settings.seed, 0):
        nets = objective.build(make) if nets is None else nets
        for net in nets.values():
            net.to(device)
        run = Run(examples.on(device), settings, nets, device, optimizer_of(nets, settings), noted, team)
        if team is not None:
            run.optimizer.register_step_pre_hook(team.average)
        objective.begin(run)
    best = Best(settings.patience, held)
    start = keeper.resume(run, best) if keeper is not None else 0
    for epoch in range(start, settings.epochs):
        if best.enough(epoch):
            break
        run.epoch, run.rng = epoch, np.random.default_rng((settings.seed, epoch))
        for group in run.optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate(epoch / settings.epochs)
        with seeded(settings.seed, 1 + epoch), memory_explained(run):
            _epoch(objective, run)
        best.judge(run, objective)
        if keeper is not None and (team is None or team.rank == 0):
            keeper.keep(run, best, last=epoch + 1 == settings.epochs or best.enough(epoch + 1))
        progress(epoch + 1, settings.epochs)
    best.restore(run)
    for net in run.nets.values():
        net.eval()
    return run


def rate(done: float) -> float:
    """The learning rate as a share of the highest, when a share of the epochs is done.

    >>> [round(rate(x), 2) for x in (0.0, 0.5, 1.0)]
    [1.0, 0.5, 0.0]
    """
    return (1 + math.cos(math.pi * done)) / 2


def optimizer_of(nets: Nets, settings: Settings) -> torch.optim.Optimizer:
    """AdamW over the parameters that ask for a gradient."""
    import torch

    trained = [p for net in nets.values() for p in net.parameters() if p.requires_grad]
    return torch.optim.AdamW(trained, settings.learning_rate, weight_decay=settings.weight_decay)


def _epoch(objective: Objective, run: Run) -> None:
    """One pass: the hooks in their order, and a look at the loss now and then."""
    import torch

    for net in run.nets.values():
        net.train()
    team, before = run.team, {}
    if team is not None:
        before = {name: value.clone() for name, value in run.state.items()}
    objective.epoch(run)
    total, count = torch.zeros((), device=run.device), 0
    for rows in objective.batches(run):
        batches = tuple(run.batch(one if team is None else team.share(one)) for one in rows)
        with precision(run.device):
            total += objective.step(run, *batches).detach()
        run.step, count = run.step + 1, count + 1
        objective.after(run, *batches)
        if count % WATCH == 0:
            total = _checked(run, total)
    total = _checked(run, total)
    if team is not None:
        team.settle(run, before)
    run.history.append({"loss": float(total) / max(1, count)})


def _checked(run: Run, total: Tensor) -> Tensor:
    """The sum of the losses, the mean over all processes; an error in all of them where it is no number."""
    if run.team is not None:
        total = run.team.mean(total)
    if not math.isfinite(float(total)):
        rate_now = run.optimizer.param_groups[0]["lr"]
        raise DrossError(
            "the loss is no longer a number",
            where=f"epoch {run.epoch + 1}, one of the {WATCH} steps before step {run.step}",
            fix=f"try a lower learning rate than {rate_now:.2g}, and look for extreme values among the inputs",
        )
    return total
