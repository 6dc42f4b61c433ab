"""Paths as people write them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path


def expanded(path: str | PathLike[str]) -> Path:
    """The path with ``~`` as the home folder; ``~draft.csv``, where there is no such user, is a name like any other.

    >>> expanded("~no-such-user.csv").name
    '~no-such-user.csv'
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
