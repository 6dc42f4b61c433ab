"""The workspace on disk: one SQLite file in WAL mode beside the folders of runs and versions."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from dross.core.errors import DrossError
from dross.ledger.files import explained, remove

FORMAT = 2
"""The version of the schema below, kept in ``PRAGMA user_version``."""
PATIENCE = 120.0
"""Seconds that one writer waits for another."""
LEAST_SPACE = 1 << 20
"""Free bytes below which a failed write is put down to a full disk."""
_UNUSABLE = "the workspace cannot be used"

_TABLES = """
CREATE TABLE runs (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time TEXT NOT NULL, command TEXT NOT NULL, source TEXT,
  fingerprint TEXT NOT NULL, rows INTEGER NOT NULL, files TEXT NOT NULL
);
CREATE TABLE versions (
  number INTEGER PRIMARY KEY, base INTEGER NOT NULL, parent INTEGER REFERENCES versions (number), time TEXT NOT NULL,
  run TEXT, command TEXT NOT NULL, author TEXT NOT NULL, before TEXT, after TEXT NOT NULL, rows INTEGER NOT NULL,
  file TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, sha256 TEXT NOT NULL, last_edit INTEGER NOT NULL,
  source TEXT, content TEXT, seen TEXT, summary TEXT NOT NULL
);
CREATE TABLE edits (
  id INTEGER PRIMARY KEY AUTOINCREMENT, base INTEGER NOT NULL REFERENCES versions (number), run TEXT,
  row_id INTEGER NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL, field TEXT,
  action TEXT NOT NULL CHECK (action IN ('drop', 'relabel', 'reweight', 'set', 'keep', 'opinion', 'comment')),
  before TEXT, after TEXT, issue TEXT, method TEXT, reason TEXT NOT NULL, confidence REAL, author TEXT NOT NULL,
  time TEXT NOT NULL, reverses INTEGER REFERENCES edits (id), batch INTEGER NOT NULL
);
CREATE INDEX edits_of_row ON edits (base, row_id);
CREATE INDEX edits_reversed ON edits (reverses) WHERE reverses IS NOT NULL;
CREATE INDEX edits_opinions ON edits (base, id) WHERE action IN ('opinion', 'comment')
"""


class Store:
    """The files of one workspace; connections are opened for each use, so it may be shared by threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "ledger.sqlite"
        self.runs, self.versions = folder / "runs", folder / "versions"

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one consistent state for as long as it is open."""
        with self._explained():
            connection = self._connect()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The one writer's connection: all that is done inside is kept, or none of it when anything is raised.

        Files of the workspace are only written inside, so nobody sweeps away what another is about to record.
        """
        try:
            with self._transaction(PATIENCE) as connection:
                yield connection
        except BaseException:
            with suppress(DrossError):  # the first error is the one to tell; the next to open sweeps as well
                self.sweep()
            raise

    def hold(self) -> sqlite3.Connection:
        """An idle connection; as long as it is open, closing another one does not sync the whole database again.

        Whoever writes many small transactions holds one, and closes it at the end. What is kept is no less safe: each
        transaction is synced to the log.
        """
        with self._explained():
            connection = sqlite3.connect(self.database, isolation_level=None, check_same_thread=False)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # it opens the files only when it reads
            return connection

    @contextmanager
    def _transaction(self, patience: float) -> Iterator[sqlite3.Connection]:
        with self._explained():
            connection = self._connect(patience)
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                connection.close()

    def sweep(self) -> None:
        """Remove what a crash left: files and folders that no committed row names."""
        if not writable(self.folder):
            return  # leftovers do no harm, and this reader may not delete them
        with self.reading() as connection:
            if not self._leftovers(connection):
                return
        try:
            with self._transaction(patience=0) as connection:
                for path in self._leftovers(connection):
                    remove(path)
        except Busy:
            return  # someone is writing: what looks left over may be theirs; the next to open sweeps

    def _leftovers(self, connection: sqlite3.Connection) -> list[Path]:
        known = {str(self.runs / name) for (name,) in connection.execute("SELECT id FROM runs")}
        known |= {str(self.versions / name) for (name,) in connection.execute("SELECT file FROM versions")}
        found = [*self.runs.glob("*"), *self.versions.glob("*"), *self.folder.glob(".*.tmp.json")]
        return [path for path in found if str(path) not in known]

    def _connect(self, patience: float = PATIENCE) -> sqlite3.Connection:
        if writable(self.folder) and writable(self.database):
            connection = sqlite3.connect(self.database, timeout=patience, isolation_level=None)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA cache_size = -65536")  # KiB; row ids are random, and so are their index's pages
            connection.execute("PRAGMA foreign_keys = ON")
            return connection
        # Without the right to write, SQLite can read a WAL database only as long as nothing waits in the log.
        log = self.database.with_name(self.database.name + "-wal")
        frozen = "" if log.exists() and log.stat().st_size else "&immutable=1"
        return sqlite3.connect(f"file:{quote(str(self.database))}?mode=ro{frozen}", uri=True, isolation_level=None)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with explained(_UNUSABLE, self.folder):
                yield
        except sqlite3.Error as error:
            raise _in_words(error, self.folder) from error

    # ---- opening ----------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """Make the folders and the tables that are not there yet; several may try at once."""
        with self._explained():
            for folder in (self.folder, self.runs, self.versions):
                folder.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.database, timeout=PATIENCE, isolation_level=None)
            try:
                _switch_to_wal(connection)
                connection.execute("BEGIN IMMEDIATE")
                if _format(connection) == 0:
                    _make(connection)
                connection.execute("COMMIT")
            finally:
                connection.close()

    def written(self) -> int:
        """The format it is in; 0 when there is nothing, or when it is just being made."""
        with self._explained():
            there = self.database.exists() and self.database.stat().st_size > 0
        if not there:
            return 0
        with self.reading() as connection:
            return _format(connection)

    def check(self) -> None:
        """Raise unless this is a workspace that this version of dross can read."""
        written = self.written()
        if written == 0:
            raise nothing_here(self.folder)
        if written < FORMAT:
            self._upgrade()
        if written > FORMAT:
            raise DrossError(
                f"this workspace was written by a newer dross (format {written}; this one reads up to {FORMAT})",
                where=str(self.folder),
                fix="upgrade with pip install --upgrade dross, or name another folder with --workspace",
            )

    def _upgrade(self) -> None:
        """Bring a workspace of the first format, which knew no opinions, to this one; every row is kept."""
        with self.writing() as connection:
            if _format(connection) != 1:
                return
            for statement in (
                *(f"DROP TRIGGER edits_no_{verb}" for verb in ("UPDATE", "DELETE")),
                "ALTER TABLE edits RENAME TO edits_before",
                "DROP INDEX edits_of_row",
                "DROP INDEX edits_reversed",
                *(one for one in _TABLES.split(";") if "edits" in one),
                "INSERT INTO edits SELECT *, id FROM edits_before ORDER BY id",
                "DROP TABLE edits_before",
                *(one for one in _guards() if "ON edits " in one),
                f"PRAGMA user_version = {FORMAT}",
            ):
                connection.execute(statement)


