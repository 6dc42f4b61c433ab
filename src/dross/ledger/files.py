"""Files that appear whole or not at all, and disk errors in words."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dross.core.errors import DrossError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@dataclass(frozen=True)
class Stamp:
    """What a written file must still look like: its size in bytes and its SHA-256."""

    size: int
    sha256: str


def stamp(path: Path) -> Stamp:
    """Size and SHA-256 of a file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a").write_text("a"); stamp(Path(folder) / "a").sha256[:8]
    'ca978112'
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Stamp(file.tell(), digest.hexdigest())


def sync(path: Path) -> None:
    """Have the system put a file, or a folder's list of names, on the disk itself."""
    if os.name != "posix" and path.is_dir():  # other systems do not open folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish_file(path: Path, write: Callable[[Path], None]) -> Stamp:
    """Let ``write`` fill a temporary file, put it on disk, and only then give it its name."""
    temporary = temporary_beside(path)
    try:
        write(temporary)
        sync(temporary)
        written = stamp(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)
    return written


def publish_folder(path: Path, write: Callable[[Path], None]) -> dict[str, Stamp]:
    """The same for a folder of files; what a crash may have left under its name is replaced."""
    temporary = temporary_beside(path)
    try:
        temporary.mkdir()
        write(temporary)
        stamps = {}
        for file in sorted(temporary.iterdir()):
            sync(file)
            stamps[file.name] = stamp(file)
        sync(temporary)
        remove(path)
        temporary.rename(path)
    except BaseException:
        remove(temporary)
        raise
    sync(path.parent)
    return stamps


def temporary_beside(path: Path) -> Path:
    """A fresh name in the same folder that ends as ``path`` does."""
    return path.with_name(f".{uuid.uuid4().hex}.tmp{path.suffix}")


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def explained(what: str, where: Path) -> Iterator[None]:
    """Turn the system's errors while ``what`` is done at ``where`` into a :class:`DrossError`."""
    try:
        yield
    except OSError as error:
        raise in_words(error, what, where) from error


def in_words(error: OSError, what: str, where: Path) -> DrossError:
    """An error of the file system as a person can use it.

    >>> print(in_words(OSError(errno.ENOSPC, "No space"), "the export cannot be written", Path("out.csv")))
    the export cannot be written: no space is left on the disk (in out.csv). free some space, or choose another folder;
    nothing half-written is left
    """
    if error.errno in FULL:
        return DrossError(
            f"{what}: no space is left on the disk",
            where=str(where),
            fix="free some space, or choose another folder; nothing half-written is left",
        )
    if error.errno in CLOSED:
        return DrossError(
            f"{what}: the folder cannot be written to",
            where=str(where),
            fix="change its permissions, or choose another folder",
        )
    return DrossError(f"{what}: {error.strerror or error}", where=str(where))
