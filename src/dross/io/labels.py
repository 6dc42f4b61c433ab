"""What the column of labels really holds: classes, several classes a row, or a number to predict."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from dross.core.errors import DrossError
from dross.core.roles import Role

MOST_CLASSES = 50_000
"""More distinct labels than this are taken for a mistake: an id or a text named as the label."""
_SEPARATORS = ("|", ";", ",")


def is_listed(kind: pa.DataType) -> bool:
    """Whether values of this type are lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether values of this type are numbers (truth values are not)."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def kind_of_label(column: pa.ChunkedArray) -> tuple[Role, str | None]:
    """The role of a column called the label: LABEL, LABELS or TARGET; and a remark when it is not LABEL.

    Numbers are a target when they are too many to be classes: fractions, unless at most 20 of them recur 20 times each
    on average; whole numbers when there are more than 50 that recur less than 10 times each.

    >>> [kind_of_label(pa.chunked_array([values]))[0].value for values in ([1, 2, 1], [0.1, 0.25, 0.3])]
    ['label', 'target']
    """
    if is_listed(column.type):
        return Role.LABELS, "each row has a list of labels: multi-label"
    if not is_number(column.type):
        return Role.LABEL, None
    n, distinct = len(column) - column.null_count, pc.count_distinct(column).as_py()
    if _is_whole(column):
        continuous = distinct > 50 and distinct * 10 > n
        many = "whole numbers"
    else:
        continuous = distinct > 20 or distinct * 20 > n
        many = "fractions"
    if not continuous:
        return Role.LABEL, None
    return Role.TARGET, f"{distinct:,} distinct {many}: a number to predict (regression); as text they would be classes"


def _is_whole(column: pa.ChunkedArray) -> bool:
    if pa.types.is_integer(column.type):
        return True
    values = column.cast(pa.float64())
    finite = pc.if_else(pc.is_finite(values), values, None)
    return pc.all(pc.equal(finite, pc.round(finite))).as_py() is not False


def check_label(column: pa.ChunkedArray, name: str, where: str | None) -> None:
    """Refuse a column named as the label that cannot be one."""
    said = f"column {name!r}" + (f" of {where}" if where else "")
    if column.null_count == len(column):
        raise DrossError("every label is missing", where=said, fix="name another column as the label")
    kind = column.type
    if pa.types.is_struct(kind) or pa.types.is_map(kind) or pa.types.is_large_binary(kind):
        raise DrossError(f"a label cannot be {kind}", where=said, fix="name another column as the label")
    if is_listed(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return
    distinct = pc.count_distinct(column).as_py()
    n = len(column) - column.null_count
    text = pa.types.is_large_string(kind)
    if distinct > MOST_CLASSES or (text and distinct == n and n >= 100):
        regression = "" if text else f", or load with target={name} to predict it as a number"
        raise DrossError(
            f"there are {distinct:,} different labels for {n:,} rows, which is an id or a text rather than a class",
            where=said,
            fix=f"name another column as the label{regression}",
        )


def check_target(column: pa.ChunkedArray, name: str, where: str | None) -> None:
    """Refuse a column named as the target that does not hold numbers."""
    said = f"column {name!r}" + (f" of {where}" if where else "")
    if not (is_number(column.type) or pa.types.is_boolean(column.type)):
        row = "" if not len(column.drop_null()) else f", for example {str(column.drop_null()[0].as_py())[:40]!r}"
        raise DrossError(f"the target holds no numbers{row}", where=said, fix="use label= for classes")
    if column.null_count == len(column):
        raise DrossError("every target is missing", where=said, fix="name another column as the target")


def as_lists(column: pa.ChunkedArray, name: str) -> tuple[pa.ChunkedArray, str | None]:
    """A column of several labels a row as lists: text is split on ``|``, ``;`` or ``,``, or read as a JSON list.

    >>> as_lists(pa.chunked_array([["a|b", "c", None]]).cast(pa.large_string()), "tags")[0].to_pylist()
    [['a', 'b'], ['c'], None]
    """
    if is_listed(column.type):
        return column, None
    if not pa.types.is_large_string(column.type):
        column = column.cast(pa.large_string())
    if pc.all(pc.starts_with(column, "[")).as_py():
        return _json_lists(column, name), f"the lists in {name!r} are read as JSON"
    mark = next((m for m in _SEPARATORS if pc.any(pc.match_substring(column, m)).as_py()), _SEPARATORS[0])
    lists = pc.split_pattern(column, mark)
    chunks = [
        pa.LargeListArray.from_arrays(
            chunk.offsets.cast(pa.int64()), pc.utf8_trim_whitespace(chunk.values), mask=_nulls(chunk)
        )
        for chunk in pa.chunked_array([lists.combine_chunks()]).chunks
    ]
    return pa.chunked_array(chunks, pa.large_list(pa.large_string())), f"the labels in {name!r} are split on {mark!r}"


def _nulls(chunk: pa.Array) -> pa.Array | None:
    return chunk.is_null() if chunk.null_count else None


def _json_lists(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    import polars as pl
    from polars.exceptions import PolarsError

    for kind in (pl.Int64, pl.String):
        try:
            lists = pl.Series(column).str.json_decode(pl.List(kind)).to_arrow()
            return pa.chunked_array([lists]).cast(pa.large_list(pa.int64() if kind == pl.Int64 else pa.large_string()))
        except PolarsError:
            continue
    raise DrossError(
        "some cells begin like a JSON list and are none", where=f"column {name!r}", fix='write lists like ["a", "b"]'
    )
