"""Runs: the summary and the findings of every audit, in folders that are written once and never changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dross.core.errors import DrossError, nearest
from dross.core.results import Issue
from dross.ledger.files import Stamp, publish_folder, stamp
from dross.ledger.store import Store
from dross.ledger.workspace import absolute

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("issue", pa.dictionary(pa.int32(), pa.string())),
        ("score", pa.float32()),
        ("flagged", pa.bool_()),
        ("suggestion", pa.string()),
        ("method", pa.dictionary(pa.int32(), pa.string())),
        ("expected_precision", pa.float32()),
    ]
)
"""The columns of the findings that a user sees, in order."""
SUMMARY = "run.json"
_COLUMNS = "number, id, time, command, source, fingerprint, rows, files"


@dataclass(frozen=True)
class Run:
    """One audit that is recorded.

    Attributes
    ----------
    number, id
        Its number, and the name people call it by: ``r1``, ``r2``, ….
    time, command, source
        When, by which command, and what was audited (an absolute path; None for data from memory).
    fingerprint, rows
        The audited data's fingerprint and number of rows.
    files
        The run's files with size and SHA-256.
    """

    number: int
    id: str
    time: str
    command: str
    source: str | None
    fingerprint: str
    rows: int
    files: Mapping[str, Stamp]


def record(
    store: Store, connection: sqlite3.Connection, summary: Mapping[str, Any], tables: Mapping[str, pa.Table]
) -> Run:
    """Write the folder of a run, then its row: a crash leaves all of it or nothing."""
    number = int(connection.execute("SELECT coalesce(max(number), 0) + 1 FROM runs").fetchone()[0])
    name = f"r{number}"
    source = summary.get("source") or {}

    def write(folder: Path) -> None:
        (folder / SUMMARY).write_text(json.dumps({**summary, "run": name}, ensure_ascii=False), encoding="utf-8")
        for issue, table in tables.items():
            with (
                pa.OSFile(str(folder / f"{Issue(issue)}.arrow"), "wb") as file,
                pa.ipc.new_file(file, table.schema) as writer,
            ):
                writer.write_table(table.unify_dictionaries())

    stamps = publish_folder(store.runs / name, write)
    row = (
        number, name, str(summary.get("time", "")), str(summary.get("command", "")), absolute(source.get("path")),
        str(summary.get("fingerprint", "")), int(summary.get("rows", 0)),
        json.dumps({file: asdict(one) for file, one in stamps.items()}),
    )  # fmt: skip
    connection.execute(f"INSERT INTO runs ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    return _run(row)


def runs(connection: sqlite3.Connection) -> list[Run]:
    """All runs, oldest first."""
    return [_run(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM runs ORDER BY number")]


def find(connection: sqlite3.Connection, run: str | None) -> Run:
    """The run of that id, or the latest."""
    known = runs(connection)
    if not known:
        raise DrossError("no audit is recorded here yet", fix="run dross audit DATA first")
    found = known[-1] if run is None else next((one for one in known if one.id == run), None)
    if found is None:
        raise DrossError(f"there is no run {run!r}", fix=nearest(str(run), [one.id for one in known]))
    return found


def summary_of(store: Store, run: Run) -> dict[str, Any]:
    """The run's summary, the object that ``dross audit --json`` prints."""
    path = checked(store, run, SUMMARY, thoroughly=True)
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def issues_of(run: Run) -> list[str]:
    """The issues the run has findings tables of, in the order of :class:`Issue`."""
    return [str(issue) for issue in Issue if f"{issue}.arrow" in run.files]


def table_of(store: Store, run: Run, issue: str, *, thoroughly: bool = False) -> pa.Table:
    """All stored columns of one issue's findings, memory-mapped."""
    path = checked(store, run, f"{issue}.arrow", thoroughly=thoroughly)
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except pa.ArrowInvalid as error:
        raise _damaged(path) from error


def findings(store: Store, run: Run, issue: str | None, *, flagged: bool, evidence: bool) -> pa.Table:
    """The findings of one issue or of all, with the columns of :data:`SCHEMA` (and the evidence)."""
    if issue is not None and issue not in set(Issue):
        raise DrossError(f"no issue is called {issue!r}", fix=nearest(issue, [str(i) for i in Issue]))
    if evidence and issue is None:
        raise DrossError("the evidence differs by issue", fix="name one issue")
    parts = []
    for name in issues_of(run):
        if issue in (None, name):
            table = table_of(store, run, name)
            parts.append(_shown(table.filter(table.column("flagged")) if flagged else table, evidence=evidence))
    return pa.concat_tables(parts) if parts else SCHEMA.empty_table()


def _shown(table: pa.Table, *, evidence: bool) -> pa.Table:
    columns = {field.name: _cast(table.column(field.name), field.type) for field in SCHEMA}
    if evidence:
        columns |= {name: table.column(name) for name in table.column_names if name.startswith("evidence_")}
    return pa.table(columns)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if pa.types.is_dictionary(kind) and not pa.types.is_dictionary(column.type):
        return pc.cast(column, kind.value_type).dictionary_encode()
    return column.cast(kind)


def checked(store: Store, run: Run, file: str, *, thoroughly: bool) -> Path:
    """The path of a run's file, which must be as it was written: the size always, the bytes when ``thoroughly``."""
    path = store.runs / run.id / file
    if not path.exists() or path.stat().st_size != run.files[file].size:
        raise _damaged(path)
    if thoroughly and stamp(path) != run.files[file]:
        raise _damaged(path)
    return path


def _damaged(path: Path) -> DrossError:
    state = "is damaged" if path.exists() else "is gone"
    return DrossError(f"a file of the audit {state}", where=str(path), fix="run dross audit again")


def _run(row: tuple[Any, ...]) -> Run:
    fields = dict(zip(_COLUMNS.split(", "), row, strict=True))
    return Run(**fields | {"files": {name: Stamp(**one) for name, one in json.loads(fields["files"]).items()}})
