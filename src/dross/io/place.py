"""Putting a finished file in its place: at once or not at all, and never over something the user owns."""

from __future__ import annotations

import fnmatch
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from dross.core.dataset import Source
from dross.core.errors import DrossError
from dross.core.paths import expanded


@contextmanager
def placing(path: Path, *, source: Source | None = None, overwrite: bool = False) -> Iterator[Path]:
    """A temporary sibling of ``path`` to write to (a file or a folder), which takes its place when all went well.

    What is written reaches the disk before it gets its name, so a crash leaves nothing or all of it. Refuses to replace
    what exists unless ``overwrite`` is set, and refuses to write onto or into the source always.
    """
    _refuse(path, source, overwrite)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        yield temporary
        for inner in temporary.iterdir() if temporary.is_dir() else ():
            _sync(inner)
        _sync(temporary)
        _settle(temporary, path, overwrite)
    except FileExistsError as error:
        raise _exists(path) from error
    except (OSError, pa.ArrowException) as error:
        raise DrossError(f"cannot write: {_reason(error)}", where=str(path), fix="nothing was changed") from error
    finally:
        _remove(temporary)


def _refuse(path: Path, source: Source | None, overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise DrossError(f"there is no folder {str(path.parent)!r}", where=str(path), fix="create it first")
    if source is not None and _belongs(path.resolve(), source):
        raise DrossError(
            "this is where the data was read from, and dross never changes a source",
            where=str(path),
            fix="choose another name, outside of the source",
        )
    if path.exists() and not overwrite:
        raise _exists(path)
    if path.is_dir() and not (path / "state.json").exists():
        raise DrossError("a folder of that name exists and holds something else", where=str(path), fix="choose another")


def _belongs(path: Path, source: Source) -> bool:
    """Whether the path is the source, lies in it, or would be taken for one of its shards."""
    own = expanded(source.path).absolute()
    if any(mark in source.path for mark in "*?[") and not own.exists():
        return fnmatch.fnmatch(str(path), str(own))
    return path == own.resolve() or own.resolve() in path.parents


def _exists(path: Path) -> DrossError:
    return DrossError("the file exists, and it may be yours", where=str(path), fix="choose another name")


def _settle(temporary: Path, path: Path, overwrite: bool) -> None:
    if temporary.is_dir():
        if path.exists():
            old = path.with_name(temporary.name + ".old")
            path.rename(old)
            temporary.rename(path)
            _remove(old)
        else:
            temporary.rename(path)
    elif overwrite:
        temporary.replace(path)
    else:
        _link(temporary, path)
    _sync(path.parent)


def _link(temporary: Path, path: Path) -> None:
    """Rename without replacing, even when another process has made the file meanwhile."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError as error:  # a file system without hard links
        if path.exists():
            raise FileExistsError(path) from error
        temporary.rename(path)


def _sync(path: Path) -> None:
    """Make sure that a file, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(temporary: Path) -> None:
    if temporary.is_dir():
        shutil.rmtree(temporary, ignore_errors=True)
    else:
        temporary.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0][:300]
