"""Decisions: what a person says about single rows."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.roles import Role
from dross.ledger.edits import ACTIONS, Draft, active_edits, insert, last, signed
from dross.ledger.plan import cells
from dross.ledger.state import WEIGHT, from_json, to_json, winning

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Decision:
    """What to do with some rows, who says so and why; ``after`` is JSON."""

    action: str
    field: str | None
    after: str | None
    issue: str | None
    method: str | None
    reason: str
    author: str


def checked(data: Dataset, decision: Decision, after: Any) -> Decision:
    """The decision with its column and its new value filled in; an error when they make no sense for this data."""
    action, field = decision.action, decision.field
    if action not in ACTIONS:
        raise DrossError(f"no action is called {action!r}", fix=nearest(action, list(ACTIONS)))
    if action == "drop":
        return replace(decision, field=None, after=None)
    if action == "reweight":
        if isinstance(after, bool) or not isinstance(after, int | float) or not (math.isfinite(after) and after >= 0):
            raise DrossError(f"a weight is a number of at least 0, not {after!r}")
        return replace(decision, field=WEIGHT, after=to_json(float(after)))
    if action == "relabel" and field is None:
        field = next((data.name_of(role) for role in (Role.LABEL, Role.TARGET) if data.has(role)), None)
    names = data.table.column_names
    if field is None and action != "keep":
        raise DrossError(f"{action} needs the column to change", fix=f"choose one of: {', '.join(names[:20])}")
    if field is not None and field not in names:
        raise DrossError(f"no column {field!r}", fix=nearest(field, names))
    if action == "keep":
        return replace(decision, after=None)
    text = to_json(after)
    kind = data.table.column(field).type
    from_json([text], kind.value_type if pa.types.is_dictionary(kind) else kind)
    return replace(decision, field=field, after=text)


def record(
    connection: sqlite3.Connection, number: int, base: Dataset, run: str | None, ids: Hashes, decision: Decision
) -> list[int]:
    """Write one edit per row, except where the same decision stands already; returns their numbers."""
    winners = winning(active_edits(connection, number, rows=ids))
    what = (decision.field, decision.action, decision.after)
    standing = {
        winner["position"]
        for winner in winners.to_pylist()
        if winner["decided"] and (winner["field"], winner["action"], winner["after"]) == what
    }
    rows = np.array([row for row in positions(base, ids).tolist() if row not in standing], np.int64)
    before = cells(base, winners, decision.field, rows)
    texts = zip(rows.tolist(), signed(base.row_ids[rows]).tolist(), base.keys(rows).to_pylist(), before, strict=True)
    first = last(connection)
    drafts = [
        Draft(
            row_id, row, key, decision.field, decision.action, was, decision.after, decision.issue, decision.method,
            decision.reason, None, decision.author,
        )
        for row, row_id, key, was in texts
    ]  # fmt: skip
    insert(connection, number, run, drafts)
    return list(range(first + 1, first + 1 + len(drafts)))


def positions(base: Dataset, ids: Hashes) -> npt.NDArray[np.int64]:
    """Where the rows of these ids stand in the base; an error for an id that is not there.

    O(n) for few ids: the review page asks for one at a time.
    """
    at = np.flatnonzero(np.isin(base.row_ids, ids))
    where = dict(zip(base.row_ids[at].tolist(), at.tolist(), strict=True))
    missing = [int(i) for i in ids if int(i) not in where]
    if missing:
        raise DrossError(f"no row has the id {missing[0]:016x}", fix="take the ids from the column row_id")
    return np.array([where[int(i)] for i in dict.fromkeys(ids.tolist())], np.int64)
