"""What a ledger's edits make of the base: pure functions on columns of edits and on tables.

An edit is *active* unless an active edit reverses it. The state is the base with, for every cell, the last active edit
of that cell; so it depends on which edits are active and on nothing else, and taking edits back is exact.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.errors import DrossError

Ints = npt.NDArray[np.int64]
WEIGHT = "dross_weight"
"""The column of weights; there only when some row is reweighted, 1 for all other rows."""

EDITS = pa.schema(
    [
        ("id", pa.int64()),
        ("position", pa.int64()),
        ("field", pa.string()),
        ("action", pa.string()),
        ("after", pa.string()),
        ("decided", pa.bool_()),
    ]
)
"""The columns of edits that the state depends on; ``decided`` tells a person's decision from a method's proposal."""


def active(ids: Ints, reverses: Ints) -> npt.NDArray[np.bool_]:
    """Which edits stand, shape (n,).

    Parameters
    ----------
    ids
        Shape (n,), ascending.
    reverses
        The id of the edit each takes back, 0 where it takes back none; always smaller than its own.

    Examples
    --------
    Edit 2 takes back 1; 3 takes back 2, so that 1 stands again.

    >>> active(np.array([1, 2, 3]), np.array([0, 1, 2])).tolist()
    [True, False, True]
    """
    stands = np.ones(len(ids), bool)
    undoing = np.flatnonzero(reverses)
    while len(undoing):  # each round settles the edits one step further from the newest
        now = np.ones(len(ids), bool)
        now[np.searchsorted(ids, reverses[undoing[stands[undoing]]])] = False
        if (now == stands).all():
            break
        stands = now
    return stands


def winning(edits: pa.Table) -> pa.Table:
    """The last edit of each cell (position and field), in the order of the table's ids; columns :data:`EDITS`."""
    if edits.num_rows == 0:
        return edits
    fields = edits["field"].combine_chunks().dictionary_encode()
    codes = fields.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    cells = edits["position"].to_numpy() * (len(fields.dictionary) + 1) + codes
    _, last = np.unique(cells[::-1], return_index=True)
    return edits.take(pa.array(np.sort(len(cells) - 1 - last)))


def dropped(winners: pa.Table) -> Ints:
    """The positions of the rows that are dropped, ascending."""
    gone = pc.and_(pc.is_null(winners["field"]), pc.equal(winners["action"], "drop"))
    return np.sort(winners["position"].filter(gone).to_numpy())


def materialise(base: Dataset, winners: pa.Table) -> Dataset:
    """The base with the winning edits applied: roles, ids, order and column types are kept."""
    if winners.num_rows == 0:
        return base
    table = base.table
    values = winners.filter(pc.and_(pc.is_valid(winners["field"]), pc.not_equal(winners["action"], "keep")))
    for name in pc.unique(values["field"]).to_pylist():
        mine = values.filter(pc.equal(values["field"], name))
        table = _with_values(table, name, mine["position"].to_numpy(), mine["after"].to_pylist())
    ids = base.row_ids
    gone = dropped(winners)
    if len(gone):
        stays = np.ones(len(base), bool)
        stays[gone] = False
        table, ids = table.filter(pa.array(stays)), ids[stays]
    return Dataset(table, base.roles, source=base.source, row_ids=ids)


def _with_values(table: pa.Table, name: str, rows: Ints, after: Sequence[str]) -> pa.Table:
    if name not in table.column_names:
        weights = np.ones(table.num_rows)
        weights[rows] = [float(json.loads(text)) for text in after]
        return table.append_column(WEIGHT, pa.array(weights))
    at = table.column_names.index(name)
    return table.set_column(at, table.field(at), replaced(table.column(at), rows, after))


def replaced(column: pa.ChunkedArray, rows: Ints, after: Sequence[str]) -> pa.ChunkedArray:
    """The column with the JSON values ``after`` at ``rows``; its type is kept.

    >>> replaced(pa.chunked_array([["a", "b"]]), np.array([1]), ['"c"']).to_pylist()
    ['a', 'c']
    """
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    new = from_json(after, plain.type)
    indices = np.arange(len(column))
    indices[rows] = len(column) + np.arange(len(rows))
    mixed = pa.chunked_array([*plain.chunks, new], plain.type).take(pa.array(indices))
    if not pa.types.is_dictionary(column.type):
        return mixed
    return mixed.dictionary_encode().cast(column.type)


# ---- values ---------------------------------------------------------------------------------------------------------


def to_json(value: Any) -> str:
    """One cell as JSON; what JSON has no word for (dates, decimals) as its text.

    >>> to_json("a"), to_json(None), to_json(1.5), to_json(float("nan"))
    ('"a"', 'null', '1.5', 'null')
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "null" if math.isnan(value) else json.dumps(str(value))
    return json.dumps(value, ensure_ascii=False, default=str)


def all_to_json(column: pa.ChunkedArray) -> list[str | None]:
    """:func:`to_json` of every value; each distinct one of a flat column is written once."""
    if pa.types.is_nested(column.type) or pa.types.is_dictionary(column.type):
        return [to_json(value) for value in column.to_pylist()]
    encoded = column.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    texts = pa.array([to_json(value) for value in encoded.dictionary.to_pylist()], pa.large_string())
    written: list[str | None] = texts.take(encoded.indices).fill_null("null").to_pylist()
    return written


def from_json(texts: Sequence[str], kind: pa.DataType) -> pa.Array:
    """JSON values as an Arrow array of one type; an error that names the value which does not fit."""
    distinct = pa.array(texts, pa.large_string()).dictionary_encode()
    known = distinct.dictionary.to_pylist()
    return _parsed(known, [json.loads(text) for text in known], kind).take(distinct.indices)


def _parsed(texts: Sequence[str], values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pass  # dates, decimals and infinities are written as text: read them as such
    try:
        return pa.array([None if v is None else str(v) for v in values], pa.string()).cast(kind)
    except pa.ArrowException as error:
        if len(texts) > 1:
            for text, value in zip(texts, values, strict=True):
                _parsed([text], [value], kind)  # the one that does not fit raises, by its name
        raise DrossError(f"the value {texts[0][:80]} does not fit a column of type {kind}") from error


def content_of(data: Dataset) -> str:
    """A name for all that the table holds: every column, with or without a role, and the order of the rows."""
    from dross.core.hashing import digest

    parts: list[bytes | str | memoryview] = [str(len(data))]
    for name in data.table.column_names:
        parts += [name, np.ascontiguousarray(data.hashes(name)).data.cast("B")]
    return digest(*parts)
