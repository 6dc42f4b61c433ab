"""Holding a workspace while signals and reports are written to it, and clearing what a crash left there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dross.core.errors import DrossError
from dross.ledger import Ledger
from dross.ledger.files import FULL, remove


@contextmanager
def held(workspace: Path | None) -> Iterator[None]:
    """Keep others from clearing a workspace while something is written to it; None, for work in memory, holds nothing.

    Whoever holds it alone, on the way in and on the way out, removes what a killed process left half written. The
    system lets go of the folder when a process ends, however it ends. A full disk becomes a :class:`DrossError`.
    """
    if workspace is None:
        yield
        return
    with _shared(workspace) as handle:
        try:
            _clear_if_alone(handle, workspace)
            yield
        except OSError as error:
            if not is_full(error):
                raise
            what = "the workspace cannot be written: no space is left on the disk"
            fix = "free some space, or name another folder with --workspace"
            raise DrossError(what, where=str(workspace), fix=fix) from error
        finally:
            _clear_if_alone(handle, workspace)


@contextmanager
def made_for(workspace: Path) -> Iterator[None]:
    """Open a workspace, made when it is not there; one made for work that then could not be done is taken away."""
    there = workspace.exists()
    try:
        Ledger.open(workspace, create=True).close()
        if not os.access(workspace, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            fix = "change its permissions, or name another folder with --workspace"
            raise DrossError("the workspace cannot be written", where=str(workspace), fix=fix)
        yield
    except DrossError:
        if not there:
            _discard(workspace)
        raise


def is_full(error: OSError) -> bool:
    """Whether the disk, or the share of it that may be used, is full; NumPy says so without the system's number.

    >>> is_full(OSError("1000 requested and 12 written")), is_full(OSError(2, "No such file"))
    (True, False)
    """
    return error.errno in FULL or (error.errno is None and "requested and" in str(error))


def _clear_if_alone(handle: int | None, workspace: Path) -> None:
    if _alone(handle) and os.access(workspace, os.W_OK):  # who may only read has nothing to clear
        signals = workspace / "signals"
        for path in [*workspace.glob(".*.tmp"), *workspace.glob(".*.tmp.html"), *signals.rglob(".*.tmp")]:
            remove(path)
        for pieces in signals.glob("*.part"):
            if pieces.with_suffix("").is_dir():  # the signal is whole
                remove(pieces)
    _share(handle)


def _discard(workspace: Path) -> None:
    with suppress(OSError), _shared(workspace) as handle:
        if _alone(handle) and not _used(workspace):
            shutil.rmtree(workspace)


def _used(workspace: Path) -> bool:
    try:
        return bool(Ledger.open(workspace).runs())
    except DrossError:  # not even the ledger could be made
        return False


@contextmanager
def _shared(folder: Path) -> Iterator[int | None]:
    """A handle of the folder that locks it together with others; None where the system has no such locks."""
    if os.name != "posix":
        yield None
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _share(handle)
        yield handle
    finally:
        os.close(handle)


def _share(handle: int | None) -> None:
    if handle is not None:
        import fcntl

        with suppress(OSError):  # a file system without locks: nothing is ever cleared there
            fcntl.flock(handle, fcntl.LOCK_SH)


def _alone(handle: int | None) -> bool:
    """Whether nobody else holds the folder; then nobody gets it until it is shared again."""
    if handle is None:
        return False
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
