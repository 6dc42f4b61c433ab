"""Embeddings and class probabilities that the user brings along: a column, an array or a ``.npy`` or ``.npz`` file.

They stand in the table beside the user's columns, under the names in :data:`ADDED`, and are not the user's: they do not
count for row ids, and writers leave them out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.errors import DrossError, nearest
from dross.core.paths import expanded
from dross.core.roles import Role
from dross.io import columnar, delimited
from dross.io.memory import column_of
from dross.io.paths import reading

Matrix = npt.NDArray[np.float32]
ADDED = {Role.EMBEDDING: "__embedding", Role.PROBS: "__probs"}
"""The names of columns that dross adds to the user's."""
TOLERANCE = 1e-3
"""How far from one the probabilities of a row may sum: half-precision floats are common."""
_TABLES = {".parquet", ".csv", ".tsv"}
_WORDS = {Role.EMBEDDING: "embedding", Role.PROBS: "pred_probs"}


def users(table: pa.Table) -> pa.Table:
    """The table without the columns that dross added.

    >>> users(pa.table({"x": [1], "__probs": [[1.0]]})).column_names
    ['x']
    """
    return table.select([name for name in table.column_names if name not in ADDED.values()])


def vectors(given: Any, table: pa.Table, role: Role) -> tuple[Matrix, list[str] | None]:
    """The matrix that the user named or gave for ``role``, shape (n, d), float32; and its columns' names, if any."""
    word = _WORDS[role]
    names: list[str] | None = None
    if isinstance(given, Path) or (isinstance(given, str) and given not in table.column_names):
        matrix, names = _stored(expanded(given), table, word)
    elif isinstance(given, str):
        matrix = stacked(table.column(given), given)
    elif hasattr(given, "columns") and hasattr(given, "to_numpy"):  # a pandas or polars table
        names = [str(name) for name in given.columns]
        matrix = stacked(column_of(given.to_numpy(), word)[0], word)
    else:
        column, _ = column_of(given, word)
        matrix = stacked(column, word)
    if len(matrix) != table.num_rows:
        raise DrossError(
            f"{word} has {len(matrix):,} rows where the data has {table.num_rows:,}",
            fix="give one row of it for each row of the data, in the same order",
        )
    if not np.isfinite(matrix).all():
        row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise DrossError(f"{word} holds a NaN or infinity in row {row}", fix="compute that row again, or leave it out")
    return matrix, names


def as_column(matrix: Matrix) -> pa.ChunkedArray:
    """The matrix as a column of fixed-size lists."""
    flat = pa.array(np.ascontiguousarray(matrix).reshape(-1))
    return pa.chunked_array([pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1])])


