"""Folds: which rows are predicted together by a model that has seen none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.hashing import Hashes
from dross.core.roles import CONTENT, Role
from dross.signals.content_hash import first_of_each
from dross.signals.sampling import row_keys

Codes = npt.NDArray[np.int32]
UNITS_PER_FOLD = 10
"""Values per fold from which a group column names units of sampling (a patient, an author) and not a trait (a sex)."""


@dataclass(frozen=True)
class Folds:
    """The fold of each row.

    Attributes
    ----------
    of
        Shape (n,), int32, in 0 … count - 1.
    count
        How many there are; 1 where the rows cannot be parted.
    kept_together
        What was not torn apart: the group columns, and "copies" where some rows have the same content.
    """

    of: Codes
    count: int
    kept_together: tuple[str, ...]


def folds_of(data: Dataset, hashes: Hashes, codes: Codes, count: int, seed: int = 0) -> Folds:
    """Cut the rows into folds: every class spread evenly, rows of one unit and rows of equal content in one fold.

    ``hashes`` are those of the rows' content, ``codes`` class numbers, both shape (n,); -1 is a missing label.

    A group column is kept together when it has at least ten values per fold and none of them holds more rows than a
    fold; other group columns are traits of the rows, and holding one of those out whole would measure something else.
    Equal rows are kept together unless there are fewer different rows than half of all: then the content has few
    values, and equality is no sign of copying. Which fold a row falls into depends on its content and the seed, not on
    the order of the rows.

    >>> from dross.testing.planted import blobs
    >>> data = blobs(100).data; folds = folds_of(data, data.hashes("x"), data.codes, 5)
    >>> np.bincount(folds.of).tolist(), folds.kept_together
    ([20, 20, 20, 20, 20], ())
    """
    n = len(data)
    twins = first_of_each(hashes)
    different = len(np.unique(twins))
    if 2 * different < n:
        twins, different = np.arange(n), n
    ties, together = [twins], ["copies"] if different < n else []
    for name in data.roles.get(Role.GROUP, ()):
        first = first_of_each(data.hashes(name))
        alone = np.asarray(data.table.column(name).is_null().to_numpy(), bool)
        first[alone] = np.flatnonzero(alone)
        sizes = np.bincount(first, minlength=n)
        if n and (sizes > 0).sum() >= UNITS_PER_FOLD * count and sizes.max() * count <= n:
            ties.append(first)
            together.append(name)
    units = components(ties) if len(ties) > 1 else twins
    if len(ties) > 1 and np.bincount(units).max() * count > n:
        units, together = twins, [name for name in together if name == "copies"]
    of, count = deal(units, codes, row_keys(data, CONTENT, seed), count)
    return Folds(of, count, tuple(together))


def components(ties: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Join rows that are tied in any of several ways, shape (n,) each: the connected components, shape (n,).

    >>> components([np.array([0, 0, 2, 3]), np.array([0, 1, 1, 3])]).tolist()
    [0, 0, 0, 1]
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(ties[0])
    rows, heads = np.tile(np.arange(n), len(ties)), np.concatenate(ties)
    graph = coo_matrix((np.ones(len(rows), np.int8), (rows, heads)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def deal(units: npt.NDArray[Any], codes: Codes, keys: Hashes, count: int) -> tuple[Codes, int]:
    """Deal units of rows to folds like cards, class by class, large units first, else in the order of their keys.

    The class of a unit is that of its labelled row with the smallest key. Returns the fold of each row, shape (n,),
    and the number of folds, at most that of the units.

    >>> deal(np.array([0, 0, 1, 2, 3]), np.array([0, 0, 0, 1, 1]), np.arange(5, dtype=np.uint64), 2)[0].tolist()
    [0, 0, 1, 0, 1]
    """
    if not len(units):
        return np.zeros(0, np.int32), 1
    _, unit, sizes = np.unique(units, return_inverse=True, return_counts=True)
    leader = np.lexsort((keys, codes < 0, unit))
    leader = leader[np.searchsorted(unit[leader], np.arange(len(sizes)))]
    order = np.lexsort((keys[leader], -sizes, codes[leader]))
    count = max(1, min(count, len(sizes)))
    fold = np.empty(len(sizes), np.int32)
    fold[order] = np.arange(len(sizes)) % count
    return fold[unit], count
