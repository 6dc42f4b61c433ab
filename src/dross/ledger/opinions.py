"""Opinions: what people say of findings, kept beside the edits that follow from it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.roles import Role
from dross.ledger.decisions import Decision, checked
from dross.ledger.edits import ACTIONS, Draft, insert, insert_reversals, last, signed
from dross.ledger.plan import cells
from dross.ledger.state import EDITS, active, to_json

Rows = npt.NDArray[np.int64]
LABELLED = frozenset({"label", "conflict", "annotator"})
"""The issues that are about the row's label: to keep there is to keep the label."""
SAYS = ("keep", "relabel", "set", "drop", "unsure")
_FIELDS = "id, batch, position, issue, author, action, field, after, reason, time, reverses"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one person says of one finding.

    Attributes
    ----------
    edit, batch
        Its number in the ledger, and that of the first edit made together with it.
    row
        The row's 0-based position in the base, the data as it was loaded.
    issue, author, time
        The kind of defect it is about, who says it, and when (UTC, ISO 8601).
    says
        ``keep``: there is no defect; ``relabel``, ``set``: the column ``field`` should hold ``value``; ``drop``: the
        row should go; ``unsure``; or ``comment``: nothing but what the comment says.
    field, value
        The column and its new value.
    comment
        In the person's words.
    """

    edit: int
    batch: int
    row: int
    issue: str
    author: str
    says: str
    field: str | None
    value: Any
    comment: str
    time: str

    @property
    def verdict(self) -> tuple[str, str | None, str]:
        """What two people have to share to agree: what to do, in which column, and the value as JSON."""
        return self.says, self.field, to_json(self.value)


class Overtaken(DrossError):
    """Somebody else has decided on some of the rows since they were shown."""


def agreed(opinions: Sequence[Opinion], needed: int) -> Opinion | None:
    """The opinion that holds among the latest ones of each person, oldest first; None while none does.

    Of one that is needed the newest holds; of several, what more than half of all people say, once as many as are
    needed have said something.

    >>> def says(author, what): return Opinion(0, 0, 0, "label", author, what, None, None, "", "")
    >>> agreed([says("ada", "drop"), says("bob", "keep")], 1).says
    'keep'
    >>> agreed([says("ada", "drop"), says("bob", "keep")], 2) is None
    True
    """
    if not opinions:
        return None
    if needed == 1:
        return None if opinions[-1].says == "unsure" else opinions[-1]
    sure = [one for one in opinions if one.says != "unsure"]
    if len(opinions) < needed or not sure:
        return None
    counts: dict[tuple[str, str | None, str], int] = {}
    for one in sure:
        counts[one.verdict] = counts.get(one.verdict, 0) + 1
    top = max(counts, key=lambda verdict: counts[verdict])
    return next(one for one in sure if one.verdict == top) if 2 * counts[top] > len(opinions) else None


@dataclass(frozen=True)
class Reading:
    """The opinions and comments that stand on some rows of the base.

    Attributes
    ----------
    opinions
        Oldest first; of each person the latest about each issue of a row, and all comments.
    rows
        The rows that were looked at, ascending: those on which something was said or taken back.
    newest
        The number of the newest edit of the base; read on from there.
    """

    opinions: list[Opinion]
    rows: Rows
    newest: int


def read(connection: sqlite3.Connection, base: int, *, since: int = 0) -> Reading:
    """What stands on the rows about which something was said after edit ``since``."""
    newest = last(connection, base)
    if newest <= since:
        return Reading([], np.empty(0, np.int64), newest)
    rows = connection.execute(
        f"SELECT {_FIELDS} FROM edits WHERE base = ? AND action IN ('opinion', 'comment') AND (? = 0 OR row_id IN "
        "(SELECT row_id FROM edits WHERE base = ? AND action IN ('opinion', 'comment') AND id > ?)) ORDER BY id",
        (base, since, base, since),
    ).fetchall()
    return Reading(_standing(rows), np.unique(np.array([row[2] for row in rows], np.int64)), newest)


def of_rows(connection: sqlite3.Connection, base: int, issue: str, ids: Sequence[int]) -> dict[int, list[Opinion]]:
    """The latest standing opinion of each person on one issue at the rows of some ids, oldest first, by position."""
    found = connection.execute(
        f"SELECT {_FIELDS} FROM edits WHERE base = ? AND action = 'opinion' AND issue = ? "
        "AND row_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (base, issue, json.dumps(list(ids))),
    ).fetchall()
    by_row: dict[int, list[Opinion]] = {}
    for one in _standing(found):
        by_row.setdefault(one.row, []).append(one)
    return by_row


def _standing(rows: Sequence[tuple[Any, ...]]) -> list[Opinion]:
    ids = np.array([row[0] for row in rows], np.int64)
    reverses = np.array([row[10] or 0 for row in rows], np.int64)
    latest: dict[tuple[int, str, str, bool, int], Opinion] = {}
    for row, stands in zip(rows, active(ids, reverses).tolist(), strict=True):
        if not stands or row[10]:
            continue
        number, batch, position, issue, author, action, field, after, reason, time, _ = row
        said = json.loads(after) if after else {}
        comment = action == "comment"
        one = Opinion(
            number, batch, position, issue, author, "comment" if comment else said["says"], field,
            said.get("value"), reason, time,
        )  # fmt: skip
        latest[position, issue, author, comment, number if comment else 0] = one
    return sorted(latest.values(), key=lambda one: one.edit)


# ---- saying ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Book:
    """One chain's opinions, inside one writer's transaction."""

    connection: sqlite3.Connection
    base: int
    data: Dataset
    run: str
    needed: int = 1

    def say(
        self,
        rows: Rows,
        says: str,
        values: Sequence[Any],
        *,
        issue: str,
        author: str,
        field: str | None = None,
        comment: str = "",
        seen: int | None = None,
        batch: int | None = None,
    ) -> int:
        """Record one person's opinion on some rows of the base and do what follows; returns the batch's number.

        ``values`` are the new values, one per row; ``seen`` is the newest edit that the person knew of;
        ``batch`` makes it part of one that was begun before.
        """
        if says not in SAYS:
            raise DrossError(f"no opinion is called {says!r}", fix=nearest(says, list(SAYS)))
        known = of_rows(self.connection, self.base, issue, self._ids(rows))
        if seen is not None and self.needed == 1:
            self._refuse_overtaken(known, seen, author)
        field, texts = self._checked(says, field, values, issue)
        batch = batch or last(self.connection) + 1
        mine = [one.edit for own in known.values() for one in own if one.author == author]
        insert_reversals(self.connection, mine, author, "said anew", batch)
        after = [
            json.dumps({"says": says} | ({"value": json.loads(t)} if t else {}), ensure_ascii=False) for t in texts
        ]
        self._insert("opinion", rows, after, field=field, issue=issue, author=author, reason=comment, batch=batch)
        self._settle(rows, issue, author, batch)
        return batch

    def remark(self, rows: Rows, comment: str, *, issue: str, author: str) -> int:
        """Record a comment on some rows; returns the batch's number."""
        if not comment.strip():
            raise DrossError("the comment is empty", fix="write what is to be said")
        batch = last(self.connection) + 1
        nothing = [None] * len(rows)
        self._insert("comment", rows, nothing, field=None, issue=issue, author=author, reason=comment, batch=batch)
        return batch

    def step(self, author: str, *, again: bool = False) -> tuple[int, str, Rows] | None:
        """Take back the last batch of a person that stands, or (``again``) make the one again that was taken back last.

        Returns its number, the issue and the rows of the base it is about; None when there is none.
        """
        undo, redo = stacks(self.connection, self.base, author)
        stack = redo if again else undo
        return self._take_back(stack[-1], author, again=again) if stack else None

    def _take_back(self, batch: int, author: str, *, again: bool) -> tuple[int, str, Rows]:
        """Take back all that a person said in one batch (``again``: the taking back), and do what follows."""
        found = self.connection.execute(
            "SELECT id, position, issue FROM edits WHERE batch = ? AND author = ? AND action IN ('opinion', 'comment') "
            "ORDER BY id",
            (batch, author),
        ).fetchall()
        mine = last(self.connection) + 1
        insert_reversals(self.connection, [row[0] for row in found], author, "said again" if again else "undone", mine)
        for issue in sorted({row[2] for row in found}):
            self._settle(np.array(sorted({row[1] for row in found if row[2] == issue}), np.int64), issue, author, mine)
        return mine, found[0][2], np.array(sorted({row[1] for row in found}), np.int64)

    def _ids(self, rows: Rows) -> list[int]:
        ids: list[int] = signed(self.data.row_ids[rows]).tolist()
        return ids

    def _refuse_overtaken(self, known: Mapping[int, Sequence[Opinion]], seen: int, author: str) -> None:
        others = [one for own in known.values() for one in own if one.edit > seen and one.author != author]
        if others:
            names = ", ".join(sorted({one.author for one in others}))
            count = len({one.row for one in others})
            raise Overtaken(
                f"{names} decided on {'this row' if len(known) == 1 == count else f'{count} of these rows'} meanwhile",
                where=f"row {others[0].row}" if count == 1 else None,
                fix="look again, then decide",
            )

    def _checked(
        self, says: str, field: str | None, values: Sequence[Any], issue: str
    ) -> tuple[str | None, list[str | None]]:
        """The column it is about and the values as JSON."""
        if says in {"drop", "unsure"}:
            return None, [None] * len(values)
        if (says == "keep" and field is None and issue in LABELLED) or (says == "relabel" and field is None):
            roles = (Role.LABEL, Role.LABELS, Role.TARGET)
            field = next((self.data.name_of(role) for role in roles if self.data.has(role)), None)
        texts: dict[Any, str | None] = {}
        out = []
        for value in values:
            key = to_json(value)
            if key not in texts:
                asked = Decision(says, field, None, issue, None, "", "")
                made = checked(self.data, asked, value)
                field, texts[key] = made.field, made.after
            out.append(texts[key])
        return field, out

    def _insert(
        self,
        action: str,
        rows: Rows,
        after: Sequence[str | None],
        *,
        field: str | None,
        issue: str,
        author: str,
        reason: str,
        batch: int,
    ) -> None:
        ids, keys = self._ids(rows), self.data.keys(rows).to_pylist()
        before = cells(self.data, EDITS.empty_table(), field, rows)
        drafts = (
            Draft(row_id, row, key, field, action, was, now, issue, None, reason, None, author)
            for row_id, row, key, was, now in zip(ids, rows.tolist(), keys, before, after, strict=True)
        )
        insert(self.connection, self.base, self.run, drafts, batch)

    # ---- what follows -----------------------------------------------------------------------------------------------

    def _settle(self, rows: Rows, issue: str, author: str, batch: int) -> None:
        """Make the edits at these rows those that the standing opinions call for."""
        known = of_rows(self.connection, self.base, issue, self._ids(rows))
        standing = self._effects(rows, issue)
        gone: list[int] = []
        new: dict[tuple[str, str | None, str | None], list[int]] = {}
        for row in dict.fromkeys(rows.tolist()):
            holds = agreed(known.get(row, []), self.needed)
            wanted = None if holds is None else (holds.says, holds.field, _after(holds))
            have = standing.get(row, [])
            if wanted is not None and [effect[1:] for effect in have] == [wanted]:
                continue
            gone += [effect[0] for effect in have]
            if wanted is not None:
                new.setdefault(wanted, []).append(row)
        insert_reversals(self.connection, gone, author, "decided anew", batch)
        reason = "decided by a person" if self.needed == 1 else f"decided by a majority of at least {self.needed}"
        for (action, field, after), own in new.items():
            at = np.array(own, np.int64)
            self._insert(
                action, at, [after] * len(own), field=field, issue=issue, author=author, reason=reason, batch=batch
            )

    def _effects(self, rows: Rows, issue: str) -> dict[int, list[tuple[int, str, str | None, str | None]]]:
        """The standing edits that people's decisions on one issue made at some rows: number, action, column, value."""
        found = self.connection.execute(
            "SELECT id, position, action, field, after, reverses FROM edits WHERE base = ? AND issue = ? "
            f"AND method IS NULL AND action IN {ACTIONS} AND row_id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (self.base, issue, json.dumps(self._ids(rows))),
        ).fetchall()
        ids = np.array([row[0] for row in found], np.int64)
        stands = active(ids, np.array([row[5] or 0 for row in found], np.int64))
        out: dict[int, list[tuple[int, str, str | None, str | None]]] = {}
        for row, holds in zip(found, stands.tolist(), strict=True):
            if holds and not row[5]:
                out.setdefault(row[1], []).append((row[0], row[2], row[3], row[4]))
        return out


def _value(text: str | None) -> dict[str, Any]:
    return {} if text is None else {"value": json.loads(text)}


def _after(one: Opinion) -> str | None:
    return to_json(one.value) if one.says in {"relabel", "set"} else None


# ---- undo and redo --------------------------------------------------------------------------------------------------


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
