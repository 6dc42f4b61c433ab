"""Sampling: which rows a signal is fitted on when there are more than it needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.hashing import Hashes, combine, occurrences
from dross.core.roles import Role

Rows = npt.NDArray[np.int64]


def row_keys(data: Dataset, roles: Sequence[Role], seed: int = 0) -> Hashes:
    """One random-looking number per row, shape (n,), that depends on the row's content and the seed alone.

    Ordering rows by it shuffles them in a way that does not depend on the order they came in. Rows of equal content
    get keys of their own, by their occurrence number.

    >>> import pyarrow as pa
    >>> a, b = (Dataset(pa.table({"x": x}), {Role.FEATURES: ["x"]}) for x in ([1.0, 2.0, 2.0], [2.0, 1.0, 2.0]))
    >>> sorted(row_keys(a, [Role.FEATURES])) == sorted(row_keys(b, [Role.FEATURES]))
    True
    """
    columns = [data.hashes(name) for role in roles for name in data.roles.get(role, ())]
    content = combine(columns, len(data))
    return combine([content, occurrences(content).astype(np.uint64) + np.uint64(seed << 32)], len(data))


def smallest(keys: Hashes, most: int) -> Rows:
    """The positions of the ``most`` smallest keys, ascending: a sample that keeps nearly all rows when a few are added.

    >>> smallest(np.array([7, 1, 9, 3], np.uint64), 2).tolist()
    [1, 3]
    """
    if len(keys) <= most:
        return np.arange(len(keys))
    return np.sort(np.argpartition(keys, most)[:most])
