"""Facility location: rows that together stand near all others, by exact lazy greedy without a matrix of all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel, threads
from dross.core.errors import DrossError
from dross.core.signal import Progress, silent
from dross.models.lazy_greedy import heap_of, sift_down

Vectors = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

BLOCK = 2048
"""Rows multiplied with a group of candidates at a time."""
GROUP, FEW = 256, 64
"""Candidates measured together when all are, and when only the most promising are; never a matter of the threads."""
ROUND = 128
"""Promising candidates brought up to date at a time."""
PAIRS = 512
"""Pairs kept per row: as soon as so few can still matter they are stored, and nothing is multiplied any more."""
LARGEST = 2_000_000
"""Inner products held at a time while pairs are stored, for each thread."""
WAITING = 16
"""Groups whose pairs may be waiting to be put in place."""
LOOKED_AT = 64
"""Candidates from which it is judged, before each is taken, whether the pairs that matter have become few enough."""
MOST_PAIRS = 1 << 27
"""Pairs stored at most, however many rows there are: a gigabyte."""


@dataclass(frozen=True)
class Representatives:
    """Rows in the order in which they were taken.

    Attributes
    ----------
    rows
        Their positions, shape (k,), int64.
    loss
        The sum over all rows of the squared distance to the nearest of the first 1, 2, … k, shape (k,), float64.
    """

    rows: Rows
    loss: Values


# ---- kernels -----------------------------------------------------------------------------------------------------


@kernel(fastmath=True)
def add_gains(products: Any, slack: Any, norms: Any, gains: Any, counts: Any) -> None:
    """Add to each candidate's gain what each row of a block would be nearer, and count the rows that would be.

    ``products`` holds twice the inner products, (candidates, rows); ``slack`` a row's squared distance to what is taken
    less its own squared length; ``norms`` the candidates' squared lengths.
    """
    for a in range(products.shape[0]):
        norm, count, gain = norms[a], 0, 0.0
        for start in range(0, products.shape[1], 256):
            part: Any = np.float32(0)
            near: Any = np.int32(0)
            for b in range(start, min(start + 256, products.shape[1])):
                better = products[a, b] + slack[b] - norm
                part += max(better, np.float32(0))
                near += np.int32(better > 0)
            gain += part
            count += near
        gains[a] += gain
        counts[a] += count


@kernel()
def keep_pairs(products: Any, slack: Any, best: Any, norm: float, ids: Any, away: Any) -> int:
    """Write the rows that a candidate would be nearer to, and the squared distances; how many. All are counted."""
    end = 0
    for b in range(len(products)):
        better = products[b] + slack[b] - norm
        if better > 0:
            if end < len(ids):
                ids[end], away[end] = b, max(best[b] - better, np.float32(0))
            end += 1
    return end


@kernel()
def gain_of(row: int, starts: Any, ids: Any, away: Any, best: Any) -> float:
    """How much nearer the rows of a candidate's list would be with it, summed."""
    total = 0.0
    for place in range(starts[row], starts[row + 1]):
        total += max(best[ids[place]] - away[place], np.float32(0))
    return total


@kernel()
def take_from_pairs(heap: Any, gains: Any, starts: Any, ids: Any, away: Any, best: Any, taken: Any, won: Any) -> None:
    """Fill ``taken`` and ``won`` greedily from stored pairs; ``gains`` are upper bounds and those of taken rows -1."""
    fresh = np.full(len(gains), -1, np.int64)
    t = 0
    while t < len(taken):
        row = heap[0]
        if fresh[row] < t:
            gains[row] = gain_of(row, starts, ids, away, best)
            fresh[row] = t
        else:
            taken[t], won[t] = row, gains[row]
            gains[row] = -1.0
            for place in range(starts[row], starts[row + 1]):
                best[ids[place]] = min(best[ids[place]], away[place])
            t += 1
            fresh[row] = len(taken)
        sift_down(heap, gains, 0)


# ---- the search --------------------------------------------------------------------------------------------------


