"""Neighbour graphs under random labelling: what the count of edges inside the parts is when the parts mean nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Edges:
    """The directed edges of a neighbour graph and the counts that permutation tests on it need.

    Attributes
    ----------
    tails, heads
        Where each edge starts and ends, shape (m,).
    mutual
        Edges whose reverse is an edge too.
    touching
        Ordered pairs of edges that share exactly one row.
    """

    tails: Rows
    heads: Rows
    mutual: int
    touching: float

    def __len__(self) -> int:
        return len(self.tails)

    def over_pairs(self, same: Any, touching: Any, apart: Any) -> Any:
        """The sum over all ordered pairs of edges of a quantity that depends only on how many rows the two share.

        ``same``: both; ``touching``: one; ``apart``: none. Each a number or an array.
        """
        m = float(len(self))
        rest = m**2 - m - self.mutual - self.touching
        return same * (m + self.mutual) + touching * self.touching + apart * rest


def edges_of(neighbours: npt.NDArray[np.int32], among: npt.NDArray[np.bool_]) -> Edges:
    """The edges from each row to its neighbours, shape (n, k), -1 for none, among the chosen rows, shape (n,).

    Time O(n k²).

    >>> e = edges_of(np.array([[1], [0], [1]], np.int32), np.ones(3, bool)); len(e), e.mutual, e.touching
    (3, 2, 4.0)
    """
    n, k = neighbours.shape
    tails, heads = np.repeat(np.arange(n, dtype=np.int32), k), neighbours.ravel()
    kept = (heads >= 0) & among[tails] & among[heads]
    back = np.zeros((n, k), bool)
    known = np.maximum(neighbours, 0)
    for j in range(k):
        back |= neighbours[known, j] == np.arange(n, dtype=np.int32)[:, None]
    tails, heads = tails[kept], heads[kept]
    degree = (np.bincount(tails, minlength=n) + np.bincount(heads, minlength=n)).astype(np.float64)
    mutual = int(back.ravel()[kept].sum())
    return Edges(tails, heads, mutual, float((degree * (degree - 1)).sum()) - 2 * mutual)


def inside_moments(edges: Edges, sizes: npt.ArrayLike) -> tuple[Any, Any]:
    """Mean and variance of the number of edges inside the parts, over all ways to deal the rows to parts of such sizes.

    ``sizes`` holds the rows of each part, shape (parts,), or (parts, t) to treat t divisions at once.

    >>> e = edges_of(np.array([[1], [0], [3], [2]], np.int32), np.ones(4, bool))
    >>> [round(float(v), 3) for v in inside_moments(e, [2, 2])]
    [1.333, 3.556]
    """
    parts = np.asarray(sizes, np.float64)
    n = parts.sum(axis=0)

    def falling(size: Any, count: int) -> Any:
        return np.prod([np.maximum(size - i, 0.0) for i in range(count)], axis=0)

    def together(count: int) -> Any:
        """The chance that so many distinct rows are all of one part."""
        return falling(parts, count).sum(axis=0) / np.maximum(falling(n, count), 1.0)

    pairs = falling(parts, 2)
    crossed = pairs.sum(axis=0) ** 2 - (pairs**2).sum(axis=0)
    apart = together(4) + crossed / np.maximum(falling(n, 4), 1.0)
    mean = together(2) * len(edges)
    return mean, edges.over_pairs(together(2), together(3), apart) - mean**2
