"""Kin: what else was found in a row, and the rows that repeat it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.results import Issue
from dross.ledger.opinions import Opinion
from dross.report.cards import PAIRED
from dross.report.contents import SHORT, Contents

Rows = npt.NDArray[np.int64]
MOST = 12
"""Twins that are shown of one row."""
LIKELY = 0.5
"""The score from which a finding that was not flagged is told."""


@dataclass(frozen=True)
class Elsewhere:
    """A finding of another kind about the same row."""

    issue: str
    score: float
    flagged: bool
    opinions: list[Opinion]
    """What people have said of it."""


@dataclass(frozen=True)
class Kindred:
    """A row that repeats another one, by which kind of issue it is known, and what it holds in a few words."""

    row: int
    issue: str
    label: str | None
    words: str


class Kin:
    """Other findings and twins of the rows of one audit.

    Parameters
    ----------
    data
        The rows that were audited, n of them.
    tables
        The findings of each issue, by ascending row.
    contents
        What shows the rows.
    """

    def __init__(self, data: Dataset, tables: Mapping[str, pa.Table], contents: Contents) -> None:
        self.data, self.tables, self.contents = data, tables, contents
        self._rows: dict[str, Rows] = {issue: table.column("row").to_numpy() for issue, table in tables.items()}

    def findings(
        self, row: int, *, but: str, said: Callable[[str], Sequence[Opinion]] = lambda issue: ()
    ) -> list[Elsewhere]:
        """What was found in a row beside the issue ``but``: flagged, as likely as not by its score, or decided on.

        ``said`` gives what people have said of the row as a finding of an issue.
        """
        out = []
        for issue, rows in self._rows.items():
            at = int(np.searchsorted(rows, row))
            if issue != but and at < len(rows) and int(rows[at]) == row:
                table = self.tables[issue]
                opinions = [one for one in said(issue) if one.votes]
                score, flagged = float(table["score"][at].as_py()), bool(table["flagged"][at].as_py())
                one = Elsewhere(issue, score, flagged, opinions)
                if flagged or score >= LIKELY or opinions:
                    out.append(one)
        return out

    def twins(self, row: int) -> list[Kindred]:
        """The rows that repeat this one, that it repeats, or that repeat the same one; a dozen at most; O(findings)."""
        found: dict[int, str] = {}
        for issue, (rows, twins) in self._pairs.items():
            at = int(np.searchsorted(rows, row))
            named = int(twins[at]) if at < len(rows) and int(rows[at]) == row else -1
            near = [named, *rows[twins == row][:MOST].tolist()]
            if named >= 0:
                near += rows[twins == named][:MOST].tolist()
            for other in near:
                if other >= 0 and other != row:
                    found.setdefault(other, issue)
        return [self._shown(other, issue) for other, issue in sorted(found.items())[:MOST]]

    def _shown(self, row: int, issue: str) -> Kindred:
        words = "  ".join(self.contents.text(name, row, SHORT) for name in self.contents.texts[:2])
        return Kindred(row, issue, self.contents.label(row), words)

    @cached_property
    def _pairs(self) -> dict[str, tuple[Rows, Rows]]:
        """The rows and the twins of each issue whose findings name some."""
        out = {}
        for issue, table in self.tables.items():
            twins = twins_of(table, len(self.data)) if Issue(issue) in PAIRED else None
            if twins is not None:
                out[issue] = (self._rows[issue], twins)
        return out


def twins_of(table: pa.Table, n: int) -> Rows | None:
    """The twin that each finding names, shape (m,), -1 for none; None where the findings name no twins.

    >>> twins_of(pa.table({"evidence_twin": [4, None, 7]}), 6).tolist()
    [4, -1, -1]
    """
    columns = [
        name
        for name in table.column_names
        if name.startswith("evidence_twin") and pa.types.is_integer(table.schema.field(name).type)
    ]
    if not columns:
        return None
    named = pc.cast(pc.coalesce(*(table.column(name) for name in columns)), pa.int64())
    twins: Rows = pc.fill_null(named, -1).to_numpy().copy()
    twins[twins >= n] = -1
    return twins
