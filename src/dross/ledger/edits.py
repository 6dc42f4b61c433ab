"""Edits: one change of one cell or row each, kept for ever in the order in which they were made."""

from __future__ import annotations

import getpass
import json
import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.ledger.state import EDITS, active
from dross.ledger.store import Store

ACTIONS = ("drop", "relabel", "reweight", "set", "keep")
REMARKS = ("opinion", "comment")
"""What people say of rows; it changes nothing by itself."""
PAGE = 5_000
_FIELDS = (
    "id, run, row_id, position, key, field, action, before, after, issue, method, reason, confidence, author, time, "
    "reverses, batch"
)


@dataclass(frozen=True, slots=True)
class Edit:
    """Who changed what, when and why.

    Attributes
    ----------
    id
        Its number in the ledger.
    version
        The first version that has it in; None while it waits for the next ``apply`` or ``undo``.
    run
        The audit whose finding it follows; None for a person's own change.
    row_id, row, key
        The row: its stable 64-bit id, its 0-based position in the input, and its id as a person knows it.
    field
        The column changed; None where it is about the row as a whole.
    action
        One of ``drop``, ``relabel``, ``reweight``, ``set``, ``keep``.
    before, after
        The values, plain JSON; None for a whole row.
    issue, method, reason, confidence
        The kind of defect, who found it, why it is changed, and how likely the finding is true.
    author
        The method or the person that decided.
    time
        When, UTC, ISO 8601.
    reverses
        The edit it takes back.
    batch
        The number of the first of the edits that were made together with it.
    active
        Whether it stands, that is whether no standing edit takes it back.
    """

    id: int
    version: int | None
    run: str | None
    row_id: int
    row: int
    key: str
    field: str | None
    action: str
    before: Any
    after: Any
    issue: str | None
    method: str | None
    reason: str
    confidence: float | None
    author: str
    time: str
    reverses: int | None
    batch: int
    active: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """An edit that is about to be written: the columns of the table after ``run``; values are JSON text."""

    row_id: int
    position: int
    key: str
    field: str | None
    action: str
    before: str | None
    after: str | None
    issue: str | None
    method: str | None
    reason: str
    confidence: float | None
    author: str


def now() -> str:
    """The time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def person() -> str:
    """The name of whoever runs this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in many containers
        return "someone"


