"""A selector as a step: it sees all rows that are left, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Selector
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.step import KEPT, RANK, REASON, ROW, WEIGHT, Rows, Verdict
from dross.corpus.files import read, write
from dross.corpus.passes import ADDRESS, TOUCHED, Segment
from dross.corpus.reading import RAW


@dataclass(frozen=True)
class InMemory:
    """Applies what a selector chose: rows it left out are dropped; weights and an order become columns.

    Memory grows with the rows that are left: put such a step after those that make the corpus small.
    """

    reasons: tuple[str, ...] = ("not_selected",)

    def judge(self, rows: Rows, decisions: pa.Table) -> Verdict:
        """Drop what was left out, and write weights and order."""
        reason = decisions.column(REASON).to_numpy().astype(np.int16)
        changed = {name: decisions.column(name) for name in (WEIGHT, RANK) if name in decisions.column_names}
        return Verdict(reason, changed=changed)


def decide(method: Selector, segments: Sequence[Segment], roles: dict[Role, list[str]], path: Path, where: str) -> None:
    """Run the selector over all segments and write its decisions: one entry for every row."""
    tables = [read(Path(segment.file)) for segment in segments]
    table = pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({ADDRESS: []})
    addresses = table.column(ADDRESS).to_numpy()
    hidden = [name for name in (ADDRESS, TOUCHED, RAW) if name in table.column_names]
    data = Dataset(table.drop_columns(hidden), roles, row_ids=addresses)
    found = method.run(data, Signals(data))
    if isinstance(found, NotApplicable):
        raise DrossError(f"{method.name()} does not apply: {found.reason}", where=where)
    reason = np.zeros(len(data), np.int16)
    reason[found.rows] = KEPT
    columns: dict[str, Any] = {ROW: addresses, REASON: reason}
    if found.weights is not None:
        columns[WEIGHT] = np.zeros(len(data), np.float32)
        columns[WEIGHT][found.rows] = found.weights
    if (np.diff(found.rows) < 0).any():
        columns[RANK] = np.zeros(len(data), np.int64)
        columns[RANK][found.rows] = np.arange(len(found.rows))
    write(path, pa.table(columns))