def facility_location(
    X: Vectors, count: int, measured: Rows | None = None, progress: Progress = silent
) -> Representatives:
    """Greedily the rows that bring all rows nearest to one of those taken, by squared distance: exact lazy greedy.

    What is maximised is the sum over rows of (a constant - squared distance to the nearest taken row), a facility
    location function; the value reached is at least 1 - 1/e of the best possible (Nemhauser, Wolsey, Fisher, 1978). On
    rows of unit length that is similarity by cosine. Gains can only shrink, so old ones are upper bounds, and only the
    most promising candidates are measured anew (Minoux, 1978), many by one matrix product. Once on average at most
    ``PAIRS`` rows a candidate could still come nearer, these pairs are stored, and the rest is done from them.

    Time O(n m d) twice and what is measured anew, with m measured rows; memory O(n (d + PAIRS)).

    Parameters
    ----------
    X
        Rows, shape (n, d), float32.
    count
        How many to take; all where there are fewer.
    measured
        The rows whose distances count; all where None. A random sample makes the time linear in n.
    progress
        Is told how many have been taken.

    Raises
    ------
    DrossError
        Where ``count`` is below 1 or a value is not finite.

    Examples
    --------
    >>> found = facility_location(np.array([[0.0], [1.0], [2.0], [9.0]], np.float32), 2)
    >>> found.rows.tolist(), found.loss.tolist()
    ([2, 3], [54.0, 5.0])
    """
    if count < 1:
        raise DrossError(f"the number of rows to take is {count}", fix="give 1 or more")
    if not len(X):
        return Representatives(np.empty(0, np.int64), np.empty(0))
    if not np.isfinite(X).all():
        raise DrossError("some embeddings are not numbers", where=f"row {int((~np.isfinite(X)).any(axis=1).argmax())}")
    return _Search(X, min(count, len(X)), measured, progress).result()


