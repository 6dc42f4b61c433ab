"""Chain: a base, the versions that descend from it, and the audited rows that edits are to hang on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.ledger.plan import Audited, changed
from dross.ledger.runs import Run, summary_of
from dross.ledger.state import content_of
from dross.ledger.store import Store
from dross.ledger.versions import Version, versions
from dross.ledger.workspace import seen

Read = Callable[[sqlite3.Connection, Version], Dataset]


@dataclass(frozen=True)
class Chain:
    """The data that a run looked at.

    Attributes
    ----------
    base
        The rows as they were loaded.
    version
        The base's version; None while it has not been kept.
    row_ids
        The ids of the audited rows in the run's order: those of the base, or of a version of it.
    """

    base: Dataset
    version: Version | None
    row_ids: npt.NDArray[np.uint64]

    @property
    def audited(self) -> Audited:
        """The audited rows with their positions in the base."""
        ids = self.base.row_ids
        if np.array_equal(ids, self.row_ids):
            return Audited(self.row_ids, np.arange(len(ids)))
        order = np.argsort(ids, kind="stable")
        at = np.minimum(np.searchsorted(ids[order], self.row_ids), max(len(ids) - 1, 0))
        positions = order[at]
        if (ids[positions] != self.row_ids).any():
            raise changed()
        return Audited(self.row_ids, positions)


def known(connection: sqlite3.Connection, run: Run, tables: Mapping[str, pa.Table], read: Read) -> Chain | None:
    """The newest chain that has a version with the run's rows; None when there is none yet."""
    for version in reversed(versions(connection, "source IS ? AND after = ?", run.source, run.fingerprint)):
        ids = read(connection, version).row_ids
        if all(_hangs_on(table, ids) for table in tables.values()):
            base = versions(connection, "number = ?", version.base)[0]
            return Chain(read(connection, base), base, ids)
    return None


def outdated(store: Store, connection: sqlite3.Connection, base: Version, run: Run) -> bool:
    """Whether the source holds something else, in whatever column, than the base that was kept of it.

    False when it is gone: the base is kept. An error when it is not even what the run audited.
    """
    content, then = connection.execute("SELECT content, seen FROM versions WHERE number = ?", (base.number,)).fetchone()
    if seen(run.source) in (None, then):
        return False
    again = load_again(store, run)
    if content_of(again) == content:
        return False
    if again.fingerprint() != run.fingerprint:
        raise changed(run.source)
    return True


def fresh(store: Store, run: Run, data: Dataset | None) -> Chain:
    """A chain that is not kept yet, of the data given or of the source read again."""
    loaded = data if data is not None else load_again(store, run)
    if len(loaded) != run.rows or loaded.fingerprint() != run.fingerprint:
        given = sorted(set(summary_of(store, run).get("roles", ())) - {str(role) for role in loaded.roles})
        if given and len(loaded) == run.rows:
            raise DrossError(
                f"the audit was given arrays that are not in the file: {', '.join(given)}",
                where=run.source,
                fix="pass its data: ledger.apply(data=…), or audit with the arrays in files",
            )
        raise changed(run.source)
    return Chain(loaded, None, loaded.row_ids)


def load_again(store: Store, run: Run) -> Dataset:
    """Read what was audited from where it came."""
    from dross.io import load

    if run.source is None:
        raise DrossError(
            f"the data of {run.id} came from memory and was not kept",
            fix="pass it: ledger.apply(data=…), or audit a file",
        )
    loaded: Dataset = load(run.source, **(summary_of(store, run)["source"].get("options") or {}))
    return loaded


def _hangs_on(table: pa.Table, ids: npt.NDArray[np.uint64]) -> bool:
    rows = table.column("row").to_numpy()
    return not len(rows) or (rows[-1] < len(ids) and bool((ids[rows] == table.column("row_id").to_numpy()).all()))
