"""One Arrow type for each kind of value, whatever file it came from, and the way back to the user's own types.

Equal tables must look alike to methods and have equal fingerprints, be they read from CSV, Parquet or pandas. So text
is ``large_string`` (never dictionary-encoded), bytes ``large_binary``, lists ``large_list``, times count microseconds,
half floats are ``float32``, and the class numbers of a Hugging Face ``ClassLabel`` are the class names. What a column
was before is kept in the table's metadata; :func:`restore` turns it back, for writing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.errors import DrossError

SCHEMA = b"dross.schema"
HUGGINGFACE = b"huggingface"


def canonical_type(kind: pa.DataType) -> pa.DataType:
    """The type in which dross holds values of this type.

    >>> canonical_type(pa.list_(pa.dictionary(pa.int8(), pa.string())))
    LargeListType(large_list<item: large_string>)
    """
    types = pa.types
    if types.is_dictionary(kind):
        return canonical_type(kind.value_type)
    if types.is_string(kind) or types.is_string_view(kind):
        return pa.large_string()
    if types.is_binary(kind) or types.is_binary_view(kind) or types.is_fixed_size_binary(kind):
        return pa.large_binary()
    if types.is_float16(kind):
        return pa.float32()
    if types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if types.is_list(kind) or types.is_large_list(kind) or _is_view(kind):
        return pa.large_list(canonical_type(kind.value_type))
    if types.is_fixed_size_list(kind):
        return pa.list_(canonical_type(kind.value_type), kind.list_size)
    if types.is_struct(kind):
        return pa.struct([pa.field(f.name, canonical_type(f.type)) for f in kind])
    return kind


def canonical(table: pa.Table) -> pa.Table:
    """The table with every column in its canonical type; the types it came with are kept in its metadata.

    >>> canonical(pa.table({"y": pa.array(["a", "b"]).dictionary_encode()})).schema.field("y").type
    DataType(large_string)
    """
    table = _plain(table)
    names = label_names(table.schema)
    columns = [
        _named(column, *names[field.name], field.name) if field.name in names else _cast(column)
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    # Metadata of columns, and any that is not text (polars stops at it), is only in the kept schema.
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if _is_utf8(key) and _is_utf8(value)}
    changed = pa.table(columns, names=table.column_names).replace_schema_metadata(metadata or None)
    if changed.schema.equals(table.schema, check_metadata=True):
        return changed
    kept = base64.b64encode(table.schema.serialize().to_pybytes())
    return changed.replace_schema_metadata({**metadata, SCHEMA: kept})


def nulls_as_text(table: pa.Table) -> pa.Table:
    """The table with columns that are null throughout as text; done last, when no shard can tell another type."""
    for i, field in enumerate(table.schema):
        if pa.types.is_null(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(pa.large_string()))
    return table


def restore(table: pa.Table) -> pa.Table:
    """The table in the types it was read with, as far as its values (perhaps edited since) still fit them.

    >>> table = pa.table({"y": pa.array(["a", "b"]).dictionary_encode()})
    >>> restore(canonical(table)).schema == table.schema
    True
    """
    metadata = {k: v for k, v in (table.schema.metadata or {}).items() if not k.startswith(b"dross")}
    kept = (table.schema.metadata or {}).get(SCHEMA)
    if kept is None:
        return table.replace_schema_metadata(metadata or None)
    before = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(kept)))
    metadata |= {key: value for key, value in (before.metadata or {}).items() if not key.startswith(b"dross")}
    names = label_names(before)
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        at = before.get_field_index(field.name)
        known = names.get(field.name, (None, False))
        columns.append(_back(column, before.field(at).type, known[0]) if at >= 0 else column)
        if known[0] is not None and columns[-1].type == field.type:
            metadata.pop(HUGGINGFACE, None)  # a label outside the declared classes: they no longer describe the column
    return pa.table(columns, names=table.column_names).replace_schema_metadata(metadata or None)


def label_names(schema: pa.Schema) -> dict[str, tuple[list[str], bool]]:
    """The class names that a Hugging Face schema declares, by column, and whether the column holds lists of classes."""
    try:
        features = json.loads((schema.metadata or {})[HUGGINGFACE])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    found = {}
    for column, feature in features.items() if isinstance(features, dict) else ():
        inner, listed = _item(feature)
        names = inner.get("names") if isinstance(inner, dict) and inner.get("_type") == "ClassLabel" else None
        if names and column in schema.names:
            found[column] = ([str(name) for name in names], listed)
    return found


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _item(feature: Any) -> tuple[Any, bool]:
    if isinstance(feature, list) and feature:
        return feature[0], True
    if isinstance(feature, dict) and feature.get("_type") in {"Sequence", "List", "LargeList"}:
        return feature.get("feature"), True
    return feature, False


def _plain(table: pa.Table) -> pa.Table:
    """Without extension types, whose values Arrow's functions do not reach."""
    for i, field in enumerate(table.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            chunks = [chunk.storage for chunk in table.column(i).chunks]
            table = table.set_column(i, field.name, pa.chunked_array(chunks, field.type.storage_type))
    return table


def _cast(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = canonical_type(column.type)
    if kind == column.type:
        return column
    if _is_view(column.type):
        return pa.chunked_array([pa.array(column.to_pylist(), kind)])  # Arrow's own cast loses their items
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:  # a time finer than a microsecond keeps its own unit
        return column


def _is_view(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind))


def _named(column: pa.ChunkedArray, names: list[str], listed: bool, name: str) -> pa.ChunkedArray:
    """Class names in place of class numbers; -1 is how Hugging Face writes a missing label."""
    if listed:
        return _each_item(column, lambda items: _named(items, names, False, name), pa.large_string())
    if not pa.types.is_integer(column.type):
        return _cast(column)
    codes = pc.if_else(pc.equal(column, -1), pa.scalar(None, column.type), column)
    if (pc.max(codes).as_py() or 0) >= len(names) or (pc.min(codes).as_py() or 0) < 0:
        raise DrossError(
            f"a class number lies outside the {len(names)} classes that the data declares",
            where=f"column {name!r}",
            fix="correct the names of its ClassLabel feature",
        )
    return pa.chunked_array([pa.array(names, pa.large_string())]).take(codes)


def _each_item(
    column: pa.ChunkedArray, change: Callable[[pa.ChunkedArray], pa.ChunkedArray], kind: pa.DataType
) -> pa.ChunkedArray:
    """The same lists, as ``large_list``, with their items changed."""
    chunks = []
    for chunk in column.chunks:
        lengths = pc.list_value_length(chunk).fill_null(0).to_numpy(zero_copy_only=False)
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))
        items = change(pa.chunked_array([chunk.flatten()])).combine_chunks()
        mask = chunk.is_null() if chunk.null_count else None
        chunks.append(pa.LargeListArray.from_arrays(offsets, items, mask=mask))
    return pa.chunked_array(chunks, None if chunks else pa.large_list(kind))


def _back(column: pa.ChunkedArray, kind: pa.DataType, names: list[str] | None) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if _is_view(kind):
        return pa.chunked_array([pa.array(column.to_pylist(), kind)])
    try:
        if names is not None and column.type == pa.large_string() and pa.types.is_integer(kind):
            codes = pc.index_in(column, value_set=pa.array(names, pa.large_string()))
            lost = pc.any(pc.and_(pc.is_null(codes), pc.is_valid(column))).as_py()
            return column if lost else codes.fill_null(-1).cast(kind)
        if names is not None and pa.types.is_large_list(column.type):
            items = kind.value_type
            return _each_item(column, lambda values: _back(values, items, names), items).cast(kind)
        if pa.types.is_dictionary(kind):
            return column.cast(kind.value_type).dictionary_encode().cast(kind)
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # an edit no longer fits the old type: keep the new one
        return column
