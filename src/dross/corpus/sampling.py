"""A sample of a corpus that does not depend on how it is cut: the rows whose texts have the smallest hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from dross.core.step import Rows
from dross.corpus.files import batches
from dross.corpus.passes import ADDRESS, Segment
from dross.signals.content_hash import hash_texts

_HASH = "dross_hash"


@dataclass(frozen=True)
class Sampling:
    """The rows of one segment that may belong to the sample."""

    segment: Segment
    text: str
    count: int

    def __str__(self) -> str:
        return str(self.segment)


def smallest(task: Sampling) -> pa.Table:
    """The rows of the segment with the smallest hashes."""
    kept: pa.Table | None = None
    for table in batches(Path(task.segment.file)):
        hashes = hash_texts(table.column(task.text))
        both = table.append_column(_HASH, pa.array(hashes))
        kept = _least(both if kept is None else pa.concat_tables([kept, both]), task.count)
    assert kept is not None
    return kept


def joined(parts: Sequence[pa.Table], text: str, count: int) -> Rows:
    """The sample, in the order of the corpus."""
    if not parts:
        return Rows(pa.table({text: pa.array([], pa.large_string())}), text)
    table = _least(pa.concat_tables(parts, promote_options="permissive"), count).sort_by(ADDRESS)
    return Rows(table.drop_columns([ADDRESS, _HASH]), text, table.column(ADDRESS).to_numpy())


def _least(table: pa.Table, count: int) -> pa.Table:
    if table.num_rows <= count:
        return table
    order = np.lexsort([table.column(ADDRESS).to_numpy(), table.column(_HASH).to_numpy()])
    return table.take(pa.array(np.sort(order[:count]))).combine_chunks()
