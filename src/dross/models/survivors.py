"""Groups of copies, and which row of each group stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.errors import DrossError, nearest
from dross.core.hashing import Hashes, mix
from dross.core.step import MATCH, REASON, REFERENCE, ROW, VALUE, Addresses, Rows
from dross.signals.content_hash import text_hashes

Priorities = npt.NDArray[np.float64]
_RULES = ("first", "longest", "shortest", "highest", "lowest")


@dataclass(frozen=True)
class Rule:
    """Which row of a group stays; among equals the first, and rows of another corpus before all.

    Attributes
    ----------
    how
        ``first``, ``longest`` or ``shortest`` (text), ``highest`` or ``lowest`` (number in ``column``).
    column
        The column of numbers.

    Examples
    --------
    >>> Rule.of("highest score")
    Rule(how='highest', column='score')
    """

    how: str
    column: str = ""

    @classmethod
    def of(cls, text: str) -> Rule:
        """A rule from words: ``first``, ``longest``, ``highest COLUMN``."""
        how, _, column = text.partition(" ")
        if how not in _RULES:
            raise DrossError(f"no rule keeps {text!r}", fix=nearest(how, list(_RULES)))
        if (how in {"highest", "lowest"}) != bool(column):
            raise DrossError(f"the rule {text!r} is not complete", fix="write: highest COLUMN, or first, or longest")
        return cls(how, column.strip())

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns it needs."""
        return (self.column,) if self.column else ()

    def priorities(self, rows: Rows, text: str = "") -> Priorities:
        """The higher, the sooner a row stays, shape (n,)."""
        if self.how == "first":
            return np.zeros(len(rows))
        if self.how in {"longest", "shortest"}:
            import pyarrow.compute as pc

            length: Priorities = pc.utf8_length(rows.text(text)).to_numpy(zero_copy_only=False).astype(np.float64)
            return length if self.how == "longest" else -length
        numbers = np.nan_to_num(rows.numbers(self.column), nan=-np.inf if self.how == "highest" else np.inf)
        return numbers if self.how == "highest" else -numbers


@dataclass(frozen=True)
class Turn:
    """In which order rows have their turn: at random, by the hashes of their texts, or by a :class:`Rule`.

    Attributes
    ----------
    by
        ``random``, or the words of a rule.
    seed
        Of the random order.
    """

    by: str
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by != "random":
            Rule.of(self.by)

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns it needs."""
        return () if self.by == "random" else Rule.of(self.by).reads

    def __call__(self, rows: Rows, text: str = "") -> Priorities:
        """The higher, the sooner a row has its turn, shape (n,)."""
        if self.by == "random":
            return shuffled(rows.measured(text_hashes, text), self.seed)
        return Rule.of(self.by).priorities(rows, text)


def groups(one: Addresses, other: Addresses) -> tuple[Addresses, npt.NDArray[np.int64]]:
    """The rows that edges connect, sorted, and the group of each, numbered by its first row.

    O(m log m) for m edges; memory grows with the edges, not with the corpus.

    >>> rows, group = groups(np.array([5, 9, 2], np.uint64), np.array([9, 7, 3], np.uint64))
    >>> rows.tolist(), group.tolist()
    ([2, 3, 5, 7, 9], [0, 0, 1, 1, 1])
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows, places = np.unique(np.concatenate([one, other]), return_inverse=True)
    left, right = np.split(places, 2)
    graph = coo_matrix((np.ones(len(left), np.int8), (left, right)), shape=(len(rows), len(rows)))
    _, found = connected_components(graph, directed=False)
    _, first = np.unique(found, return_index=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rows, rank[found]


def survivors(rows: Addresses, group: npt.NDArray[np.int64], priority: Priorities) -> Addresses:
    """The row that stays of the group of each row, shape (m,): one of another corpus, else of the highest priority.

    >>> rows = np.array([2, 3, 5], np.uint64)
    >>> survivors(rows, np.array([0, 0, 1]), np.array([1.0, 2.0, 0.0])).tolist()
    [3, 3, 5]
    """
    if not len(rows):
        return rows
    order = np.lexsort([rows, -priority, rows < REFERENCE, group])
    heads = np.flatnonzero(np.append(True, np.diff(group[order]) != 0))
    stays = np.empty(int(group.max()) + 1, np.uint64)
    stays[group[order][heads]] = rows[order][heads]
    return stays[group]


def shuffled(hashes: Hashes, seed: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each hash, as good as random for each seed, shape (n,).

    >>> numbers = shuffled(np.arange(1000, dtype=np.uint64), 1)
    >>> bool(0.45 < numbers.mean() < 0.55), bool((shuffled(np.arange(1000, dtype=np.uint64), 2) != numbers).all())
    (True, True)
    """
    salt = np.random.default_rng(seed).integers(0, 2**64, dtype=np.uint64)
    return np.asarray(mix.function(hashes ^ salt) >> np.uint64(11), np.float64) / 2.0**53


def one_of_each(found: pa.Table, priority: Callable[[Addresses], Priorities]) -> pa.Table:
    """Decisions that leave one row of each group that pairs connect; the number is the highest similarity of a pair.

    ``found`` has the pairs in columns ``row`` and ``match`` and their similarity in ``value``. Reason 0 is a copy of
    another row, reason 1 one of a row of another corpus.
    """
    one, other, value = (found.column(name).to_numpy() for name in (ROW, MATCH, VALUE))
    rows, group = groups(one, other)
    stays = survivors(rows, group, priority(rows))
    most = np.zeros(len(rows), np.float32)
    for side in (one, other):
        np.maximum.at(most, np.searchsorted(rows, side), value)
    gone = (stays != rows) & (rows < REFERENCE)
    reason = np.where(stays[gone] >= REFERENCE, 1, 0).astype(np.int16)
    return pa.table({ROW: rows[gone], REASON: reason, MATCH: stays[gone], VALUE: most[gone]})
