"""Versions: the whole table after each change, as Parquet files that are written once and never changed."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dross.core.dataset import Dataset, Source
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.ledger.edits import last, now
from dross.ledger.files import Stamp, publish_file, stamp
from dross.ledger.state import content_of
from dross.ledger.store import Store
from dross.ledger.workspace import absolute, seen

ROW_ID = "__dross_row_id"
_META = b"dross"
_COLUMNS = "number, base, parent, time, run, command, author, before, after, rows, file, last_edit, source, summary"


@dataclass(frozen=True)
class Version:
    """One state of the data.

    Attributes
    ----------
    number
        Counts up through the workspace. A version without a ``parent`` is a *base*: the data as it was loaded.
    base, parent
        The base it descends from, and the version before it.
    time, run, command, author
        When, after which audit, by which command and by whom it was made.
    before, after
        The fingerprints of the parent and of this version.
    rows
        How many rows it has.
    file
        Its Parquet file's name in the folder ``versions``.
    last_edit
        It is the base with all edits up to this one.
    source
        The file, folder or glob its base was loaded from; None for data from memory.
    summary
        What was done: ``edits`` (issue → action → count), ``waiting`` (issue → findings left for review), ``notes``.
    """

    number: int
    base: int
    parent: int | None
    time: str
    run: str | None
    command: str
    author: str
    before: str | None
    after: str
    rows: int
    file: str
    last_edit: int
    source: str | None
    summary: Mapping[str, Any] = field(default_factory=dict)


def versions(connection: sqlite3.Connection, where: str = "1", *values: Any) -> list[Version]:
    """The versions that match, oldest first."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM versions WHERE {where} ORDER BY number", values)
    fields = (dict(zip(_COLUMNS.split(", "), row, strict=True)) for row in rows)
    return [Version(**one | {"summary": json.loads(one["summary"])}) for one in fields]


def head(connection: sqlite3.Connection, base: int | None = None) -> Version | None:
    """The newest version, of one base or of all; None when there is none."""
    found = versions(
        connection,
        "number = (SELECT max(number) FROM versions WHERE coalesce(? = base, 1))",
        base,
    )
    return found[0] if found else None


def add_base(store: Store, connection: sqlite3.Connection, data: Dataset, run: str | None, author: str) -> Version:
    """Keep the data as it was loaded, so that it can be had back whatever becomes of the user's file."""
    ids = data.row_ids
    if (np.diff(np.sort(ids)) == 0).any():
        raise DrossError("two rows have the same row id", fix="load with id=None, or name a column of unique ids")
    source = absolute(data.source.path) if data.source else None
    row = {"run": run, "command": "base", "author": author, "source": source, "parent": None, "before": None}
    return _add(store, connection, data, row | {"content": content_of(data), "seen": seen(source)})


def add_version(
    store: Store, connection: sqlite3.Connection, data: Dataset, parent: Version, made: Mapping[str, Any]
) -> Version:
    """Write the state after the newest edit; ``made`` says run, command, author and summary."""
    row = {"parent": parent.number, "base": parent.base, "before": parent.after, "source": parent.source, **made}
    return _add(store, connection, data, row)


def _add(store: Store, connection: sqlite3.Connection, data: Dataset, row: Mapping[str, Any]) -> Version:
    number = int(connection.execute("SELECT coalesce(max(number), -1) + 1 FROM versions").fetchone()[0])
    file = f"{number}.parquet"
    written = publish_file(store.versions / file, lambda path: _write(path, data))
    full = {
        "base": number, "content": None, "seen": None, **row, "number": number, "time": now(), "rows": len(data),
        "after": data.fingerprint(), "file": file, "size": written.size, "sha256": written.sha256,
        "last_edit": last(connection), "summary": json.dumps(row.get("summary", {})),
    }  # fmt: skip
    names = ", ".join(full)
    connection.execute(f"INSERT INTO versions ({names}) VALUES ({', '.join('?' * len(full))})", tuple(full.values()))
    return versions(connection, "number = ?", number)[0]


# ---- the files ------------------------------------------------------------------------------------------------------


def _write(path: Any, data: Dataset) -> None:
    table = data.table
    if ROW_ID in table.column_names:
        raise DrossError(f"the column name {ROW_ID!r} is reserved", fix="rename that column")
    source = data.source
    meta = {
        "roles": {str(role): list(columns) for role, columns in data.roles.items()},
        "source": source and {"path": source.path, "format": source.format, "options": dict(source.options)},
        "schema": base64.b64encode(table.schema.serialize()).decode(),
    }
    stored = table.append_column(ROW_ID, pa.array(data.row_ids))
    stored = stored.replace_schema_metadata({**(table.schema.metadata or {}), _META: json.dumps(meta).encode()})
    try:
        pq.write_table(stored, path, compression="zstd", compression_level=1)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise DrossError(f"the data cannot be kept as Parquet: {error}", fix="drop or convert that column") from error


def read_version(store: Store, connection: sqlite3.Connection, version: Version) -> Dataset:
    """Read a version back as it was: rows, ids, roles, source, column types."""
    path = store.versions / version.file
    size, sha256 = connection.execute(
        "SELECT size, sha256 FROM versions WHERE number = ?", (version.number,)
    ).fetchone()
    if not path.exists() or stamp(path) != Stamp(size, sha256):
        raise DrossError(
            f"the file of version {version.number} is {'damaged' if path.exists() else 'gone'}",
            where=str(path),
            fix="put back a copy of it, or move the workspace away and run dross audit again",
        )
    table = pq.ParquetFile(path).read()
    meta = json.loads(table.schema.metadata[_META])
    ids: npt.NDArray[np.uint64] = table.column(ROW_ID).to_numpy()
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(meta["schema"])))
    rows = table.drop_columns([ROW_ID])
    columns = [
        column if column.type == wanted.type else column.cast(wanted.type)
        for column, wanted in zip(rows.columns, schema, strict=True)
    ]
    source = Source(**meta["source"] | {"path": version.source}) if meta["source"] else None
    roles = {Role(role): names for role, names in meta["roles"].items()}
    return Dataset(pa.Table.from_arrays(columns, schema=schema), roles, source=source, row_ids=ids)
