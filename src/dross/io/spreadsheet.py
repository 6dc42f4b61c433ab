"""Cells that a spreadsheet would run as a formula, and making them inert.

A cell is dangerous when a spreadsheet that opens the file computes something from it that reaches beyond the cell: a
function call (``=HYPERLINK(…)``, ``+cmd(…)``), a dynamic data exchange (``-2+3+cmd|' /C calc'!A0``) or a reference to
another sheet or file. A leading apostrophe makes it text. Negative numbers, ``@names`` and list bullets are left alone.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_BLANK = r"[\s\x00\x{FEFF}\x{00A0}]*"
_SIGN = r"[-+@\x{FF0B}\x{FF0D}\x{FF20}]"
_FUNCTIONS = (
    "hyperlink|webservice|import(xml|html|feed|range|data)|image|call|exec|register|dde|rtd|filterxml|query|cmd"
)
_REFERENCE = r"!'?\$?[A-Za-z]{1,3}\$?[0-9]"
DANGEROUS = (
    rf"(?s)^{_BLANK}("
    r"[=\x{FF1D}]"  # any cell that begins with an equals sign (also a full-width one)
    rf"|{_SIGN}("
    r"\S*[A-Za-z_]\("  # a function call in what follows the sign without a space
    rf"|.*(?i:\b({_FUNCTIONS})\s*\()"  # a function that reaches out, wherever it stands
    r"|.*\w\|.*!'?[\w$*]"  # dynamic data exchange: program|topic!item
    rf"|\S*{_REFERENCE}|'.*'{_REFERENCE}"  # another sheet or file
    r"))"
)
"""The regular expression (RE2) of a cell that spreadsheets would run."""


def dangerous(column: Any) -> Any:
    """Which cells of a text column a spreadsheet would run; null where the cell is null.

    >>> cells = ["=1+1", "-5", "@ann hi", "+HYPERLINK(0)", "- a bullet (or two)", " @SUM(1)"]
    >>> dangerous(pa.array(cells, pa.large_string())).to_pylist()
    [True, False, False, True, False, True]
    """
    return pc.match_substring_regex(column, DANGEROUS)


def inert(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """The column with an apostrophe before each dangerous cell, and how many there were."""
    found = dangerous(column)
    count = pc.sum(found).as_py() or 0
    if not count:
        return column, 0
    quoted = pc.binary_join_element_wise(pa.scalar("'", column.type), column, pa.scalar("", column.type))
    return pc.if_else(found, quoted, column), int(count)
