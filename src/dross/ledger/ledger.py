"""Ledger: the append-only record of findings, edits and versions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.ledger import decisions, undoing
from dross.ledger import runs as runs_
from dross.ledger.chain import Chain, fresh, known, load_again, outdated
from dross.ledger.decisions import Decision
from dross.ledger.edits import Edit, active_edits, insert, last, newest_first, person
from dross.ledger.export import Exported, export
from dross.ledger.history import steps
from dross.ledger.opinions import Book, Reading, read
from dross.ledger.plan import Plan, plan
from dross.ledger.policy import CAREFUL, Policy
from dross.ledger.runs import Run
from dross.ledger.state import EDITS, content_of, materialise, winning
from dross.ledger.store import Store
from dross.ledger.versions import Version, add_base, add_version, head, read_version, versions


class Ledger:
    """Findings, edits and versions of one workspace.

    Nothing is ever overwritten: taking an edit back is another edit. Every method is one transaction; a crash at any
    instant leaves what was before it or what was to be after it. Several processes and threads may use one workspace.

    Examples
    --------
    >>> import tempfile
    >>> from dross.testing.planted import blobs
    >>> data = blobs(40).data
    >>> with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder), create=True) as ledger:
    ...     run = ledger.record({"rows": 40, "fingerprint": data.fingerprint()}, {}, data=data)
    ...     edits = ledger.decide(data.row_ids[:1], "drop", reason="a test", author="ada")
    ...     len(ledger.current()), [(e.author, e.action, e.row) for e in ledger.log()]
    (39, [('ada', 'drop', 0)])
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[int, Dataset] = {}
        self._held: sqlite3.Connection | None = None

    @classmethod
    def open(cls, workspace: str | Path, *, create: bool = False) -> Self:
        """Open a workspace, and make it when it is not there and ``create``; leftovers of crashes are removed.

        Raises
        ------
        DrossError
            There is none, it is damaged, it was written by a newer dross, or the folder cannot be used.
        """
        store = Store(Path(workspace))
        if create and not store.written():
            store.create()
        store.check()
        store.sweep()
        return cls(store)

    @property
    def workspace(self) -> Path:
        """The folder it stands in."""
        return self._store.folder

    def hold(self) -> None:
        """Keep the database open until :meth:`close`, for many small decisions: each then costs one sync of the log."""
        if self._held is None:
            self._held = self._store.hold()

    def close(self) -> None:
        """Forget the data that is held in memory, and let go of the database where it is held."""
        self._kept.clear()
        if self._held is not None:
            self._held.close()
            self._held = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # ---- runs and findings ------------------------------------------------------------------------------------------

    def record(self, run: Mapping[str, Any], tables: Mapping[str, pa.Table], *, data: Dataset | None = None) -> str:
        """Keep an audit: its summary and the findings of each issue; returns the run's id, ``r1``, ``r2``, ….

        Data that came from memory cannot be loaded again: when ``data`` is such, it is kept with the run.
        """
        with self._store.writing() as connection:
            kept = runs_.record(self._store, connection, run, tables)
            from_memory = data is not None and kept.source is None
            if from_memory and known(connection, kept, tables, self._read) is None:
                add_base(self._store, connection, fresh(self._store, kept, data).base, kept.id, person())
        return kept.id

    def runs(self) -> list[Run]:
        """The recorded audits, oldest first."""
        with self._store.reading() as connection:
            return runs_.runs(connection)

    def run(self, run: str | None = None) -> dict[str, Any]:
        """The summary of a run (the latest by default): the object that ``dross audit --json`` prints."""
        return runs_.summary_of(self._store, self._find(run))

    def findings(
        self, run: str | None = None, issue: str | None = None, *, flagged: bool = False, evidence: bool = False
    ) -> pa.Table:
        """One line per finding: row, id, issue, score, flagged, suggestion, method, expected_precision.

        Parameters
        ----------
        run
            The audit; the latest by default.
        issue
            Only this kind. All kinds come in the order of :class:`~dross.core.results.Issue`, each by row.
        flagged
            Only those in the set chosen for the false-discovery rate asked for.
        evidence
            Also the columns ``evidence_…`` of one issue.
        """
        return runs_.findings(self._store, self._find(run), issue, flagged=flagged, evidence=evidence)

    def table(self, run: str, issue: str) -> pa.Table:
        """All stored columns of one issue's findings, memory-mapped: the evidence and ``row_id`` too."""
        return runs_.table_of(self._store, self._find(run), issue)

    # ---- changing ---------------------------------------------------------------------------------------------------

    def plan(
        self, policy: str | Mapping[str, str] | None = None, *, run: str | None = None, data: Dataset | None = None
    ) -> Plan:
        """What :meth:`apply` would do; writes nothing."""
        wanted, found, tables = Policy.of(policy), self._find(run), self._tables(run)
        chain = self._chain(found, tables, data)
        with self._store.reading() as connection:
            winners = winning(active_edits(connection, chain.version.number if chain.version else -1))
        return plan(wanted, tables, chain.base, chain.audited, winners)

    def apply(
        self, policy: str | Mapping[str, str] | None = None, *, run: str | None = None, data: Dataset | None = None
    ) -> Version | None:
        """Turn flagged findings into edits and write a new version; None when there is nothing to change.

        Parameters
        ----------
        policy
            ``drop``, ``relabel``, ``reweight`` or ``review`` by issue, as a mapping or as ``"label=relabel,…"``; what
            it does not name waits for review. By default the careful policy: of exact and near duplicates all but one
            are dropped, labels change where the expected precision is 0.9 or more, the rest waits.
        run
            The audit whose findings to follow; the latest by default.
        data
            The audited data, when it did not come from a file; read again from the file by default.
        """
        wanted, found, tables = Policy.of(policy), self._find(run), self._tables(run)
        chain = self._chain(found, tables, data)
        with self._store.writing() as connection:
            chain = self._settled(connection, chain, found)
            number = chain.version.number if chain.version else -1
            made = plan(wanted, tables, chain.base, chain.audited, winning(active_edits(connection, number)))
            newest = head(connection, number)
            if not made.drafts and (newest is None or newest.last_edit >= last(connection, number)):
                return None
            base = chain.version or add_base(self._store, connection, chain.base, found.id, person())
            insert(connection, base.number, found.id, made.drafts)
            command = "apply" if wanted is CAREFUL else f"apply --policy {wanted.name}"
            return self._write(connection, base, found.id, command, made.summary)

    def decide(
        self,
        row_ids: Sequence[int] | np.ndarray[Any, np.dtype[np.uint64]],
        action: str,
        *,
        field: str | None = None,
        after: Any = None,
        issue: str | None = None,
        method: str | None = None,
        reason: str = "",
        author: str | None = None,
        run: str | None = None,
    ) -> list[int]:
        """Record a person's decision about some rows as edits; no policy goes against it later.

        Parameters
        ----------
        row_ids
            The 64-bit ids of the rows.
        action
            ``drop``; ``relabel``, ``set`` or ``reweight`` with a new value; ``keep``: the row (or, with ``field``, its
            value) stays as it was loaded.
        field, after
            The column, the label's for ``relabel`` by default, and the new value.
        issue, method
            The finding it is about and the method that made it.
        reason, author
            Why and by whom; whoever runs this process by default.
        run
            The audit the finding is of; its data, or else the latest audit's, is what the decision is about.

        Returns
        -------
        The numbers of the new edits. A decision that stands already is not written again. The edits are part of
        :meth:`current` at once and of a version with the next :meth:`apply` or :meth:`undo`.
        """
        found = self._find(run)
        who = Decision(action, field, None, issue, method, reason, author or person())
        ids = np.asarray(row_ids, dtype=np.uint64)
        with self._store.reading() as connection:
            chain = known(connection, found, {}, self._read)
        chain = chain or fresh(self._store, found, None)
        decision = decisions.checked(chain.base, who, after)
        with self._store.writing() as connection:
            chain = self._settled(connection, chain, found)
            base = chain.version or add_base(self._store, connection, chain.base, found.id, person())
            return decisions.record(connection, base.number, chain.base, run, ids, decision)

    def undo(
        self,
        edit: int | None = None,
        *,
        run: str | None = None,
        version: int | None = None,
        everything: bool = False,
        reason: str = "taken back",
        author: str | None = None,
    ) -> Version:
        """Take edits back by writing their exact inverse, and write a new version.

        Give one of: an ``edit`` (taking back one that took another back makes that one again), a ``run`` (all that was
        done on its findings), a ``version`` (all that it brought), or ``everything`` (back to the data as loaded).
        """
        with self._store.writing() as connection:
            base, ids = undoing.chosen(connection, edit=edit, run=run, version=version, everything=everything)
            summary = undoing.take_back(connection, ids, author or person(), reason)
            kept = versions(connection, "number = ?", base)[0]
            what = "--all" if everything else run or (f"v{version}" if version is not None else edit)
            return self._write(connection, kept, run, f"undo {what}", summary, author)

    def log(self, *, row: str | None = None, run: str | None = None) -> Iterator[Edit]:
        """Who changed what, when and why, newest first; of one row (by its id) or one run, if asked."""
        return newest_first(self._store, row=row, run=run)

    def steps(self, most: int = 200) -> list[dict[str, Any]]:
        """The newest batches of edits, one line each, newest first; see :func:`dross.ledger.history.steps`."""
        with self._store.reading() as connection:
            return steps(connection, most)

    # ---- opinions ---------------------------------------------------------------------------------------------------

    def chain(self, run: str | None = None) -> Chain:
        """The data that a run's edits are about; where none of it is kept yet, it is kept now."""
        found = self._find(run)
        chain = self._chain(found, {}, None)
        if chain.version is None:
            with self._store.writing() as connection:
                chain = self._settled(connection, chain, found)
                base = chain.version or add_base(self._store, connection, chain.base, found.id, person())
                chain = replace(chain, version=base)
        return chain

    @contextmanager
    def book(self, chain: Chain, run: str, needed: int = 1) -> Iterator[Book]:
        """One transaction in which opinions on the findings of a run are written; see :class:`Book`."""
        if chain.version is None:
            raise DrossError("the audited data is not kept yet", fix="take the chain from Ledger.chain")
        with self._store.writing() as connection:
            yield Book(connection, chain.version.number, chain.base, run, needed)

    def opinions(self, chain: Chain, *, since: int = 0) -> Reading:
        """What people say of the rows of a chain; see :func:`dross.ledger.opinions.read`."""
        if chain.version is None:
            return Reading([], np.empty(0, np.int64), 0)
        with self._store.reading() as connection:
            return read(connection, chain.version.number, since=since)

    # ---- the data ---------------------------------------------------------------------------------------------------

    def versions(self) -> list[Version]:
        """All versions, oldest first; those without a parent are bases."""
        with self._store.reading() as connection:
            return versions(connection)

    def version(self, number: int) -> Dataset:
        """The data of one version."""
        with self._store.reading() as connection:
            found = versions(connection, "number = ?", number)
            if not found:
                raise DrossError(f"there is no version {number}", fix="dross log shows the versions there are")
            return self._read(connection, found[0])

    def base(self, run: str | None = None) -> Dataset:
        """The data as it was loaded: what was changed last, or what ``run`` audited."""
        return self._current(run)[0]

    def current(self, run: str | None = None) -> Dataset:
        """The same with all standing edits applied; row ids and roles are kept."""
        base, winners = self._current(run)
        return materialise(base, winners)

    def export(
        self,
        out: str | Path,
        *,
        verbatim: bool = False,
        format: str | None = None,  # noqa: A002 - the word for it everywhere else in dross
        run: str | None = None,
    ) -> Exported:
        """Write the current version to a file, in the user's row order and columns; the suffix tells the format.

        Parameters
        ----------
        out
            ``.parquet``, ``.csv``, ``.tsv``, ``.jsonl`` (also ``.gz``, ``.zst``), ``.arrow``; or, without a suffix, a
            folder for Hugging Face ``datasets``. A file that exists is replaced only if it is an earlier export.
        verbatim
            Leave CSV cells as they are that a spreadsheet would run; without it they get a leading apostrophe.
        format
            The format, where the suffix does not tell.
        run
            Export the data of this audit rather than what was changed last.
        """
        base, winners = self._current(run)
        return export(Path(out), base, winners, self.workspace, verbatim=verbatim, kind=format)

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _find(self, run: str | None) -> Run:
        with self._store.reading() as connection:
            return runs_.find(connection, run)

    def _tables(self, run: str | None) -> dict[str, pa.Table]:
        found = self._find(run)
        return {name: runs_.table_of(self._store, found, name, thoroughly=True) for name in runs_.issues_of(found)}

    def _read(self, connection: sqlite3.Connection, version: Version) -> Dataset:
        if version.parent is not None:
            return read_version(self._store, connection, version)
        if version.number not in self._kept:
            self._kept[version.number] = read_version(self._store, connection, version)
        return self._kept[version.number]

    def _chain(self, run: Run, tables: Mapping[str, pa.Table], data: Dataset | None) -> Chain:
        """The chain that the run's edits belong to, starting with the data as it is now where there is none yet."""
        with self._store.reading() as connection:
            chain = known(connection, run, tables, self._read)
            kept = chain.version if chain else None
            if chain and kept and (data is not None or not outdated(self._store, connection, kept, run)):
                return chain
        return fresh(self._store, run, data)

    def _settled(self, connection: sqlite3.Connection, chain: Chain, run: Run) -> Chain:
        """The same chain, kept meanwhile by another process if so."""
        if chain.version is None:
            kept = known(connection, run, {}, self._read)
            if kept and content_of(kept.base) == content_of(chain.base):
                return kept
        return chain

    def _write(
        self,
        connection: sqlite3.Connection,
        base: Version,
        run: str | None,
        command: str,
        summary: Mapping[str, Any],
        author: str | None = None,
    ) -> Version:
        parent = head(connection, base.number)
        if parent is None:
            raise DrossError(f"version {base.number} is gone", where=str(self.workspace))
        data = materialise(self._read(connection, base), winning(active_edits(connection, base.number)))
        made = {"run": run, "command": command, "author": author or person(), "summary": summary}
        return add_version(self._store, connection, data, parent, made)

    def _current(self, run: str | None) -> tuple[Dataset, pa.Table]:
        """The base and its winning edits: of what was changed last, or of what the run audited."""
        with self._store.reading() as connection:
            newest = head(connection) if run is None else None
            if newest is not None:
                base = versions(connection, "number = ?", newest.base)[0]
                return self._read(connection, base), winning(active_edits(connection, base.number))
            found = runs_.find(connection, run)
            chain = known(connection, found, {}, self._read)
            if chain and chain.version:
                return chain.base, winning(active_edits(connection, chain.version.number))
        return load_again(self._store, found), EDITS.empty_table()
