"""ContentHash: a hash of each row's normalised content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.hashing import combine, hash_column
from dross.core.roles import CONTENT, Role
from dross.core.signal import RowSignal, Signals


def normalise(texts: Any) -> Any:
    """Fold case, Unicode form (NFKC) and runs of white space, so that texts that read the same compare equal.

    >>> normalise(pa.array(["  A\\tcat ", "a cat"])).to_pylist()
    ['a cat', 'a cat']
    """
    folded = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(folded, pattern=r"\s+", replacement=" "))


@dataclass(frozen=True)
class ContentHash(RowSignal):
    """A 64-bit hash of each row's content, shape (n,), uint64; text is normalised, labels and ids are left out."""

    reads: ClassVar[tuple[Role, ...]] = CONTENT

    def measure(self, batch: Dataset, signals: Signals) -> npt.NDArray[np.uint64]:
        """Hash the content columns of one batch together."""
        texts = set(batch.roles.get(Role.TEXT, ()))
        columns = []
        for name in batch.content:
            column = batch.table.column(name)
            columns.append(
                hash_column(normalise(column.cast(pa.large_string()))) if name in texts else hash_column(column)
            )
        return combine(columns, len(batch))
