"""Outputs: which files dross itself has written outside the workspace, and so may replace."""

from __future__ import annotations

import json
from pathlib import Path

from dross.ledger.files import publish_file
from dross.ledger.store import Store, writable

NAME = "outputs.json"


def inside(workspace: Path, out: Path) -> bool:
    """Whether a file would stand in the workspace."""
    return workspace.resolve() in out.resolve().parents


def ours(workspace: Path, out: Path) -> bool:
    """Whether the file is one that dross wrote and nobody has changed since, so that replacing it loses nothing."""
    state = _state(out)
    return state is not None and _known(workspace).get(str(out.absolute())) == state


def remember(workspace: Path, out: Path) -> None:
    """Note that dross wrote this file; in a workspace that is read-only nothing is noted."""
    if not writable(workspace):
        return
    with Store(workspace).writing():  # one at a time, so that none forgets what another noted
        known = {path: state for path, state in _known(workspace).items() if Path(path).exists()}
        text = json.dumps(known | {str(out.absolute()): _state(out)})

        def write(path: Path) -> None:
            path.write_text(text)

        publish_file(workspace / NAME, write)


def _state(out: Path) -> list[int] | None:
    """Size, time and number on the disk, of a folder those of the file that names its shards; None when it is gone."""
    file = out / "state.json" if out.is_dir() else out
    if not file.exists():
        return None
    state = file.stat()
    return [state.st_size, state.st_mtime_ns, state.st_ino]


def _known(workspace: Path) -> dict[str, list[int] | None]:
    try:
        known: dict[str, list[int] | None] = json.loads((workspace / NAME).read_text())
    except (OSError, ValueError):  # nothing noted yet: then nothing may be replaced
        return {}
    return known
