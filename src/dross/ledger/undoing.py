"""Undoing: which edits to take back, and their inverses."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np

from dross.core.errors import DrossError
from dross.ledger.edits import Standing, insert_reversals, standing
from dross.ledger.runs import find
from dross.ledger.versions import Version, head, versions


def chosen(
    connection: sqlite3.Connection, *, edit: int | None, run: str | None, version: int | None, everything: bool
) -> tuple[int, list[int]]:
    """The base and the standing edits that one of the four choices names, ascending; an error when there are none."""
    if (edit is not None) + (run is not None) + (version is not None) + everything != 1:
        raise DrossError("say what to take back", fix="one of: an edit, a run, a version, or everything")
    if edit is not None:
        return _edit(connection, edit)
    if run is not None:
        return _run(connection, run)
    if version is not None:
        return _version(connection, version)
    newest = head(connection)
    if newest is None:
        raise DrossError("nothing has been changed yet", fix="dross log shows every change")
    verdict = standing(connection, newest.base)
    return newest.base, _some(verdict.ids[verdict.active & (verdict.reverses == 0)].tolist(), "no edit")


def take_back(connection: sqlite3.Connection, ids: Sequence[int], author: str, reason: str) -> dict[str, Any]:
    """Write the inverse of each edit; returns the summary of what was done."""
    insert_reversals(connection, ids, author, reason)
    rows = connection.execute(
        "SELECT coalesce(issue, ''), action, count(*) FROM edits WHERE reverses IS NOT NULL AND id > "
        "(SELECT max(id) FROM edits) - ? GROUP BY 1, 2",
        (len(ids),),
    )
    counts: dict[str, dict[str, int]] = {}
    for issue, action, count in rows:
        counts.setdefault(issue, {})[action] = count
    return {"taken back": counts, "edits": {}, "waiting": {}, "notes": []}


def _edit(connection: sqlite3.Connection, edit: int) -> tuple[int, list[int]]:
    found = connection.execute("SELECT base FROM edits WHERE id = ?", (edit,)).fetchone()
    if found is None:
        raise DrossError(f"there is no edit {edit}", fix="dross log shows the edits there are")
    base = int(found[0])
    verdict = standing(connection, base)
    if not verdict.holds(edit):
        by = int(verdict.ids[(verdict.reverses == edit) & verdict.active][-1])
        raise DrossError(f"edit {edit} is taken back already, by edit {by}", fix=f"dross undo {by} makes it again")
    return base, [edit]


def _run(connection: sqlite3.Connection, run: str) -> tuple[int, list[int]]:
    known = find(connection, run)
    rows = connection.execute(
        "SELECT base, id FROM edits WHERE run = ? AND reverses IS NULL ORDER BY id", (known.id,)
    ).fetchall()
    bases = sorted({base for base, _ in rows})
    nothing = f"no edit of {known.id}"
    if not bases:
        return 0, _some([], nothing)
    verdict = standing(connection, bases[-1])
    return bases[-1], _some(_that_stand([edit for base, edit in rows if base == bases[-1]], verdict), nothing)


def _version(connection: sqlite3.Connection, number: int) -> tuple[int, list[int]]:
    found = versions(connection, "number = ?", number)
    if not found:
        raise DrossError(f"there is no version {number}", fix="dross log shows the versions there are")
    version = found[0]
    if version.parent is None:
        raise DrossError(f"version {number} is the data as loaded: there is nothing to take back")
    parent: Version = versions(connection, "number = ?", version.parent)[0]
    verdict = standing(connection, version.base)
    inside = (verdict.ids > parent.last_edit) & (verdict.ids <= version.last_edit)
    return version.base, _some(verdict.ids[inside & verdict.active].tolist(), f"no edit of version {number}")


def _that_stand(ids: Sequence[int], verdict: Standing) -> list[int]:
    wanted = np.isin(verdict.ids, np.array(ids, np.int64))
    return [int(edit) for edit in verdict.ids[wanted & verdict.active]]


def _some(ids: list[int], nothing: str) -> list[int]:
    if not ids:
        raise DrossError(f"there is nothing to take back: {nothing} stands", fix="dross log shows every change")
    return ids