class _Search:
    """What is known while rows are taken."""

    def __init__(self, X: Vectors, count: int, measured: Rows | None, progress: Progress) -> None:
        middle = X.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.X = np.ascontiguousarray(X - middle, np.float32)  # inner products of centred rows lose fewest digits
        self.norms = np.einsum("ij,ij->i", self.X, self.X)
        self.Z, self.lengths = (self.X, self.norms) if measured is None else (self.X[measured], self.norms[measured])
        self.count, self.progress = count, progress
        self.rows: list[int] = []
        self.loss: list[float] = []
        self.best = np.full(len(self.Z), np.inf, np.float32)
        self.gains, self.fresh = np.empty(len(X)), np.zeros(len(X), np.int64)
        self.counts = np.zeros(len(X), np.int64)
        self.wait = 1

    def result(self) -> Representatives:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads()) as pool:
            self.pool = pool
            self._begin()
            while len(self.rows) < self.count:
                if not self._from_pairs():
                    self._take_next()
        return Representatives(np.array(self.rows, np.int64), np.array(self.loss))

    def _begin(self) -> None:
        """Take the row of least squared distance to all: the one nearest to the mean of those measured."""
        middle = self.Z.mean(axis=0, dtype=np.float64)
        self._take(int(np.argmin(self.norms - 2 * (self.X @ middle))))
        self.loss.append(float(self.best.sum(dtype=np.float64)))
        if self.count > 1:
            self._measure(np.arange(len(self.X)), GROUP)

    def _take(self, row: int) -> None:
        self.rows.append(row)
        gap = self.lengths + self.norms[row] - 2 * (self.Z @ self.X[row])
        self.best = np.minimum(self.best, np.maximum(gap, 0))
        self.gains[row] = -1.0
        self.progress("rows taken", len(self.rows), self.count)

    def _products(self, candidates: Rows) -> Iterator[tuple[int, int, Vectors]]:
        """Twice the inner products of some candidates with all measured rows, block by block."""
        doubled = 2 * self.X[candidates]
        memory = np.empty((len(candidates), BLOCK), np.float32)
        for start in range(0, len(self.Z), BLOCK):
            stop = min(start + BLOCK, len(self.Z))
            part = memory[:, : stop - start]
            np.matmul(doubled, self.Z[start:stop].T, out=part)
            yield start, stop, part

    def _measure(self, candidates: Rows, size: int) -> None:
        """Bring the gains of some candidates up to date."""
        slack = self.best - self.lengths

        def measured(group: Rows) -> tuple[Values, npt.NDArray[np.int64]]:
            gains, counts = np.zeros(len(group)), np.zeros(len(group), np.int64)
            for start, stop, products in self._products(group):
                add_gains(products, slack[start:stop], self.norms[group], gains, counts)
            return gains, counts

        groups = [candidates[i : i + size] for i in range(0, len(candidates), size)]
        for group, (gains, counts) in zip(groups, self.pool.map(measured, groups), strict=True):
            self.gains[group], self.counts[group] = gains, counts
        self.fresh[candidates] = len(self.rows)
        self.gains[self.rows] = -1.0

    def _take_next(self) -> None:
        """Measure the most promising candidates until the best of them beats all old bounds."""
        now = len(self.rows)
        while True:
            fresh = self.fresh == now
            best = int(np.where(fresh, self.gains, -2.0).argmax())
            least = self.gains[best] if fresh[best] else -2.0
            old = np.where(fresh, -2.0, self.gains)
            if old.max() <= least:
                break
            top = np.argpartition(-old, min(ROUND, len(old) - 1))[:ROUND] if len(old) > ROUND else np.arange(len(old))
            self._measure(np.sort(top[old[top] > least]), FEW)
        self.loss.append(self.loss[-1] - float(self.gains[best]))
        self._take(best)

    def _from_pairs(self) -> bool:
        """Store the pairs that can still matter, if they are few, and take the rest of the rows from them."""
        now, most = len(self.rows), min(PAIRS * len(self.X), MOST_PAIRS)
        if now < self.wait:
            return False
        some = np.arange(0, len(self.X), max(1, len(self.X) // LOOKED_AT))
        if now > 1:
            self._measure(some, FEW)
        if self.counts[some].mean() > 0.8 * most / len(self.X):
            return False
        found = self._pairs(most)
        if found is None:
            self.wait = 2 * now
            return False
        starts, ids, away = found
        taken, won = np.empty(self.count - len(self.rows), np.int64), np.empty(self.count - len(self.rows))
        take_from_pairs(heap_of(self.gains), self.gains, starts, ids, away, self.best, taken, won)
        self.loss += (self.loss[-1] - np.cumsum(won)).tolist()
        self.rows += taken.tolist()
        self.progress("rows taken", self.count, self.count)
        return True

    def _pairs(self, most: int) -> tuple[Rows, npt.NDArray[np.int32], Vectors] | None:
        """For each candidate the rows it would be nearer to, one list after the other; None where they are too many."""
        n = len(self.X)
        size = int(np.clip(LARGEST // len(self.Z), 4, FEW))
        slack = self.best - self.lengths

        def listed(start: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Vectors] | None:
            group = np.arange(start, min(start + size, n))
            products = np.matmul(2 * self.X[group], self.Z.T)
            room = min(4 * PAIRS * size, products.size)
            ids, away = np.empty(room, np.int32), np.empty(room, np.float32)
            ends = np.zeros(len(group) + 1, np.int64)
            for a in range(len(group)):
                end = int(ends[a])
                ends[a + 1] = end + keep_pairs(
                    products[a], slack, self.best, self.norms[start + a], ids[end:], away[end:]
                )
                if ends[a + 1] > room:
                    return None
            return np.diff(ends), ids[: ends[-1]].copy(), away[: ends[-1]].copy()

        ids, away = np.empty(most, np.int32), np.empty(most, np.float32)
        counts, end = np.empty(n, np.int64), 0
        for start in range(0, n, size * WAITING):
            for i, found in enumerate(self.pool.map(listed, range(start, min(start + size * WAITING, n), size))):
                if found is None or end + len(found[1]) > most:
                    return None
                first = start + i * size
                counts[first : first + len(found[0])] = found[0]
                ids[end : end + len(found[1])], away[end : end + len(found[1])] = found[1], found[2]
                end += len(found[1])
        return np.concatenate([[0], np.cumsum(counts)]), ids[:end], away[:end]
