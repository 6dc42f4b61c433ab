"""Exact deduplication: of rows with the same text one stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.hashing import Hashes
from dross.core.step import KEY, MATCH, REASON, REFERENCE, ROW, Addresses, Rows, Store, WholeStep, runs_of
from dross.signals.content_hash import text_hashes


def repeats(keys: Hashes, rows: Addresses) -> tuple[npt.NDArray[np.int64], Addresses]:
    """Which entries repeat an earlier key, and the row that holds the key first; entries are sorted by key and row.

    A row of another corpus comes first wherever it stands, and is never a repeat.

    >>> at, first = repeats(np.array([1, 1, 1, 2], np.uint64), np.array([4, 7, 9, 8], np.uint64))
    >>> at.tolist(), first.tolist()
    ([1, 2], [4, 4])
    """
    starts, sizes = runs_of(keys)
    last = starts + sizes - 1  # addresses of another corpus are the highest, so the last of a group tells if it has any
    first = np.repeat(np.where(rows[last] >= REFERENCE, rows[last], rows[starts]), sizes)
    at = np.flatnonzero((rows != first) & (rows < REFERENCE))
    return at, first[at]


@dataclass(frozen=True)
class ExactDeduplication(WholeStep):
    """Of rows with the same text, up to case, Unicode form and white space, the first stays.

    O(n log n) for n rows, in parts of the hashes; 16 bytes a row on disk.

    Attributes
    ----------
    against
        Paths or globs of other corpora with the same text column: what stands there is dropped here.

    Examples
    --------
    >>> from dross.core.dataset import Dataset
    >>> from dross.core.roles import Role
    >>> from dross.core.signal import Signals
    >>> data = Dataset(pa.table({"text": ["A cat.", "a dog", "a  cat."]}), {Role.TEXT: ["text"]})
    >>> found = ExactDeduplication().run(data, Signals(data))
    >>> found.rows.tolist(), found.summary
    ([0, 1], {'dropped': {'copy': 1}})
    """

    reasons: ClassVar[tuple[str, ...]] = ("copy", "in_the_other_corpus")

    against: tuple[str, ...] = ()

    def references(self) -> tuple[str, ...]:
        return self.against

    def sketch(self, rows: Rows, ready: Any) -> pa.Table:
        """The hash of each text."""
        return pa.table({KEY: rows.measured(text_hashes, self.column), ROW: rows.addresses})

    def meet(self, sketches: pa.Table, store: Store) -> pa.Table:
        """All but the first of each hash."""
        keys, rows = sketches.column(KEY).to_numpy(), sketches.column(ROW).to_numpy()
        at, first = repeats(keys, rows)
        reason = np.where(first >= REFERENCE, 1, 0).astype(np.int16)
        return pa.table({ROW: rows[at], REASON: reason, MATCH: first})