def stacked(column: pa.ChunkedArray, name: str) -> Matrix:
    """A column of lists of numbers as a matrix; an error when they are not all of one length.

    >>> stacked(pa.chunked_array([[[1, 2], [3, 4]]]), "v").tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    types, kind = pa.types, column.type
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        raise DrossError(f"the column {name!r} holds {kind}, not lists of numbers", fix="name a column of vectors")
    if column.null_count:
        raise DrossError(f"the column {name!r} lacks the vector of some rows", fix="fill them, or leave those rows out")
    width = kind.list_size if types.is_fixed_size_list(kind) else len(column[0].as_py()) if len(column) else 0
    try:
        lists = column.cast(pa.list_(pa.float32(), width)) if width else None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DrossError(
            f"the vectors of {name!r} are not all {width} numbers long",
            fix="give every row a vector of the same length",
        ) from error
    if lists is None:
        raise DrossError(f"the vectors of {name!r} are empty", fix="give vectors of at least one number")
    parts = [chunk.flatten() for chunk in lists.chunks]
    flat = np.concatenate([part.to_numpy(zero_copy_only=False) for part in parts])
    return np.asarray(flat, np.float32).reshape(-1, width)


def check_probs(probs: Matrix, *, exclusive: bool = True) -> None:
    """Refuse probabilities that are negative, above one, or do not sum to one.

    ``exclusive`` is False where a row may have several labels: its probabilities then need not sum to one.

    >>> check_probs(np.array([[0.5, 0.6]], np.float32))
    Traceback (most recent call last):
    dross.core.errors.DrossError: the probabilities of row 0 sum to 1.1, not 1 (1 such rows) (in pred_probs). ...
    """
    wrong = np.flatnonzero((probs < 0).any(axis=1) | (probs > 1 + TOLERANCE).any(axis=1))
    if len(wrong):
        raise DrossError(
            f"row {wrong[0]} holds a probability outside 0 to 1 ({len(wrong):,} such rows)",
            where="pred_probs",
            fix="give probabilities, not scores: a softmax turns scores into them",
        )
    sums = probs.sum(axis=1, dtype=np.float64)
    off = np.flatnonzero(np.abs(sums - 1) > TOLERANCE)
    if exclusive and len(off):
        raise DrossError(
            f"the probabilities of row {off[0]} sum to {sums[off[0]]:.4g}, not 1 ({len(off):,} such rows)",
            where="pred_probs",
            fix="divide each row by its sum, or use a softmax",
        )


def _stored(path: Path, table: pa.Table, word: str) -> tuple[Matrix, list[str] | None]:
    if path.suffix in _TABLES:
        return _of_table(path, word)
    if path.suffix not in {".npy", ".npz"}:
        raise DrossError(
            f"{word}={str(path)!r} is neither a column nor a .npy, .npz, .parquet or .csv file",
            fix=nearest(str(path), table.column_names),
        )
    with reading(path):
        array, names = _array(path, word)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise DrossError(
            f"{word} must be a matrix of numbers, not {array.dtype} of shape {array.shape}", where=str(path)
        )
    if names is not None and len(names) != array.shape[1]:
        raise DrossError(f"{len(names)} classes are named for {array.shape[1]} columns of {word}", where=str(path))
    with np.errstate(over="ignore"):  # what is too large for single precision is refused as an infinity
        return np.asarray(array, np.float32), names


def _of_table(path: Path, word: str) -> tuple[Matrix, list[str]]:
    """A table of numbers, one column for each dimension or class."""
    kind = path.suffix[1:]
    table = columnar.read([path], kind) if kind == "parquet" else delimited.read([path], kind)[0]
    numbers = (pa.types.is_floating, pa.types.is_integer)
    other = [field.name for field in table.schema if not any(of(field.type) for of in numbers)]
    if other:
        raise DrossError(
            f"the column {other[0]!r} holds {table.schema.field(other[0]).type}, not numbers",
            where=str(path),
            fix=f"{word} in a table is one column of numbers for each class or dimension, and nothing else",
        )
    columns = [column.cast(pa.float32(), safe=False).to_numpy() for column in table.columns]
    return np.column_stack(columns).astype(np.float32), table.column_names


def _array(path: Path, word: str) -> tuple[npt.NDArray[Any], list[str] | None]:
    """The array of a file, and what its ``classes`` are called where a ``.npz`` file has them."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if path.suffix == ".npy":
            return np.asarray(loaded), None
        with loaded:
            named = loaded.files[0] if len(loaded.files) == 1 else word
            if named not in loaded.files:
                raise DrossError(
                    f"the file holds several arrays and none is called {word!r}: {', '.join(loaded.files[:10])}",
                    where=str(path),
                    fix=f"save the one you mean as {word!r}",
                )
            names = [str(name) for name in loaded["classes"].ravel()] if "classes" in loaded.files else None
            return np.asarray(loaded[named]), names
    except ValueError as error:
        if "pickle" not in str(error):  # NumPy would advise to load the objects all the same
            raise
        raise DrossError(
            "the file cannot be read: it is no array of numbers", where=str(path), fix="save it with numpy.save"
        ) from error
