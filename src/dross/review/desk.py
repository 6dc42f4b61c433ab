"""The desk: one audit under review, its queues, its items, and what people decide; the page is drawn from it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.results import Issue
from dross.core.signal import Signals
from dross.ledger import Ledger
from dross.ledger.edits import person
from dross.report.plots import MapPoints, map_points
from dross.report.stored import newest_proof
from dross.review import figures
from dross.review.answers import Decided, Heading, Preview
from dross.review.clusters import Clusters, describe
from dross.review.correct import FDR, Calibration, corrected
from dross.review.figures import Agreement, Checked, sure
from dross.review.item import Item, Items, no_finding
from dross.review.kin import Kin
from dross.review.lessons import Teacher
from dross.review.queue import Filter, Queue, State
from dross.review.sampling import Sample
from dross.review.standing import Standing, votes
from dross.review.steps import steps_of

Rows = npt.NDArray[np.int64]
EXAMPLES = 5
KEPT = 16
"""Samples that are kept in memory."""


class Desk:
    """One recorded audit on the table.

    Everything that the review page does goes through here, and everything that is written goes to the ledger. Several
    threads may use one desk, and several processes one workspace.

    Parameters
    ----------
    ledger
        The workspace.
    run
        The audit; the latest by default.
    needed
        How many people have to give their opinion on a finding before it is decided.

    Examples
    --------
    >>> import tempfile, dross
    >>> from dross.testing.planted import blobs
    >>> folder = tempfile.TemporaryDirectory()
    >>> found = dross.audit(blobs(200, flipped=0.2).data, only=["confident-learning"], workspace=folder.name)
    >>> desk = Desk.open(folder.name)
    >>> row = desk.next("label")
    >>> done = desk.decide("label", [row], "accept", author="ada")
    >>> desk.heading("label").decided, desk.undo("ada") is not None, desk.heading("label").decided
    (1, True, 0)
    >>> desk.close(); folder.cleanup()
    """

    def __init__(self, ledger: Ledger, run: str | None = None, *, needed: int = 1) -> None:
        if needed < 1:
            raise DrossError(f"at least one opinion is needed, not {needed}")
        self.ledger, self.needed = ledger, needed
        self.summary = ledger.run(run)
        self.run = str(self.summary["run"])
        self.chain = ledger.chain(self.run)
        ledger.hold()
        self.positions: Rows = np.asarray(self.chain.audited.positions, np.int64)
        whole = len(self.positions) == len(self.chain.base) and bool((np.diff(self.positions) == 1).all())
        self.data: Dataset = self.chain.base if whole else self.chain.base.take(self.positions)
        self.signals = Signals(self.data, ledger.workspace / "signals")
        self._tables = {str(i): ledger.table(self.run, str(i)) for i in Issue if self._found(str(i))}
        self._queues: dict[str, Queue] = {}
        self._samples: dict[tuple[str, int, int], Sample] = {}
        self.said = Standing(ledger, self.chain, self.positions, needed)
        self._lock = threading.RLock()
        self.refresh()

    @classmethod
    def open(cls, workspace: str | Path, run: str | None = None, *, needed: int = 1) -> Self:
        """The desk of a workspace that was audited."""
        return cls(Ledger.open(workspace), run, needed=needed)

    def close(self) -> None:
        """Wait for what is being computed, then let go of the workspace."""
        if "teacher" in self.__dict__:
            self.teacher.close()
        self.ledger.close()

    def _found(self, issue: str) -> bool:
        return bool(self.summary["issues"].get(issue, {}).get("findings"))

    # ---- queues -----------------------------------------------------------------------------------------------------

    @property
    def issues(self) -> list[str]:
        """The kinds of issue that have findings."""
        return list(self._tables)

    def queue(self, issue: str) -> Queue:
        """The queue of one kind of issue."""
        if issue not in self._tables:
            known = self.issues
            fix = nearest(issue, known) if known else "nothing was found"
            raise DrossError(f"there are no findings of the kind {issue!r}", fix=fix)
        with self._lock:
            if issue not in self._queues:
                queue = self._queues[issue] = Queue(self.data, Issue(issue), self._tables[issue])
                rows = list(self.said.about(issue))
                queue.set_state(rows, [self.said.state(issue, row) for row in rows])
                if self.teacher.due(issue, len(rows)):  # what was decided in an earlier session teaches this one
                    self.teacher.now(queue, *self.lessons(issue), len(rows))
            return self._queues[issue]

    def heading(self, issue: str) -> Heading:
        """The counts of one kind of issue."""
        queue, one = self.queue(issue), self.summary["issues"][issue]
        counts = np.bincount(queue.states, minlength=len(State)).tolist()
        return Heading(issue, str(one.get("meaning", "")), int(one["findings"]), int(one["flagged"]), *counts)

    def headings(self) -> list[Heading]:
        """The counts of every kind of issue."""
        return [self.heading(issue) for issue in self.issues]

    def next(
        self, issue: str, chosen: Filter | None = None, *, after: int | None = None, author: str | None = None
    ) -> int | None:
        """The row to look at next: the first that passes and comes after the row ``after``; None when none is left.

        Rows that ``author`` has decided on already, and that wait for other people's opinions, are passed over.
        """
        queue, chosen = self.queue(issue), chosen or Filter()
        at = None if after is None else queue.index_of(after)
        mine = self.said.by(issue, author) if self.said.asks(issue) and chosen.state == "open" else frozenset()
        first: int | None = None
        while (at := queue.next_open(chosen, at)) is not None:
            row = int(queue.rows[at])
            if row not in mine:
                return row
            if row == first:
                return None
            first = row if first is None else first
        return None

    # ---- items ------------------------------------------------------------------------------------------------------

    @cached_property
    def items(self) -> Items:
        """What makes items of rows."""
        return Items(self.data, self.signals)

    def item(self, issue: str, row: int) -> Item:
        """One row as one kind of issue sees it, all that is to be shown of it; it need not have a finding."""
        queue = self.queue(issue)
        self._rows([row])
        at = int(np.searchsorted(queue.rows, row))
        there = at < len(queue) and int(queue.rows[at]) == row
        with self._lock:
            said, state, seen = self.said.of(issue, row), self.said.state(issue, row), self.said.newest
            needed = self.said.wanted(issue, row)
        return self.items.make(
            Issue(issue),
            self._tables[issue].slice(at, 1).to_pylist()[0] if there else no_finding(issue, row, self.data.key(row)),
            chance=float(queue.chances[at]) if there else 0.0,
            state=state.name.lower(),
            opinions=said,
            seen=seen,
            needed=needed,
            elsewhere=self.kin.findings(row, but=issue, said=lambda other: self.said.of(other, row)),
            twins=self.kin.twins(row),
        )

    @cached_property
    def kin(self) -> Kin:
        """The other findings of rows, and their twins."""
        return Kin(self.data, self._tables, self.items.evidence.contents)

    def _rows(self, rows: Sequence[int]) -> Rows:
        """The rows, each once; an error for one that is not there."""
        chosen = np.array(list(dict.fromkeys(int(row) for row in rows)), np.int64)
        if not len(chosen):
            raise DrossError("no row is chosen", fix="choose the rows to decide on")
        wrong = chosen[(chosen < 0) | (chosen >= len(self.data))]
        if len(wrong):
            raise DrossError(f"there is no row {wrong[0]}", fix=f"rows are 0 to {len(self.data) - 1}")
        return chosen

    # ---- deciding ---------------------------------------------------------------------------------------------------

    def decide(
        self,
        issue: str,
        rows: Sequence[int],
        says: str,
        value: Any = None,
        *,
        field: str | None = None,
        comment: str = "",
        author: str | None = None,
        seen: int | None = None,
    ) -> Decided:
        """Record what a person says of some findings of one issue, as one step that :meth:`undo` takes back.

        Parameters
        ----------
        issue, rows
            The findings, by the position of their rows in the audited data.
        says
            ``accept``: what the finding suggests; ``keep``: it is no defect; ``relabel``; ``set``: a text becomes
            another one; ``drop``; ``unsure``.
        value, field
            The new label (a list of them where rows have several); for ``set`` the new text and its column.
        comment, author
            In the person's words, and who that is; whoever runs this process by default.
        seen
            :attr:`Item.seen` of what the person saw.

        Raises
        ------
        DrossError
            When it makes no sense for this data; :class:`~dross.ledger.opinions.Overtaken` when somebody else has
            decided on one of the rows after ``seen``. Nothing is written then.
        """
        queue = self.queue(issue)
        chosen = self._rows(rows)
        if says == "set" and field not in self.items.evidence.contents.texts:
            known = self.items.evidence.contents.texts
            raise DrossError(f"there is no text column {field!r}", fix=f"choose one of: {', '.join(known) or 'none'}")
        steps = steps_of(queue, self.data, chosen, says, value)
        if not steps:
            raise DrossError("nothing is suggested here", fix="keep the row, drop it, or pick a label")
        who = author or person()
        with self._lock, self.ledger.book(self.chain, self.run, self.needed) as book:
            batch = None
            for verb, own, values in steps:
                batch = book.say(
                    self.positions[own], verb, values, issue=issue, author=who, field=field, comment=comment, seen=seen,
                    batch=batch,
                )  # fmt: skip
        self.refresh()
        count = len(self.said.about(issue))
        if self.teacher.due(issue, count):
            self.teacher.later(queue, *self.lessons(issue), count)
        return Decided(batch or 0, issue, chosen.tolist())

    def comment(self, issue: str, rows: Sequence[int], text: str, *, author: str | None = None) -> Decided:
        """Record a comment on some findings; it decides nothing."""
        self.queue(issue)
        chosen = self._rows(rows)
        with self._lock, self.ledger.book(self.chain, self.run, self.needed) as book:
            batch = book.remark(self.positions[chosen], text, issue=issue, author=author or person())
        self.refresh()
        return Decided(batch, issue, chosen.tolist())

    def ask(self, issue: str, rows: Sequence[int], opinions: int = 2, *, author: str | None = None) -> Decided:
        """Ask for so many opinions on some findings: they are open until as many people have given theirs."""
        self.queue(issue)
        chosen = self._rows(rows)
        with self._lock, self.ledger.book(self.chain, self.run, self.needed) as book:
            batch = book.ask(self.positions[chosen], opinions, issue=issue, author=author or person())
        self.refresh()
        return Decided(batch, issue, chosen.tolist())

    def preview(self, issue: str, rows: Sequence[int], says: str, value: Any = None) -> Preview:
        """What :meth:`decide` would do; writes nothing."""
        chosen = self._rows(rows)
        changes: dict[str, int] = {}
        done = 0
        for verb, own, values in steps_of(self.queue(issue), self.data, chosen, says, value):
            done += len(own)
            for one in values:
                words = f"{verb} to {one}" if verb == "relabel" else verb
                changes[words] = changes.get(words, 0) + 1
        before = sum(1 for row in chosen.tolist() if votes(self.said.of(issue, row)))
        ranked = dict(sorted(changes.items(), key=lambda change: (-change[1], change[0])))
        return Preview(len(chosen), ranked, len(chosen) - done, before, chosen[:EXAMPLES].tolist())

    def undo(self, author: str | None = None) -> Decided | None:
        """Take back the last step of a person that stands; None when there is none."""
        return self._step(author or person(), again=False)

    def redo(self, author: str | None = None) -> Decided | None:
        """Make the step again that :meth:`undo` took back last; None when there is none."""
        return self._step(author or person(), again=True)

    def _step(self, author: str, *, again: bool) -> Decided | None:
        with self._lock, self.ledger.book(self.chain, self.run, self.needed) as book:
            done = book.step(author, again=again)
        if done is None:
            return None
        self.refresh()
        batch, issue, positions = done
        where = np.flatnonzero(np.isin(self.positions, positions))
        return Decided(batch, issue, where.tolist())

    def take_back(self, run: str | None = None, *, author: str | None = None) -> None:
        """Take back all that was done on the findings of a run, this one by default, by its exact inverse."""
        self.ledger.undo(run=run or self.run, reason="all of a run taken back", author=author)
        self.refresh()

    def refresh(self) -> int:
        """Take in what has been said since, by whomever; returns the number of the newest edit."""
        with self._lock:
            for issue, changed in self.said.refresh().items():
                if issue in self._queues:
                    states = [self.said.state(issue, row) for row in changed]
                    self._queues[issue].set_state(changed, states)
            return self.said.newest

    # ---- teaching and figures ---------------------------------------------------------------------------------------

    @cached_property
    def teacher(self) -> Teacher:
        """What scores the queues again."""
        return Teacher(self.data, self.items.evidence.vectors)

    def lessons(self, issue: str) -> tuple[Rows, npt.NDArray[np.bool_]]:
        """The findings that people are sure about, and whether each is a defect; one entry per opinion."""
        rows = self.queue(issue).rows
        with self._lock:
            votes = [
                (row, one.says != "keep") for row, own in self.said.about(issue).items() for one in own if sure(one)
            ]
        said = np.array(votes, np.int64).reshape(len(votes), 2)
        at = np.searchsorted(rows, said[:, 0])
        here = at < len(rows)
        here[here] = rows[at[here]] == said[here, 0]
        return at[here].astype(np.int64), said[here, 1] > 0

    def rescore(self, issue: str) -> None:
        """Score a queue again with all that was decided on it; :meth:`decide` does so by itself, batch by batch."""
        self.teacher.now(self.queue(issue), *self.lessons(issue), len(self.said.about(issue)))

    def agreement(self, issue: str) -> Agreement:
        """How far people agree about one kind of issue."""
        return figures.agreement(self.said.about(issue))

    def sample(self, issue: str, size: int = 100, seed: int = 0) -> Checked:
        """A stratified random sample of rows to check by hand, and what the answers say of precision and recall."""
        self.queue(issue)
        key = (issue, size, seed)
        if key not in self._samples:
            if len(self._samples) >= KEPT:
                self._samples.clear()
            self._samples[key] = figures.sample_of(self.data, self._tables[issue], size, seed)
        return figures.check(self._samples[key], self.said.about(issue), self.needed, self.summary["issues"][issue])

    def calibration(self, issue: str, size: int = 100, seed: int = 0) -> Calibration:
        """The audit's calibration of an issue, corrected by what was decided on the rows of :meth:`sample`."""
        table = self.queue(issue).table
        return corrected(table, self.sample(issue, size, seed).done, float(self.summary.get("fdr") or FDR))

    def decisions(self, issue: str | None = None) -> pa.Table:
        """All that people said, one line for each opinion; of one kind of issue, if asked."""
        said = {one: own for one, own in sorted(self.said.issues.items()) if issue in (None, one)}
        return figures.decisions(self.data, said, self.needed)

    def history(self, most: int = 200) -> list[dict[str, Any]]:
        """The newest changes of the workspace, one line for each batch; see :meth:`Ledger.steps`."""
        return self.ledger.steps(most)

    def proof(self) -> dict[str, Any] | None:
        """The latest proof on this data, as ``dross prove --json`` prints it; None where there is none."""
        return newest_proof(self.ledger, str(self.summary["fingerprint"]))

    def map(self) -> MapPoints | None:
        """A sample of the rows laid out in two dimensions; None where no embedding was measured."""
        return self._map

    @cached_property
    def _map(self) -> MapPoints | None:
        return map_points(self.data, self.items.evidence.vectors, self._tables)

    def clusters(self) -> dict[int, str]:
        """The groups of similar rows by number, with a name each, largest first; empty without an embedding."""
        return self._clusters

    @cached_property
    def _clusters(self) -> dict[int, str]:
        if self.items.evidence.vectors is None:
            return {}
        codes = self.signals[Clusters()]
        for issue in self.issues:
            self.queue(issue).set_clusters(codes)
        return {code: describe(self.data, codes, code) for code in range(int(codes.max(initial=-1)) + 1)}
