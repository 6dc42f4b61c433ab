"""JSON Lines: one object a line (and a JSON array of objects in a ``.json`` file)."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from dross.core.errors import DrossError
from dross.io.canonical import canonical
from dross.io.delimited import not_utf8
from dross.io.infer import mixed, moments
from dross.io.memory import column_of
from dross.io.paths import compression_of, reading
from dross.io.shards import unify


def read(files: Sequence[Path]) -> tuple[pa.Table, list[str]]:
    """The rows of one or several files, and remarks; a key that an object lacks is null, ISO dates become dates."""
    tables, notes = [], []
    for file in files:
        table, said = _read(file)
        tables.append(table)
        notes += said
    whole = unify(tables, files, optional=True)
    for i, field in enumerate(whole.schema):
        if field.type == pa.large_string():
            column = whole.column(i)
            remark = mixed(column, column.slice(0, 1000).drop_null(), field.name)
            whole = whole.set_column(i, field.name, moments(column))
            notes += [remark] if remark else []
    return whole, notes


def _read(file: Path) -> tuple[pa.Table, list[str]]:
    import polars as pl
    from polars.exceptions import PolarsError

    with reading(file), pa.input_stream(str(file), compression=compression_of(file)) as stream:
        content = bytes(stream.read())
    start = content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start and not content.strip():
        raise DrossError("the file is empty", where=str(file), fix="name a file with one JSON object a line")
    if start.startswith(b"["):
        return _slowly(_array(content, file), file)
    try:
        frame = pl.read_ndjson(io.BytesIO(content), infer_schema_length=None)
        wide = [name for name, kind in frame.schema.items() if kind in {pl.Int128, pl.UInt128}]
        table = frame.with_columns(pl.col(wide).cast(pl.String)).to_arrow()
    except (PolarsError, pa.ArrowException):  # a column of several types, or a broken line: find out which
        return _slowly(_objects(content, file), file)
    return (canonical(table), []) if table.num_columns else _slowly([], file)


def _objects(content: bytes, file: Path) -> list[dict[str, Any]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(file) from error
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            what = f"line {number} is not JSON: {error}"
            raise DrossError(what, where=str(file), fix="write one JSON object a line") from error
        if not isinstance(value, dict):
            raise DrossError(f"line {number} is not a JSON object", where=str(file), fix="write one object a line")
        found.append(value)
    return found


def _array(content: bytes, file: Path) -> list[dict[str, Any]]:
    try:
        values = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise not_utf8(file) from error
    except (ValueError, RecursionError) as error:
        raise DrossError(f"the file is not JSON: {error}", where=str(file)) from error
    if not values or not all(isinstance(value, dict) for value in values):
        raise DrossError("the file is no array of objects", where=str(file), fix="write one JSON object a line")
    return list(values)


def _slowly(objects: list[dict[str, Any]], file: Path) -> tuple[pa.Table, list[str]]:
    """Column by column in Python: only for files whose columns hold values of several types."""
    names = list(dict.fromkeys(key for value in objects for key in value))
    columns, notes = [], []
    for name in names:
        column, note = column_of([value.get(name) for value in objects], name)
        columns.append(column)
        notes += [note] if note else []
    if not names:
        raise DrossError("the objects have no keys", where=str(file), fix="write one JSON object a line")
    return canonical(pa.table(columns, names=names)), notes
