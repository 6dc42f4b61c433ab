"""Checkpoints: a training under way on disk, whole or not at all."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dross.core.errors import DrossError

if TYPE_CHECKING:
    from torch import Tensor

    from dross.models.best import Best
    from dross.models.loop import Run

EVERY = 10.0
"""Seconds between two checkpoints, at least; the last epoch is always kept."""
SUFFIX = ".safetensors"


class Keeper:
    """Keeps the state of one training in one file, which is replaced at once or not at all.

    Parameters
    ----------
    path
        The file; its folder is made when first needed. Name it by all that the training depends on.
    every
        Seconds between two checkpoints, at least.
    """

    def __init__(self, path: Path, every: float = EVERY) -> None:
        self.path, self.every = path.with_suffix(SUFFIX), every
        self._kept = time.monotonic()

    def keep(self, run: Run, best: Best, *, last: bool) -> None:
        """Write the state after an epoch, if it is time or the last one."""
        if not last and time.monotonic() - self._kept < self.every:
            return
        tensors = {f"state/{name}": value for name, value in run.state.items()}
        for kind, nets in (("nets", _weights(run)), ("best", best.weights)):
            tensors |= {f"{kind}/{name}/{key}": value for name, held in nets.items() for key, value in held.items()}
        for place, held in run.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{place}/{key}": value for key, value in held.items()}
        about = {"epoch": run.epoch + 1, "step": run.step, "history": run.history}
        write_tensors(self.path, tensors, {**about, "score": [best.score, best.since]})
        self._kept = time.monotonic()

    def resume(self, run: Run, best: Best) -> int:
        """Put a kept state back into the run; the number of epochs that are done, 0 where nothing was kept."""
        if not self.path.exists():
            return 0
        tensors, about = read_tensors(self.path)
        nets, kept = _nested(tensors, "nets/"), _nested(tensors, "best/")
        for name, net in run.nets.items():
            net.load_state_dict(nets[name])
        best.weights, (best.score, best.since) = kept, about["score"]
        run.state = {name.removeprefix("state/"): value.to(run.device) for name, value in tensors.items()
                     if name.startswith("state/")}  # fmt: skip
        optimizer = run.optimizer.state_dict()
        optimizer["state"] = {int(place): held for place, held in _nested(tensors, "optimizer/").items()}
        run.optimizer.load_state_dict(optimizer)
        run.history, run.step = about["history"], about["step"]
        return int(about["epoch"])


def _weights(run: Run) -> dict[str, dict[str, Tensor]]:
    return {name: net.state_dict() for name, net in run.nets.items()}


def _nested(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, dict[str, Tensor]]:
    """Tensors called ``prefix`` name / key, by name and key."""
    found: dict[str, dict[str, Tensor]] = {}
    for full, value in tensors.items():
        if full.startswith(prefix):
            name, _, key = full.removeprefix(prefix).partition("/")
            found.setdefault(name, {})[key] = value
    return found


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and plain JSON values as one safetensors file that appears at once or not at all."""
    from safetensors.torch import save

    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as out:
            out.write(save(plain, {"about": json.dumps(about)}))
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DrossError(
            f"cannot write: {error.strerror}", where=str(path), fix="free space, or name another"
        ) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What :func:`write_tensors` wrote. Raises DrossError where the file is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as held:
            about = json.loads((held.metadata() or {}).get("about", "{}"))
            return {name: held.get_tensor(name) for name in held.keys()}, about  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, ValueError) as error:
        what = "cannot be read: it is missing or damaged"
        raise DrossError(what, where=str(path), fix="delete it and train again") from error
