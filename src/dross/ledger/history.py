"""History: the newest batches of edits, one line for each, and those that a person can undo and redo."""

from __future__ import annotations

import sqlite3
from itertools import groupby
from typing import Any

import numpy as np

from dross.ledger.edits import REMARKS
from dross.ledger.state import active

Row = tuple[int, int, int, str, int]
_COLUMNS = ("run", "author", "time", "issue", "reason")


def steps(connection: sqlite3.Connection, most: int) -> list[dict[str, Any]]:
    """The newest ``most`` batches of edits, newest first; O(edits in them).

    Each is a dictionary of ``batch``, ``run``, ``author``, ``time``, ``issue``, ``action`` (what was done to the data;
    ``opinion``, ``ask`` or ``comment`` where nothing was), ``undoes`` (whether it takes something back), ``reason``,
    ``rows`` (how many it is about), ``first`` (the first of them, its position) and ``standing`` (of the edits that
    ``action`` names, how many stand).
    """
    oldest = 2**62
    for _ in range(most):
        found = connection.execute(
            "SELECT batch FROM edits WHERE id < ? ORDER BY id DESC LIMIT 1", (oldest,)
        ).fetchone()
        if found is None:
            break
        oldest = int(found[0])  # a batch has the number of its first edit
    rows: list[Row] = connection.execute(
        "SELECT id, coalesce(reverses, 0), batch, action, position FROM edits WHERE id >= ? ORDER BY id", (oldest,)
    ).fetchall()
    ids, reverses = (np.array([row[at] for row in rows], np.int64) for at in (0, 1))
    stands = active(ids, np.where(reverses >= oldest, reverses, 0)).tolist()
    groups = groupby(zip(rows, stands, strict=True), key=lambda one: one[0][2])
    return [_step(connection, batch, list(own)) for batch, own in groups][::-1]


def _step(connection: sqlite3.Connection, batch: int, own: list[tuple[Row, bool]]) -> dict[str, Any]:
    """One batch in a line."""
    remarks = [row for row, _ in own if row[3] in REMARKS]
    acts = [(row, stands) for row, stands in own if row[3] not in REMARKS]
    shown = acts or own
    action = shown[-1][0][3]
    undoes = all(row[1] for row in remarks or [row for row, _ in own])
    named = [(row, stands) for row, stands in shown if row[3] == action and (undoes or not row[1])] or shown
    number = (remarks[-1] if remarks else shown[-1][0])[0]
    values = connection.execute(
        f"SELECT {', '.join(_COLUMNS)}, after IS NOT NULL OR before IS NOT NULL FROM edits WHERE id = ?", (number,)
    ).fetchone()
    asks = action == "comment" and bool(values[-1])
    return {
        "batch": batch,
        **dict(zip(_COLUMNS, values[:-1], strict=True)),
        "action": "ask" if asks else action,
        "undoes": undoes,
        "rows": len({row[4] for row, _ in named}),
        "first": min(row[4] for row, _ in named),
        "standing": sum(stands for _, stands in named),
    }


def stacks(connection: sqlite3.Connection, base: int, author: str) -> tuple[list[int], list[int]]:
    """The batches that a person can undo and those that can be redone, the next one last."""
    found = connection.execute(
        "SELECT e.batch, b.batch, b.reverses FROM edits e LEFT JOIN edits b ON b.id = e.reverses "
        "WHERE e.base = ? AND e.author = ? AND e.action IN ('opinion', 'comment') ORDER BY e.id",
        (base, author),
    )
    batches: dict[int, list[tuple[int | None, int | None]]] = {}
    for batch, reversed_batch, reversed_again in found:
        batches.setdefault(batch, []).append((reversed_batch, reversed_again))
    undo: list[int] = []
    redo: list[int] = []
    for batch, edits in batches.items():
        if any(target is None for target, _ in edits):  # something new was said
            undo.append(batch)
            redo.clear()
        elif undo and edits[0][0] == undo[-1]:
            undo.pop()
            redo.append(batch)
        elif redo and edits[0][0] == redo[-1]:
            redo.pop()
            undo.append(batch)
    return undo, redo
