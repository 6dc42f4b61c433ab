"""Opinions: what people say of findings, kept beside the edits that follow from it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.roles import Role
from dross.ledger.decisions import Decision, checked
from dross.ledger.edits import ACTIONS, Draft, insert, insert_reversals, last, signed
from dross.ledger.history import stacks
from dross.ledger.plan import cells
from dross.ledger.state import EDITS, active, to_json

Rows = npt.NDArray[np.int64]
LABELLED = frozenset({"label", "conflict", "annotator"})
"""The issues that are about the row's label: to keep there is to keep the label."""
SAYS = ("keep", "relabel", "set", "drop", "unsure")
CHANGES = frozenset({"relabel", "set", "drop"})
ASK, COMMENT = "ask", "comment"
MOST_ASKED = 99
"""Opinions that one row can ask for, at the most."""
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
        row should go; ``unsure``; or what is no vote: ``comment``, nothing but what the comment says, and ``ask``: the
        row needs ``value`` opinions before it is decided.
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
    def votes(self) -> bool:
        """Whether it is an opinion on the finding, and not a comment or a question to others."""
        return self.says not in {ASK, COMMENT}

    @property
    def verdict(self) -> tuple[str, str | None, str]:
        """What two people have to share to agree: what to do, in which column, and the value as JSON."""
        return self.says, self.field, to_json(self.value)


class Overtaken(DrossError):
    """Somebody else has decided on some of the rows since they were shown."""


def asked_for(said: Sequence[Opinion], needed: int) -> int:
    """How many opinions decide on a row: what was asked for last, else what is needed everywhere.

    >>> asked_for([Opinion(1, 1, 0, "label", "ada", "ask", None, 3, "", "")], 1), asked_for([], 2)
    (3, 2)
    """
    return next((int(one.value) for one in reversed(said) if one.says == ASK), needed)


def agreed(said: Sequence[Opinion], needed: int) -> Opinion | None:
    """The opinion that holds among the latest ones of each person, oldest first; None while none does.

    Of one that is needed the newest holds; of several, what more than half of all people say, once as many as are
    needed have said something. A row can ask for another number (:func:`asked_for`); comments have no say.

    >>> def says(author, what): return Opinion(0, 0, 0, "label", author, what, None, None, "", "")
    >>> agreed([says("ada", "drop"), says("bob", "keep")], 1).says
    'keep'
    >>> agreed([says("ada", "drop"), says("bob", "keep")], 2) is None
    True
    """
    opinions, needed = [one for one in said if one.votes], asked_for(said, needed)
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
        The number of the newest edit; read on from there.
    """

    opinions: list[Opinion]
    rows: Rows
    newest: int


def read(connection: sqlite3.Connection, base: int, *, since: int = 0) -> Reading:
    """What stands on the rows about which something was said after edit ``since``."""
    newest = last(connection)
    if newest <= since:
        return Reading([], np.empty(0, np.int64), newest)
    remarks = "action IN ('opinion', 'comment')"
    if since:  # few rows among many: by the index of rows, which SQLite would not choose
        rows = connection.execute(
            f"SELECT {_FIELDS} FROM edits INDEXED BY edits_of_row WHERE base = ? AND {remarks} AND row_id IN "
            f"(SELECT row_id FROM edits WHERE base = ? AND {remarks} AND id > ?) ORDER BY id",
            (base, base, since),
        ).fetchall()
    else:
        every = f"SELECT {_FIELDS} FROM edits WHERE base = ? AND {remarks} ORDER BY id"
        rows = connection.execute(every, (base,)).fetchall()
    return Reading(_standing(rows), np.unique(np.array([row[2] for row in rows], np.int64)), newest)


def of_rows(
    connection: sqlite3.Connection, base: int, issue: str | None, ids: Sequence[int]
) -> dict[int, list[Opinion]]:
    """What stands about one issue, or all, at the rows of some ids, of each person the latest, oldest first, by row."""
    found = connection.execute(
        f"SELECT {_FIELDS} FROM edits INDEXED BY edits_of_row WHERE base = ? AND action IN ('opinion', 'comment') "
        "AND (? IS NULL OR issue = ?) AND row_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (base, issue, issue, json.dumps(list(ids))),
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
        comment = action == COMMENT
        says = said.get("says", COMMENT)
        one = Opinion(number, batch, position, issue, author, says, field, said.get("value"), reason, time)
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
        field, texts = self._checked(says, field, values, issue)
        if seen is not None:
            self._refuse_overtaken(rows, issue, says, field, seen, author)
        batch = batch or last(self.connection) + 1
        mine = [one.edit for own in known.values() for one in own if one.votes and one.author == author]
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
        self._insert(COMMENT, rows, nothing, field=None, issue=issue, author=author, reason=comment, batch=batch)
        return batch

    def ask(self, rows: Rows, opinions: int, *, issue: str, author: str) -> int:
        """Ask for so many opinions on some rows and do what follows; returns the batch's number."""
        if not 1 <= opinions <= MOST_ASKED:
            raise DrossError(f"{opinions} opinions cannot be asked for", fix=f"ask for 1 to {MOST_ASKED}")
        batch = last(self.connection) + 1
        after = [json.dumps({"says": ASK, "value": opinions})] * len(rows)
        reason = f"asked for {opinions} opinion{'s' if opinions > 1 else ''}"
        self._insert(COMMENT, rows, after, field=None, issue=issue, author=author, reason=reason, batch=batch)
        self._settle(rows, issue, author, batch)
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

    def _refuse_overtaken(self, rows: Rows, issue: str, says: str, field: str | None, seen: int, author: str) -> None:
        """Refuse to go against what somebody else has said since the person looked.

        That is any opinion on the same issue, where the newest one alone decides; and what changes the same cell, or
        drops a row, on behalf of another issue.
        """
        every = of_rows(self.connection, self.base, None, self._ids(rows))
        others = []
        for own in every.values():
            several = asked_for([one for one in own if one.issue == issue], self.needed) > 1
            for one in own:
                if not one.votes or one.edit <= seen or one.author == author:
                    continue
                if one.issue == issue:
                    clash = not several
                else:
                    both = {one.says, says} <= CHANGES
                    clash = both and (one.field == field or "drop" in (one.says, says))
                if clash:
                    others.append(one)
        if others:
            names = ", ".join(sorted({one.author for one in others}))
            count = len({one.row for one in others})
            raise Overtaken(
                f"{names} decided on {'this row' if len(rows) == 1 else f'{count} of these rows'} meanwhile",
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
        new: dict[tuple[str, str | None, str | None, int], list[int]] = {}
        for row in dict.fromkeys(rows.tolist()):
            holds = agreed(known.get(row, []), self.needed)
            wanted = None if holds is None else (holds.says, holds.field, _after(holds))
            have = standing.get(row, [])
            if wanted is not None and [effect[1:] for effect in have] == [wanted]:
                continue
            gone += [effect[0] for effect in have]
            if wanted is not None:
                new.setdefault((*wanted, asked_for(known.get(row, []), self.needed)), []).append(row)
        insert_reversals(self.connection, gone, author, "decided anew", batch)
        for (action, field, after, needed), own in new.items():
            at = np.array(own, np.int64)
            reason = "decided by a person" if needed == 1 else f"decided by a majority of at least {needed}"
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


def _after(one: Opinion) -> str | None:
    return to_json(one.value) if one.says in {"relabel", "set"} else None
