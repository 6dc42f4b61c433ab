"""Where the workspace of some data stands."""

from __future__ import annotations

import os
from pathlib import Path

from dross.core.hashing import digest
from dross.core.paths import expanded

NAME = ".dross"
_MAGIC = frozenset("*?[")


def workspace_for(source: str | Path | None = None, given: str | Path | None = None) -> Path:
    """The workspace: the one given, else ``$DROSS_WORKSPACE``, else ``.dross`` beside the data or in this folder.

    Parameters
    ----------
    source
        A file, a folder or a glob; None for a command that names no data, or data that came from memory.
    given
        What ``--workspace`` said.

    Examples
    --------
    >>> workspace_for("data/train.csv").as_posix(), workspace_for("data/2*/*.parquet").as_posix()
    ('data/.dross', 'data/.dross')
    >>> workspace_for("photos/", given="elsewhere").as_posix(), workspace_for().as_posix()
    ('elsewhere', '.dross')
    """
    chosen = given or os.environ.get("DROSS_WORKSPACE")
    if chosen:
        return expanded(chosen)
    if source is None or "://" in str(source):
        return Path(NAME)
    fixed = Path(*_before_magic(expanded(source)))
    return (fixed if is_glob(source) else fixed.parent) / NAME


def is_glob(source: str | Path) -> bool:
    """Whether a path has wildcards and is not itself the name of a file."""
    return bool(_MAGIC & set(str(source))) and not Path(source).exists()


def _before_magic(path: Path) -> list[str]:
    if not is_glob(path):
        return list(path.parts)
    parts = []
    for part in path.parts:
        if _MAGIC & set(part):
            break
        parts.append(part)
    return parts


def absolute(source: str | None) -> str | None:
    """A path or glob made independent of the current folder; addresses of other kinds stay as they are."""
    if source is None or "://" in source:
        return source
    return str(expanded(source).absolute())


def files_of(source: str | None) -> list[Path]:
    """The files that a path, folder or glob stands for, sorted; none when it is gone."""
    if source is None or "://" in source:
        return []
    path = Path(source)
    if is_glob(source):
        fixed = Path(*_before_magic(path))
        return sorted(fixed.glob(str(path.relative_to(fixed))))
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file() and NAME not in file.parts)
    return [path] if path.exists() else []


def seen(source: str | None) -> str | None:
    """Names, sizes and times of the source's files in one word; None when there are none.

    Equal words mean that nobody has written to them in between; unequal ones that they must be read again to know.
    """
    files = files_of(source)
    if not files:
        return None
    states = [(file, file.stat()) for file in files]
    return digest(*(f"{file}|{state.st_size}|{state.st_mtime_ns}" for file, state in states))
