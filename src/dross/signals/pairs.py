"""Pairs: rows that resemble each other, as found by one way of comparing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows that are near copies of each other.

    Attributes
    ----------
    earlier, later
        Row positions, shape (m,), int32, ``earlier < later``; ordered by ``later``, then ``earlier``.
    similarity
        Shape (m,), float32 in [0, 1]; what it measures is the signal's to say.
    near
        The similarity from which two rows are near copies; no pair is below.
    n
        The number of rows compared.
    """

    earlier: npt.NDArray[np.int32]
    later: npt.NDArray[np.int32]
    similarity: npt.NDArray[np.float32]
    near: float
    n: int

    def __len__(self) -> int:
        return len(self.later)

    @classmethod
    def of(cls, one: Any, other: Any, similarity: Any, near: float, n: int) -> Pairs:
        """Order pairs given in any order; the larger similarity of a repeated pair stays.

        >>> found = Pairs.of([4, 2, 4], [1, 9, 1], [0.5, 0.625, 0.75], 0.5, 10)
        >>> found.earlier.tolist(), found.later.tolist(), found.similarity.tolist()
        ([1, 2], [4, 9], [0.75, 0.625])
        """
        one, other = np.asarray(one, np.int64), np.asarray(other, np.int64)
        earlier, later = np.minimum(one, other), np.maximum(one, other)
        similarity = np.asarray(similarity, np.float32)
        order = np.lexsort((-similarity, earlier, later))
        earlier, later, similarity = earlier[order], later[order], similarity[order]
        new = np.ones(len(later), bool)
        new[1:] = (later[1:] != later[:-1]) | (earlier[1:] != earlier[:-1])
        return cls(earlier[new].astype(np.int32), later[new].astype(np.int32), similarity[new], near, n)

    @classmethod
    def none(cls, n: int) -> Pairs:
        """No pairs among ``n`` rows."""
        return cls.of([], [], [], 1.0, n)

    def joined(self, other: Pairs) -> Pairs:
        """The pairs of both."""
        one, two = (np.concatenate([getattr(self, f), getattr(other, f)]) for f in ("earlier", "later"))
        similarity = np.concatenate([self.similarity, other.similarity])
        return Pairs.of(one, two, similarity, min(self.near, other.near), max(self.n, other.n))

    def where(self, keep: npt.NDArray[np.bool_]) -> Pairs:
        """Some of the pairs."""
        return Pairs(self.earlier[keep], self.later[keep], self.similarity[keep], self.near, self.n)


def groups(n: int, pairs: Pairs) -> Rows:
    """The first row that each row is connected with through pairs, shape (n,): its own position where it has none.

    >>> groups(5, Pairs.of([3, 3], [1, 4], [1.0, 1.0], 0.5, 5)).tolist()
    [0, 1, 2, 1, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), np.int8), (pairs.earlier, pairs.later)), shape=(n, n))
    component = connected_components(graph, directed=False)[1]
    first: Rows = np.unique(component, return_index=True)[1]
    roots: Rows = first[component]
    return roots


def best_twins(pairs: Pairs) -> tuple[Rows, Rows, npt.NDArray[np.float32]]:
    """The rows that resemble an earlier one, ascending; the earlier row each resembles most; how much.

    >>> [part.tolist() for part in best_twins(Pairs.of([5, 5, 2], [1, 2, 0], [0.5, 0.75, 1.0], 0.5, 6))]
    [[2, 5], [0, 2], [1.0, 0.75]]
    """
    order = np.lexsort((pairs.earlier, -pairs.similarity, pairs.later))
    later = pairs.later[order]
    first = np.ones(len(later), bool)
    first[1:] = later[1:] != later[:-1]
    chosen = order[first]
    return pairs.later[chosen].astype(np.int64), pairs.earlier[chosen].astype(np.int64), pairs.similarity[chosen]


def suspicion(similarity: npt.NDArray[np.float32], near: float) -> npt.NDArray[np.float32]:
    """Similarity as a score: 0.5 at ``near``, 1 at 1, straight between.

    >>> suspicion(np.array([0.5, 0.75, 1.0], np.float32), 0.5).tolist()
    [0.5, 0.75, 1.0]
    """
    span = max(1.0 - near, 1e-6)
    return np.asarray(np.clip(0.5 + 0.5 * (similarity - near) / span, 0.0, 1.0), np.float32)
