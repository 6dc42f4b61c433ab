"""Tables that are in memory already: pandas, polars, Arrow, a dict of columns, NumPy arrays, Hugging Face datasets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import pyarrow as pa

from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.io import huggingface
from dross.io.canonical import canonical, nulls_as_text
from dross.io.huggingface import is_dataset
from dross.io.images import encode
from dross.io.shards import check_names

_TAKES = "give a path, a pandas, polars or Arrow table, a dict of columns, a NumPy array or a Hugging Face dataset"


def as_table(source: Any) -> tuple[pa.Table, list[str]]:
    """Any table in memory as an Arrow table in canonical types, and remarks.

    >>> as_table({"x": [1, 2], "y": ["a", "b"]})[0].column_names
    ['x', 'y']
    """
    if isinstance(source, np.ndarray):
        return _of_columns({"X": source})
    if isinstance(source, Mapping) and source and all(is_dataset(part) for part in source.values()):
        return huggingface.join({str(name): huggingface.table_of(part) for name, part in source.items()}), []
    if isinstance(source, Mapping):
        return _of_columns(source)
    if isinstance(source, pa.Table):
        return _settled(source)
    if isinstance(source, pa.RecordBatch):
        return _settled(pa.Table.from_batches([source]))
    if is_dataset(source):
        return _settled(huggingface.table_of(source))
    home = type(source).__module__.partition(".")[0]
    if home == "pandas" and hasattr(source, "columns"):
        return _of_pandas(source)
    if home == "polars" and hasattr(source, "collect_schema"):
        return _settled((source.collect() if hasattr(source, "collect") else source).to_arrow())
    if hasattr(source, "__arrow_c_stream__") and not hasattr(source, "dtype"):  # a table, not a column
        return _settled(pa.table(source))
    raise DrossError(f"cannot load a {type(source).__name__}", fix=_TAKES)


def column_of(values: Any, name: str) -> tuple[pa.ChunkedArray, str | None]:
    """One column from an array, list or series, and a remark when its values are of several types and became text.

    A matrix of numbers, shape (n, d), becomes a fixed-size list; ``uint8`` images, shape (n, h, w) or (n, h, w, 3),
    become encoded images (see :mod:`dross.io.images`).

    >>> column_of(np.zeros((3, 2)), "X")[0].type
    FixedSizeListType(fixed_size_list<item: double>[2])
    """
    if isinstance(values, pa.ChunkedArray | pa.Array):
        return (values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])), None
    if (
        isinstance(values, str | bytes | Mapping | Set)
        or not hasattr(values, "__len__")
        or getattr(values, "ndim", 1) == 0
    ):
        raise DrossError(f"{name} is one value, not a column of them", fix="give one value per row")
    if hasattr(values, "to_arrow"):
        return column_of(values.to_arrow(), name)
    if hasattr(values, "toarray"):
        raise DrossError(f"{name} is a sparse matrix", fix="make it dense with .toarray(), or reduce it first")
    if not isinstance(values, list | tuple):
        values = np.asarray(values)
    if isinstance(values, np.ndarray) and values.ndim > 1:
        return pa.chunked_array([_of_matrix(values, name)]), None
    if isinstance(values, list | tuple) and len(values) and isinstance(values[0], np.ndarray):
        values = [value.tolist() for value in values]
    try:
        return pa.chunked_array([pa.array(values, from_pandas=True)]), None
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _as_text(list(values), name)


def columns_of(values: Any, role: Role) -> dict[str, Any]:
    """The columns that an array given for a role stands for, by name.

    A matrix of annotations or votes, shape (n, m), is m columns; a matrix of zeros and ones given as labels, shape
    (n, k), is one column of lists of class numbers.

    >>> columns_of(np.array([[1, 0], [1, 1]]), Role.LABELS)
    {'labels': [[0], [0, 1]]}
    >>> list(columns_of(np.array([[1, 0], [1, 1]]), Role.ANNOTATIONS))
    ['annotator_1', 'annotator_2']
    """
    matrix = np.asarray(values) if hasattr(values, "ndim") and values.ndim == 2 else None
    if matrix is not None and role in {Role.ANNOTATIONS, Role.VOTES}:
        word = "annotator" if role is Role.ANNOTATIONS else "vote"
        return {f"{word}_{j + 1}": matrix[:, j] for j in range(matrix.shape[1])}
    if matrix is not None and role is Role.LABELS and np.isin(matrix, (0, 1)).all():
        rows, classes = np.nonzero(matrix)
        parts = np.split(classes, np.cumsum(np.bincount(rows, minlength=len(matrix)))[:-1])
        return {role.value: [part.tolist() for part in parts]}
    return {role.value: values}


def _of_matrix(values: np.ndarray[Any, Any], name: str) -> pa.Array:
    if values.ndim > 2:
        return encode(values, name)
    if np.iscomplexobj(values) or not (np.issubdtype(values.dtype, np.number) or values.dtype == bool):
        raise DrossError(f"{name} is a matrix of {values.dtype}, not of numbers", fix="give its columns in a table")
    if values.shape[1] == 0:
        raise DrossError(f"{name} has no columns: its shape is {values.shape}")
    if values.dtype in {np.dtype(bool), np.dtype(np.float16)}:
        values = values.astype(np.uint8 if values.dtype == bool else np.float32)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _as_text(values: list[Any], name: str) -> tuple[pa.ChunkedArray, str]:
    """Values of several types as text: lists and objects as JSON, missing ones as null."""

    def text(value: Any) -> str | None:
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return None
        if isinstance(value, dict | list | tuple):
            return json.dumps(value, ensure_ascii=False, default=str)
        return str(value)

    try:
        column = pa.array([text(value) for value in values], pa.large_string())
    except UnicodeEncodeError as error:
        what = f"the column {name!r} holds a text that is not Unicode: {error.object[:40]!r}"
        raise DrossError(what, fix="replace half of a surrogate pair where it stands alone") from error
    kinds = sorted({type(value).__name__ for value in values if value is not None})
    note = f"the column {name!r} is read as text: its values are of several types ({', '.join(kinds[:4])})"
    return pa.chunked_array([column]), note


def _of_columns(source: Mapping[Any, Any]) -> tuple[pa.Table, list[str]]:
    columns: dict[str, pa.ChunkedArray] = {}
    notes = []
    for key, values in source.items():
        columns[str(key)], note = column_of(values, str(key))
        notes += [note] if note else []
    check_names([str(key) for key in source], None)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise DrossError(f"the columns have different lengths: {said[:300]}", fix="give one value per row in each")
    table, more = _settled(pa.table(columns)) if columns else (pa.table({}), [])
    return table, notes + more


def _settled(table: pa.Table) -> tuple[pa.Table, list[str]]:
    check_names(table.column_names, None)
    return nulls_as_text(canonical(table)), []


def _of_pandas(frame: Any) -> tuple[pa.Table, list[str]]:
    """A pandas table; a named index is a column, an unnamed one is left out."""
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    check_names(names, None)
    try:
        return _settled(pa.Table.from_pandas(frame, preserve_index=False))
    except (pa.ArrowException, TypeError, ValueError, OverflowError):  # a column of several types
        return _of_columns({name: frame.iloc[:, i].tolist() for i, name in enumerate(names)})
