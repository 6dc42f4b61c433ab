"""Votes that stand in a file of their own, one vote a line, as crowd-sourcing platforms give them out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.io import load


def with_votes(data: Dataset, path: str | Path) -> Dataset:
    """The rows with a column of votes for each annotator of a file, beside the columns of votes that were there.

    Parameters
    ----------
    data
        The rows; the file names them by their ids (role id), or by their positions, from 0 on, where they have none.
    path
        A table in any format dross reads. Its first three columns are the row, the annotator and the label; a missing
        label is no vote. Of several votes of one annotator on one row the last counts.

    Raises
    ------
    DrossError
        Where the file has fewer than three columns, or names a row that is not there; with the line.
    """
    given = load(path, id=None, label=None, text=None).table
    if given.num_columns < 3:
        raise DrossError(
            f"votes need three columns, the row, the annotator and the label; there are {given.num_columns}",
            where=str(path),
        )
    row, who, label = (_texts(given.column(i)) for i in range(3))
    ids = _texts(data.column(Role.ID)) if data.has(Role.ID) else pa.array(map(str, range(len(data))), pa.string())
    at = pc.index_in(row, value_set=ids)
    _check(at, row, data, path)
    names = pc.unique(who.drop_null()).to_pylist()
    column = pc.index_in(who, value_set=pa.array(names, pa.string()))
    texts = pc.unique(label.drop_null())
    code = pc.index_in(label, value_set=texts)
    known = ~np.asarray(pc.or_(pc.is_null(column), pc.is_null(code)))
    places, columns, codes = (np.asarray(part.fill_null(-1))[known] for part in (at, column, code))
    said = np.full((len(names), len(data)), -1, np.int32)
    said[columns, places] = codes
    return _with_columns(data, names, said, texts)


def _with_columns(data: Dataset, names: list[str], said: np.ndarray, texts: pa.Array) -> Dataset:
    table, added = data.table, []
    for name, codes in zip(names, said, strict=True):
        own = name if name not in table.column_names else f"annotator {name}"
        small = pa.array(codes.astype(np.min_scalar_type(-max(1, len(texts)))), mask=codes < 0)
        table = table.append_column(own, pa.DictionaryArray.from_arrays(small, texts).cast(pa.string()))
        added.append(own)
    roles = {**data.roles, Role.VOTES: [*data.roles.get(Role.VOTES, ()), *added]}
    return Dataset(table, roles, source=data.source, row_ids=data.row_ids)


def _check(at: pa.Array, row: pa.Array, data: Dataset, path: str | Path) -> None:
    if not at.null_count:
        return
    first = int(np.flatnonzero(np.asarray(at.is_null()))[0])
    what = "id" if data.has(Role.ID) else "position"
    raise DrossError(
        f"{at.null_count:,} votes are on rows that are not in the data, the first on {row[first].as_py()!r}",
        where=f"{path}, vote {first + 1}",
        fix=f"the first column names the row by its {what}" + ("" if data.has(Role.ID) else "; give --role id=COLUMN"),
    )


def _texts(column: pa.ChunkedArray) -> pa.Array:
    plain = pa.chunked_array(column).cast(pa.string()).combine_chunks()
    return pa.concat_arrays(plain.chunks) if isinstance(plain, pa.ChunkedArray) else plain
