"""What type a column of text cells has: whole numbers, numbers, truth values, dates, or just text."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

MISSING = ("", "NA", "N/A", "n/a", "na", "#N/A", "NULL", "Null", "null", "None", "none", "?", "-", ".")
"""Marks that mean "no value" in a column of numbers, truth values or dates. (In text, ``NA`` may be Namibia.)"""
_SAMPLE = 1000
_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
_TRUTH = ("true", "True", "TRUE", "false", "False", "FALSE")


def infer(column: pa.ChunkedArray, name: str) -> tuple[pa.ChunkedArray, str | None]:
    """The column in its type, and a remark when it holds numbers among other things.

    A type is taken only when *every* cell has it. Numbers are numbers only when nothing is lost: ``007`` and ``+49 …``
    are text, and so are whole numbers of more than 64 bits.

    >>> infer(pa.chunked_array([["1", None, "NA"]]), "x")[0].to_pylist()
    [1, None, None]
    >>> infer(pa.chunked_array([["007", "8"]]), "x")[0].to_pylist()
    ['007', '8']
    """
    sample = column.slice(0, _SAMPLE).drop_null()
    if not len(sample):
        sample = column.drop_null().slice(0, _SAMPLE)
    if not len(sample):
        return column, None
    for attempt in (_whole, _real, _truth, _moment):
        if _try(attempt, sample) is not None:
            typed = _try(attempt, column)
            if typed is not None:
                return typed, None
    return column, mixed(column, sample, name)


def moments(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column as dates or times when every cell is an ISO date or time, else as it is.

    >>> moments(pa.chunked_array([["2024-02-29", None]])).type
    DataType(date32[day])
    """
    sample = column.slice(0, _SAMPLE).drop_null()
    typed = _try(_moment, column) if len(sample) and _try(_moment, sample) is not None else None
    return column if typed is None else typed


def mixed(column: pa.ChunkedArray, sample: pa.ChunkedArray, name: str) -> str | None:
    """A remark on a column in which most cells are numbers and some are not."""
    if not len(sample) or pc.mean(pc.match_substring_regex(sample, _NUMBER).cast(pa.float64())).as_py() < 0.5:
        return None
    number = pc.match_substring_regex(column, _NUMBER)
    other = pc.and_(pc.invert(number), pc.invert(pc.is_in(column, value_set=_marks(column))))
    count = pc.sum(other).as_py() or 0
    if not count or 2 * count > len(column):
        return None
    row = pc.index(other.fill_null(False), True).as_py()
    return (
        f"the column {name!r} is read as text: {count:,} of its cells are not numbers, "
        f"the first is {str(column[row].as_py())[:40]!r} in row {row}"
    )


def _marks(column: pa.ChunkedArray) -> pa.Array:
    return pa.array(MISSING, column.type)


def _try(
    attempt: Callable[[pa.ChunkedArray], pa.ChunkedArray | None], column: pa.ChunkedArray
) -> pa.ChunkedArray | None:
    """The typed column: from the cells as they are, else from the cells without blanks and marks of missing values."""
    typed = attempt(column)
    if typed is not None:
        return typed
    trimmed = pc.utf8_trim_whitespace(column)
    bare = pc.if_else(pc.is_in(trimmed, value_set=_marks(column)), pa.scalar(None, column.type), trimmed)
    return attempt(bare) if bare.null_count < len(bare) else None


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        return None


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    numbers = _cast(column, pa.int64())
    if numbers is None:
        return None
    return numbers if pc.all(pc.equal(numbers.cast(column.type), column)).as_py() is not False else None


def _real(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    numbers = _cast(column, pa.float64())
    if numbers is None or pc.any(pc.match_substring_regex(column, r"^(\+|-?0[0-9])")).as_py():
        return None
    return numbers if pc.any(pc.match_substring_regex(column, r"[^-0-9]|^-0$")).as_py() else None


def _truth(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    known = pc.all(pc.is_in(column.drop_null(), value_set=pa.array(_TRUTH, column.type))).as_py()
    return column.cast(pa.bool_()) if known else None


def _moment(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    if pc.min(pc.binary_length(column)).as_py() < len("2024-01-01"):
        return None
    kinds = (pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"))
    return next((typed for kind in kinds if (typed := _cast(column, kind)) is not None), None)
