"""Where networks run, with which random numbers and which precision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from dross.core.errors import DrossError, MissingExtra

if TYPE_CHECKING:
    import torch

    from dross.models.loop import Run


def import_torch() -> Any:
    """The library; an error that says how to install it where it is missing."""
    try:
        import safetensors  # noqa: F401  (asked for here, so that it is missing before the training, not after it)
        import torch
    except ImportError as error:
        raise MissingExtra.of("torch", "torch") from error
    return torch


def device_of(name: str) -> torch.device:
    """The device by name; ``auto`` is the GPU where there is one.

    >>> device_of("cpu")
    device(type='cpu')
    """
    import_torch()
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was compiled without it
        raise DrossError(f"the device {name!r} cannot be used: {str(error).splitlines()[0]}", fix="try cpu") from error
    return device


@contextmanager
def seeded(*seed: int) -> Iterator[None]:
    """Torch's random numbers from this seed on, and as they were before afterwards.

    >>> import torch
    >>> with seeded(1, 2): a = torch.rand(1)
    >>> with seeded(1, 2): b = torch.rand(1)
    >>> bool(a == b)
    True
    """
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> 1))
        yield


def precision(device: torch.device) -> AbstractContextManager[Any]:
    """Mixed precision (bfloat16) on a GPU that has it, full precision elsewhere."""
    import torch

    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


@contextmanager
def evaluating(nets: Iterable[Any]) -> Iterator[None]:
    """The networks in evaluation mode, and as they were before afterwards."""
    with ExitStack() as stack:
        for net in nets:
            stack.callback(net.train, net.training)
            net.eval()
        yield


@contextmanager
def memory_explained(run: Run) -> Iterator[None]:
    """Running out of memory as an error that says what to try."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        told = str(error).lower()
        if not isinstance(error, RuntimeError) or "out of memory" in told or "can't allocate memory" in told:
            raise DrossError(
                f"memory ran out on {run.device}",
                where=f"epoch {run.epoch + 1}, step {run.step + 1}",
                fix=f"try a smaller batch_size than {run.settings.batch_size}, or a smaller network",
            ) from error
        raise
