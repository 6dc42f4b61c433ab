"""Several devices: one process for each, all in the same loop; Lightning Fabric starts them and carries what they say.

Each process takes its part of every batch, and gradients are averaged before every step of the optimizer: where the
parts are equal and the loss is a mean over rows, the step is that of one device with the whole batch. What is
remembered about rows is brought together after each epoch.
"""

from __future__ import annotations

import copy
import io
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dross.core.errors import DrossError, MissingExtra
from dross.models.devices import device_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dross.models.examples import Examples
    from dross.models.loop import Nets, Objective, Run, Settings

CARRIED = ("state", "history", "epoch", "step")
"""What of a run is brought back, beside its networks."""
END = None
"""What the first process says last."""


class Team:
    """One process of several that train together.

    Parameters
    ----------
    fabric
        A launched ``lightning.fabric.Fabric``; ``rank`` and ``size`` are its own.
    """

    def __init__(self, fabric: Any) -> None:
        self.fabric, self.rank, self.size = fabric, int(fabric.global_rank), int(fabric.world_size)

    def share(self, rows: Tensor) -> Tensor:
        """The part of this process of a batch; the same length for all, so that short batches give some rows twice."""
        import torch

        if not len(rows):
            return rows
        return rows[(self.rank + self.size * torch.arange(-(-len(rows) // self.size))) % len(rows)]

    def mean(self, value: Tensor) -> Tensor:
        """The mean over the processes."""
        found: Tensor = self.fabric.all_reduce(value, reduce_op="mean")
        return found

    def average(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Average the gradients of an optimizer's parameters; those that no process has stay away."""
        import torch

        held = [p for group in optimizer.param_groups for p in group["params"]]
        there = torch.tensor([p.grad is not None for p in held], dtype=torch.float32, device=held[0].device)
        flat = [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten().float() for p in held]
        told = self.mean(torch.cat([there, *flat]))
        at = len(held)
        for p, known in zip(held, told[:at] > 0, strict=True):
            p.grad = told[at : at + p.numel()].view_as(p).to(p.dtype) if known else None
            at += p.numel()

    def settle(self, run: Run, before: dict[str, Tensor]) -> None:
        """After an epoch: what was remembered of a row is what the process says that saw it; all else is averaged.

        ``before`` is ``run.state`` as it was when the epoch began.
        """
        for net in run.nets.values():
            for value in net.state_dict().values():
                if value.is_floating_point():
                    value.copy_(self.mean(value))
        for name, now in run.state.items():
            run.state[name] = self._of_rows(before.get(name), now) if _by_row(run, now) else self._of_all(now)

    def _of_all(self, now: Tensor) -> Tensor:
        said = self._heard(now)
        return said.mean(dim=0) if now.is_floating_point() else said[0]

    def _of_rows(self, before: Tensor | None, now: Tensor) -> Tensor:
        import torch

        moved = torch.ones(len(now), dtype=torch.bool, device=now.device)
        if before is not None and before.shape == now.shape:
            moved = (now != before) & ~(now.isnan() & before.isnan())
            moved = moved.flatten(1).any(dim=1) if now.ndim > 1 else moved
        first = self._heard(moved).float().argmax(dim=0)
        return self._heard(now)[first, torch.arange(len(now), device=now.device)]

    def _heard(self, value: Tensor) -> Tensor:
        """What each process has, shape (processes, …)."""
        import torch

        plain = value.to(torch.uint8) if value.dtype == torch.bool else value.detach()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how the library reaches torch
            found: Tensor = self.fabric.all_gather(plain)
        return found.to(value.dtype)


def _by_row(run: Run, value: Tensor) -> bool:
    return value.ndim > 0 and len(value) == len(run.examples)


def train_together(
    objective: Objective,
    make: Callable[..., Any],
    examples: Examples,
    settings: Settings,
    *,
    nets: Nets | None,
    progress: Callable[[int, int], None],
    **more: Any,
) -> Run:
    """The loop in ``settings.devices`` processes; the run of the first one, on this process's device.

    ``more`` is whatever else :func:`~dross.models.loop.fit` is given.

    Raises
    ------
    DrossError
        What went wrong in any process; or there are not as many devices.
    """
    import torch
    from torch.multiprocessing import active_children, get_context
    from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

    from dross.models.loop import Run, optimizer_of

    device = device_of(settings.device)
    fabric = _fabric(device, settings.devices)
    said = get_context("spawn").SimpleQueue()
    failed: list[DrossError] = []
    brought: list[bytes] = []

    def listen() -> None:
        while (told := said.get()) is not END:
            if isinstance(told, DrossError):
                failed.append(told)
            elif isinstance(told, bytes):
                brought.append(told)
            else:
                progress(*told)

    ear = threading.Thread(target=listen, daemon=True)
    ear.start()
    given = {"make": make, "examples": examples, "settings": settings, **more}
    others = active_children()
    broken: Exception | None = None
    try:
        fabric.launch(partial(_work, objective, nets, given, said))
    except (ProcessRaisedException, ProcessExitedException) as error:
        broken = error
    finally:  # an interrupted training leaves no process behind
        for child in active_children():
            if child not in others:
                child.terminate()
        said.put(END)
        ear.join()
    if failed:
        raise failed[0] from broken
    if isinstance(broken, ProcessRaisedException):
        raise broken
    if not brought:
        raise DrossError(
            f"a process of the training ended before its work was done: {broken}",
            fix="SIGKILL is most often a lack of memory: take fewer devices or a smaller batch_size",
        ) from broken
    theirs = torch.load(io.BytesIO(brought[0]), map_location=device, weights_only=False)
    vars(objective).update(theirs["objective"])  # what hooks noted of themselves stands in the process that called them
    trained = {**theirs["nets"], **_in_place(nets or {}, theirs["nets"])}
    run = Run(examples.on(device), settings, trained, device, optimizer_of(trained, settings))
    run.state, run.history, run.epoch, run.step = (theirs[name] for name in CARRIED)
    return run


def _in_place(given: Nets, trained: Nets) -> Nets:
    """The networks that were to be trained further, themselves: whoever gave them looks there."""
    for name, net in given.items():
        net.load_state_dict(trained[name].state_dict())
        for mine, theirs in zip(net.parameters(), trained[name].parameters(), strict=True):
            mine.requires_grad_(theirs.requires_grad)
    return given


def _fabric(device: torch.device, count: int) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its imports warn of their own use of torch
            from lightning_fabric import Fabric
    except ImportError as error:
        raise MissingExtra.of("lightning-fabric", "devices") from error
    import torch

    if device.type == "cuda" and count > torch.cuda.device_count():
        raise DrossError(
            f"{count} devices were asked for, and there are {torch.cuda.device_count()}", fix="give a smaller number"
        )
    return Fabric(accelerator=device.type, devices=count, strategy="ddp_spawn")


def _work(objective: Objective, nets: Nets | None, given: dict[str, Any], said: Any, fabric: Any) -> None:
    """One process. What the first one has to say goes through a queue that is read all the while."""
    import torch

    from dross.models.loop import fit

    # What comes from the process that started this one lies in memory shared by all: each trains copies of its own.
    objective, nets = copy.deepcopy((objective, nets))
    team = Team(fabric)
    given |= {"settings": replace(given["settings"], device=str(fabric.device))}
    first = team.rank == 0

    def told(done: int, total: int) -> None:
        if first:
            said.put((done, total))

    try:
        run = fit(objective, **given, nets=nets, progress=told, team=team)
    except DrossError as error:
        said.put(error)
        raise
    if first:
        out = io.BytesIO()  # bytes: tensors in shared memory would be gone with the process that made them
        torch.save({"nets": run.nets, "objective": vars(objective), **{n: getattr(run, n) for n in CARRIED}}, out)
        said.put(out.getvalue())
    fabric.barrier()
    torch.distributed.destroy_process_group()  # its threads may not outlive the interpreter, which aborts then
