"""Farthest first: rows such that none of the others is far from all of them (greedy k-centre)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel
from dross.core.errors import DrossError
from dross.models.lazy_greedy import heap_of, sift_down

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

PIECE = 64
"""Dimensions after which a sum of squares that is too large already is given up."""


@dataclass(frozen=True)
class Cover:
    """Centres in the order in which they were taken.

    Attributes
    ----------
    rows
        Their positions, shape (k,), int64.
    radii
        How far the farthest row was from the nearest centre when the first 1, 2, … k of them were taken, shape (k,),
        float32; it never grows.
    """

    rows: Rows
    radii: npt.NDArray[np.float32]


@kernel(fastmath=True)
def squared(X: Any, i: int, Y: Any, j: int, limit: Any) -> Any:
    """Squared distance of row ``i`` of X to row ``j`` of Y; some number of at least ``limit`` where it is no less."""
    d = X.shape[1]
    total = np.float32(0)
    start = 0
    while start + PIECE <= d:
        for c in range(start, start + PIECE):
            gap = X[i, c] - Y[j, c]
            total += gap * gap
        start += PIECE
        if total >= limit:
            return total
    for c in range(start, d):
        gap = X[i, c] - Y[j, c]
        total += gap * gap
    return total


@kernel()
def take_farthest(X: Any, heap: Any, away: Any, seen: Any, centres: Any, taken: Any, radii: Any) -> None:
    """Fill ``taken``, whose first entry is given; ``away`` holds upper bounds: distances to the first ``seen`` centres.

    Distances to more centres are never longer, so a row whose bound is not the largest need not be looked at.
    """
    count, t = len(taken), 1
    while t <= count:
        row = heap[0]
        if seen[row] == t:
            radii[t - 1] = np.sqrt(max(away[row], np.float32(0)))
            if t < count:
                taken[t] = row
                centres[t] = X[row]
                away[row] = np.float32(-1)
                sift_down(heap, away, 0)
            t += 1
            continue
        bound = away[row]
        rest = max(away[heap[1]], away[heap[min(2, len(heap) - 1)]]) if len(heap) > 1 else np.float32(-1)
        c = seen[row]
        while c < t and bound >= rest:
            bound = min(bound, squared(X, row, centres, c, bound))
            c += 1
        away[row], seen[row] = bound, c
        sift_down(heap, away, 0)


def farthest_first(X: Vectors, count: int, first: int | None = None) -> Cover:
    """Again and again the row farthest from all taken before, exactly; of equally far ones the first.

    The radius is at most twice that of the best ``count`` centres (Gonzalez, 1985). Bounds are kept lazily: a row is
    compared with new centres only when its bound is the largest, so that the many rows that are near to an early centre
    are never looked at again. Time O(n k d) at worst, a small part of it as a rule; memory O(n + k d) over ``X``.

    Parameters
    ----------
    X
        Rows, shape (n, d), float32.
    count
        How many to take; all where there are fewer.
    first
        The row to begin with; the one nearest to the mean where None.

    Raises
    ------
    DrossError
        Where ``count`` is below 1, ``first`` is no row or a value is not finite.

    Examples
    --------
    >>> cover = farthest_first(np.array([[0.0], [1.0], [10.0], [6.0]], np.float32), 3, first=0)
    >>> cover.rows.tolist(), cover.radii.tolist()
    ([0, 2, 3], [10.0, 4.0, 1.0])
    """
    if count < 1:
        raise DrossError(f"the number of rows to take is {count}", fix="give 1 or more")
    if first is not None and not 0 <= first < len(X):
        raise DrossError(f"there is no row {first} to begin with among {len(X)}")
    X, count = np.ascontiguousarray(X, np.float32), min(count, len(X))
    if not count:
        return Cover(np.empty(0, np.int64), np.empty(0, np.float32))
    if first is None:
        first = central(X)
    away, seen = np.empty(len(X), np.float32), np.ones(len(X), np.int32)
    distances_to(X, X[first : first + 1], away)
    if not np.isfinite(away).all():
        raise DrossError("some embeddings are not numbers, or too large to square", where=_where(X))
    taken, radii, centres = np.empty(count, np.int64), np.empty(count, np.float32), np.empty_like(X[:count])
    taken[0], centres[0] = first, X[first]
    away[first] = -1
    take_farthest(X, heap_of(away), away, seen, centres, taken, radii)
    return Cover(taken, radii)


def central(X: Vectors) -> int:
    """The row nearest to the mean, the first of equally near ones. O(n d).

    >>> central(np.array([[0.0], [4.0], [9.0]], np.float32))
    1
    """
    middle = X.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32)
    away = np.empty(len(X), np.float32)
    distances_to(X, middle, away)
    return int(np.argmin(away))


@kernel()
def distances_to(X: Any, point: Any, away: Any) -> None:
    """The squared distance of each row to a point, shape (1, d)."""
    for i in range(len(X)):
        away[i] = squared(X, i, point, 0, np.float32(np.inf))


def _where(X: Vectors) -> str:
    bad = np.flatnonzero(~np.isfinite(X).all(axis=1))
    return f"row {int(bad[0])}" if len(bad) else "the embeddings"
