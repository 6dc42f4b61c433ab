"""Votes: what several fallible sources (people, rules, models) say of each row.

They are kept as three parallel arrays ordered by row, with ``starts`` marking where each row's votes begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.roles import Role

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Votes:
    """Which annotator gave which label to which row.

    Attributes
    ----------
    starts
        Shape (n + 1,), int64: the votes on row ``i`` are those from ``starts[i]`` to ``starts[i + 1]``.
    annotators, labels
        Shape (v,), int32: who voted (a position in ``names``), and for what (a position in ``classes``).
    names, classes
        The annotators' column names and the distinct labels, sorted as text.
    """

    starts: npt.NDArray[np.int64]
    annotators: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    names: list[str]
    classes: list[Any]

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The row of each vote, shape (v,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def counts(self) -> Floats:
        """How many votes each class got on each row, shape (n, k)."""
        n, k = len(self.starts) - 1, len(self.classes)
        counts: Floats = np.zeros((n, k))
        np.add.at(counts, (self.rows, self.labels), 1)
        return counts


def votes_of(data: Dataset, role: Role = Role.ANNOTATIONS) -> Votes:
    """The columns of a role (annotations or votes) as votes, one source a column.

    A null means that the source did not vote; so does -1 in a column of whole numbers, as weak sources write it.
    """
    names = list(data.roles[role])
    columns = [_without_abstentions(data.table.column(name)).cast(pa.string()) for name in names]
    stacked = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())
    encoded = stacked.combine_chunks().dictionary_encode()
    encoded = pa.concat_arrays(encoded.chunks) if isinstance(encoded, pa.ChunkedArray) else encoded
    values = encoded.dictionary.to_pylist()
    order = sorted(range(len(values)), key=lambda i: values[i])
    rank = np.empty(len(values) + 1, np.int32)
    rank[order], rank[-1] = np.arange(len(values)), -1
    codes = rank[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)].reshape(len(names), len(data)).T
    rows, who = np.nonzero(codes >= 0)
    starts = np.searchsorted(rows, np.arange(len(data) + 1))
    return Votes(starts, who.astype(np.int32), codes[rows, who], names, [values[i] for i in order])


def _without_abstentions(column: pa.ChunkedArray) -> pa.ChunkedArray:
    plain = pa.chunked_array(column)
    if not pa.types.is_signed_integer(plain.type):
        return plain
    return pc.if_else(pc.equal(plain, -1), pa.scalar(None, plain.type), plain)


def majority(votes: Votes) -> Floats:
    """The share of each class among a row's votes, shape (n, k); uniform where nobody voted."""
    counts = votes.counts()
    totals = counts.sum(axis=1, keepdims=True)
    shares: Floats = np.where(totals > 0, counts / np.maximum(totals, 1), 1 / max(1, counts.shape[1]))
    return shares