class Busy(DrossError):
    """Another process holds the workspace."""


def nothing_here(folder: Path) -> DrossError:
    """The error for a workspace that is not there, naming those that are near."""
    near = [folder / ".dross", *sorted(Path.cwd().glob("*/.dross"))]
    found = [str(path) for path in near if (path / "ledger.sqlite").exists()][:3]
    advice = (
        f"add --workspace {' or '.join(found)}" if found else "run dross audit DATA first, or add --workspace FOLDER"
    )
    return DrossError("no audit is recorded here", where=str(folder), fix=advice)


def writable(path: Path) -> bool:
    """Whether this process may write there."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _make(connection: sqlite3.Connection) -> None:
    for statement in (*_TABLES.split(";"), *_guards()):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _format(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Turn the log on; SQLite does not wait for others here, so this does."""
    deadline = time.monotonic() + 10
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not _name(error).startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _guards() -> list[str]:
    """Triggers that make the three tables append-only whoever writes to them."""
    return [
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} are append-only: nothing is changed or deleted'); END"
        for table in ("runs", "versions", "edits")
        for verb in ("UPDATE", "DELETE")
    ]


def _name(error: sqlite3.Error) -> str:
    return str(getattr(error, "sqlite_errorname", ""))


def _in_words(error: sqlite3.Error, folder: Path) -> DrossError:
    name, where = _name(error), str(folder)
    full = name.startswith("SQLITE_IOERR") and shutil.disk_usage(folder).free < LEAST_SPACE
    if full or name.startswith("SQLITE_FULL"):
        return DrossError(
            f"{_UNUSABLE}: no space is left on the disk", where=where, fix="free some space; nothing was changed"
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Busy("another dross is writing to this workspace", where=where, fix="wait for it to end, then try again")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return DrossError(
            f"{_UNUSABLE}: it cannot be written to",
            where=where,
            fix="change its permissions, or name another folder with --workspace",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return DrossError(
            f"{_UNUSABLE}: its ledger.sqlite is damaged",
            where=where,
            fix="put back a copy of it, or move the folder away and run dross audit again; your data is untouched",
        )
    return DrossError(f"{_UNUSABLE}: {error}", where=where)
