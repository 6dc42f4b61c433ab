"""Lists of a recipe: words, domains, addresses, given one by one or as files."""

from __future__ import annotations

import itertools
from pathlib import Path

from dross.core.errors import DrossError


def entries(given: tuple[str, ...]) -> list[str]:
    """What a list of a recipe names: each entry itself, and for ``file:PATH`` the lines of a file.

    Empty lines and lines that begin with ``#`` are left out; white space at the ends is taken off.

    Raises
    ------
    DrossError
        A file that cannot be read as UTF-8 text.

    >>> entries(("a.example", " two words "))
    ['a.example', 'two words']
    """
    found = itertools.chain.from_iterable(_lines(one[5:]) if one.startswith("file:") else [one] for one in given)
    return [entry for line in found if (entry := line.strip())]


def _lines(path: str) -> list[str]:
    try:
        lines = Path(path.strip()).read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        fix = "name a text file with one entry a line"
        raise DrossError(f"the list cannot be read: {error.strerror}", where=path, fix=fix) from error
    except UnicodeDecodeError as error:
        raise DrossError("the list is not UTF-8 text", where=f"{path}, byte {error.start}", fix="save it so") from error
    return [line for line in lines if not line.lstrip().startswith("#")]
