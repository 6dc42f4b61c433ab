"""Where commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def out() -> Console:
    """The console for results."""
    from rich.console import Console

    return Console(highlight=False, markup=False)


def err() -> Console:
    """The console for progress and remarks."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)


def plain(text: str) -> None:
    """Write one line to standard output as it is, for machines to read."""
    sys.stdout.write(text + "\n")


def inert(text: str) -> str:
    """Text from the data made safe for a terminal: control and bidirectional marks shown, not obeyed.

    >>> inert("a\\x1b[31mb\\u202ec")
    'a�[31mb�c'
    """
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


def one_line(text: str, limit: int = 2000) -> str:
    """:func:`inert` on a single line of bounded length, so that text from the data cannot pass for a line of its own.

    >>> one_line("no column 'a\\nb'")
    "no column 'a�b'"
    """
    short = text if len(text) <= limit else f"{text[:limit]} … ({len(text):,} characters)"
    return inert(short).replace("\n", "�")