def signed(ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Row ids as SQLite can hold them: the same 64 bits read as signed.

    >>> signed(np.array([2**64 - 1], np.uint64)).tolist()
    [-1]
    """
    return np.ascontiguousarray(ids).view(np.int64)


def insert(
    connection: sqlite3.Connection, base: int, run: str | None, drafts: Iterable[Draft], batch: int | None = None
) -> None:
    """Append edits of the base to the ledger, as one batch of their own or as part of one begun before."""
    time, batch = now(), batch or last(connection) + 1
    connection.executemany(
        f"INSERT INTO edits (base, {_FIELDS.removeprefix('id, ')}) VALUES ({', '.join('?' * 17)})",
        (
            (
                base, run, d.row_id, d.position, d.key, d.field, d.action, d.before, d.after, d.issue, d.method,
                d.reason, d.confidence, d.author, time, None, batch,
            )
            for d in drafts
        ),
    )  # fmt: skip


def insert_reversals(
    connection: sqlite3.Connection, ids: Sequence[int], author: str, reason: str, batch: int | None = None
) -> None:
    """Append the exact inverse of each edit: its before and after exchanged."""
    batch = batch or last(connection) + 1
    connection.executemany(
        f"INSERT INTO edits (base, {_FIELDS.removeprefix('id, ')}) "
        "SELECT base, run, row_id, position, key, field, action, after, before, issue, NULL, ?, NULL, ?, ?, id, ? "
        "FROM edits WHERE id = ?",
        ((reason, author, now(), batch, edit) for edit in ids),
    )


def last(connection: sqlite3.Connection, base: int | None = None) -> int:
    """The number of the newest edit, of one base or of all; 0 when there is none."""
    where, values = ("", ()) if base is None else ("WHERE base = ?", (base,))
    return int(connection.execute(f"SELECT coalesce(max(id), 0) FROM edits {where}", values).fetchone()[0])


@dataclass(frozen=True)
class Standing:
    """Which edits of one base stand: ids ascending, what each reverses (0: nothing), and the verdict; shape (n,)."""

    ids: npt.NDArray[np.int64]
    reverses: npt.NDArray[np.int64]
    active: npt.NDArray[np.bool_]

    def holds(self, edit: int) -> bool:
        """Whether the edit stands."""
        at = int(np.searchsorted(self.ids, edit))
        return at < len(self.ids) and self.ids[at] == edit and bool(self.active[at])


def standing(connection: sqlite3.Connection, base: int, rows: npt.NDArray[np.uint64] | None = None) -> Standing:
    """Which edits of a base stand; of some rows only, when their ids are given."""
    clause, values = _of_rows(base, rows)
    found = connection.execute(
        f"SELECT id, coalesce(reverses, 0) FROM edits WHERE {clause} ORDER BY id", values
    ).fetchall()
    pairs = np.array(found, np.int64).reshape(len(found), 2)
    ids, reverses = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    return Standing(ids, reverses, active(ids, reverses))


def active_edits(connection: sqlite3.Connection, base: int, rows: npt.NDArray[np.uint64] | None = None) -> pa.Table:
    """The standing edits of a base that change something themselves, by id; columns :data:`EDITS`."""
    verdict = standing(connection, base, rows)
    clause, values = _of_rows(base, rows)
    found = connection.execute(
        "SELECT id, position, field, action, after, method IS NULL OR author <> method FROM edits "
        f"WHERE {clause} AND reverses IS NULL AND action NOT IN {REMARKS} ORDER BY id",
        values,
    ).fetchall()
    columns = list(zip(*found, strict=True)) or [()] * len(EDITS)
    arrays = [pa.array(list(c)).cast(f.type) for c, f in zip(columns, EDITS, strict=True)]
    table = pa.table(arrays, schema=EDITS)
    stands = verdict.ids[verdict.active]
    return table.filter(pa.array(np.isin(table["id"].to_numpy(), stands)))


def _of_rows(base: int, rows: npt.NDArray[np.uint64] | None) -> tuple[str, tuple[Any, ...]]:
    if rows is None:
        return "+base = ?", (base,)  # the plus has SQLite read the table in the order of the ids
    chosen = json.dumps(signed(rows).tolist())
    return "base = ? AND row_id IN (SELECT value FROM json_each(?))", (base, chosen)


def newest_first(store: Store, *, row: str | None = None, run: str | None = None) -> Iterator[Edit]:
    """The edits, read page by page, so that a million of them need no memory."""
    with store.reading() as connection:
        verdicts = {b: standing(connection, b) for (b,) in connection.execute("SELECT DISTINCT base FROM edits")}
        bounds: dict[int, list[tuple[int, int]]] = {}
        for base, until, number in connection.execute(
            "SELECT base, last_edit, number FROM versions WHERE parent IS NOT NULL ORDER BY number"
        ):
            bounds.setdefault(base, []).append((until, number))
    before = 2**62
    clauses, values = _where(row, run)
    while True:
        with store.reading() as connection:
            page = connection.execute(
                f"SELECT base, {_FIELDS} FROM edits WHERE id < ? {clauses} ORDER BY id DESC LIMIT {PAGE}",
                (before, *values),
            ).fetchall()
        for base, *fields in page:
            verdict = verdicts.get(base)
            if verdict is not None and fields[0] <= verdict.ids[-1]:  # else written since the reading began
                versions = bounds.get(base, [])
                at = bisect_left(versions, (fields[0], 0))
                yield _edit(fields, versions[at][1] if at < len(versions) else None, verdict.holds(fields[0]))
        if len(page) < PAGE:
            return
        before = page[-1][1]


def _where(row: str | None, run: str | None) -> tuple[str, list[Any]]:
    clauses, values = "", []
    if row is not None:
        clauses += " AND (key = ? OR (row_id = ? AND ? IS NOT NULL))"
        number = _row_id(row)
        values += [row, number, number]
    if run is not None:
        clauses += " AND run = ?"
        values.append(run)
    return clauses, values


def _row_id(text: str) -> int | None:
    """The row id that 16 hexadecimal digits spell, signed; None when the text is something else."""
    if len(text) != 16 or any(c not in "0123456789abcdef" for c in text):
        return None
    return int(signed(np.array([int(text, 16)], np.uint64))[0])


def _edit(fields: list[Any], version: int | None, stands: bool) -> Edit:
    (number, run, row_id, row, key, field, action, before, after, issue, method, reason, confidence, author, time,
     reverses, batch) = fields  # fmt: skip
    return Edit(
        number, version, run, row_id % 2**64, row, key, field, action,
        None if before is None else json.loads(before), None if after is None else json.loads(after),
        issue, method, reason, confidence, author, time, reverses, batch, stands,
    )  # fmt: skip
