"""Neighbours: the nearest rows of each row, exactly up to a size and by cells with measured recall above it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel, over_rows, threads
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals, silent
from dross.signals.embedding import Embedding

Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]

EXACT_WORK = 1.5e11
"""Work, n² (d + 100), up to which all pairs are compared: 30,000 rows of 64 dimensions or 17,000 of 384, in seconds."""
EXACT_AT_MOST = 200_000
"""Rows above which all pairs are never compared, whatever the recall: the work must not grow with n squared."""
RECALL = 0.95
"""The share of true neighbours the search by cells must find."""
AIM = 0.97
"""The share its effort is chosen for, on a sample."""
LARGEST_SHARE = 0.35
"""Share of the rows to compare with above which comparing all pairs (each once) is cheaper."""
SAMPLE = 200
"""Rows on which the effort is chosen, and as many others on which the recall is measured."""
BLOCK = 2048
ROUND = 32_768
"""Rows whose cells are looked up at a time."""
SPARE = 4
"""Candidates kept beyond k: rounding in the block products may swap neighbours that are almost equally far."""


@dataclass(frozen=True)
class Neighbourhood:
    """The k nearest other rows of each row, nearest first.

    Attributes
    ----------
    indices
        Row positions, shape (n, k), int32; -1 where there are fewer than k other rows.
    distances
        Euclidean distances between embeddings, shape (n, k), float32, ascending; inf where the index is -1.
    recall
        Share of the true neighbours that were found, measured on a sample; 1.0 for the exact search.
    """

    indices: Ids
    distances: Matrix
    recall: float = 1.0


@dataclass(frozen=True)
class Neighbours(Signal[Neighbourhood]):
    """The k nearest other rows of each row in the embedding (the row itself is not among them, its copies are)."""

    k: int = 10
    reads: ClassVar[tuple[Role, ...]] = CONTENT
    value: ClassVar[type] = Neighbourhood
    version: ClassVar[int] = 2

    def compute(self, data: Dataset, signals: Signals) -> Neighbourhood:
        """Compare all pairs of some ten thousand rows; search by cells beyond."""
        return nearest_rows(signals[Embedding()], self.k, progress=signals.progress)

    def extend(self, value: Neighbourhood, data: Dataset, signals: Signals) -> Neighbourhood:
        """Old rows keep their neighbours; each new row is compared with all old ones, as if it alone were new."""
        X = signals[Embedding()]
        n = len(value.indices)
        if len(X) == n:
            return value
        found = nearest_of(X[n:], X[:n], self.k)
        return Neighbourhood(
            np.concatenate([value.indices, found.indices]),
            np.concatenate([value.distances, found.distances]),
            value.recall,
        )


# ---- kernels --------------------------------------------------------------------------------------------------------


@kernel()
def insert(distances: Any, ids: Any, distance: float, identity: int) -> None:
    """Put one candidate into a list ordered by distance, then by position; the last one drops out."""
    j = len(distances) - 1
    while j > 0 and (distances[j - 1] > distance or (distances[j - 1] == distance and ids[j - 1] > identity)):
        distances[j] = distances[j - 1]
        ids[j] = ids[j - 1]
        j -= 1
    distances[j] = distance
    ids[j] = identity


@kernel()
def keep_rows(products: Any, half: Any, columns: Any, rows: Any, best: Any, ids: Any, start: int, stop: int) -> None:
    """For each row of a block of inner products keep the nearest columns: those of least |y|²/2 - x·y."""
    last = best.shape[1] - 1
    for a in range(start, stop):
        row = rows[a]
        worst = best[row, last]
        for b in range(len(columns)):
            distance = half[b] - products[a, b]
            if distance < worst and columns[b] != row:
                insert(best[row], ids[row], distance, columns[b])
                worst = best[row, last]


@kernel()
def keep_columns(products: Any, half: Any, columns: Any, rows: Any, best: Any, ids: Any, start: int, stop: int) -> None:
    """For each column of the block keep the nearest rows, reading the block in the order of memory."""
    last = best.shape[1] - 1
    worst = np.empty(stop - start, np.float32)
    for b in range(start, stop):
        worst[b - start] = best[columns[b], last]
    for a in range(len(rows)):
        for b in range(start, stop):
            distance = half[a] - products[a, b]
            if distance < worst[b - start]:
                column = columns[b]
                insert(best[column], ids[column], distance, rows[a])
                worst[b - start] = best[column, last]


@kernel(fastmath=True)
def measure(queries: Any, X: Any, candidates: Any, distances: Any, ids: Any, start: int, stop: int) -> None:
    """Order each query's candidates by the length of the difference: exact where block products cancel."""
    for a in range(start, stop):
        for b in range(candidates.shape[1]):
            j = candidates[a, b]
            if j >= 0:
                total = np.float32(0)
                for c in range(queries.shape[1]):
                    gap = queries[a, c] - X[j, c]
                    total += gap * gap
                distance = np.sqrt(total)
                last = ids.shape[1] - 1
                if ids[a, last] < 0 or distance <= distances[a, last]:
                    insert(distances[a], ids[a], distance, j)


# ---- the search -----------------------------------------------------------------------------------------------------


def nearest_rows(X: Matrix, k: int, *, seed: int = 0, progress: Progress = silent) -> Neighbourhood:
    """The k nearest other rows of each row of ``X``, shape (n, d), by Euclidean distance.

    Up to :data:`EXACT_WORK` every pair is compared once, in blocks. Beyond, rows are gathered into cells by k-means and
    each row is compared with the rows of the cells nearest to it; a sample tells how many cells hold 97 % of its true
    neighbours, and the recall is measured on a second sample. Where that takes most of the cells every pair is compared
    after all, up to 200,000 rows. Time O(n² d), or O(n s d) with s rows compared per row; memory O(n (d + k)). Raises
    DrossError where a value is not finite.

    >>> found = nearest_rows(np.array([[0.0], [1.0], [3.0]], np.float32), 2)
    >>> found.indices.tolist(), found.distances.tolist()
    ([[1, 2], [0, 2], [1, 0]], [[1.0, 3.0], [1.0, 2.0], [2.0, 3.0]])
    """
    _half_norms(X)
    X = np.ascontiguousarray(X - _centre(X), np.float32)
    half = _half_norms(X)
    far = len(X) ** 2 * (X.shape[1] + 100) > EXACT_WORK
    found = _by_cells(X, half, k, seed, progress) if far else None
    return found or _all_pairs(X, half, k, progress)


def nearest_of(queries: Matrix, X: Matrix, k: int) -> Neighbourhood:
    """The k rows of ``X`` nearest to each query, every row compared, in chunks; O(m n d) time, bounded memory.

    >>> nearest_of(np.array([[2.0]], np.float32), np.array([[0.0], [1.0], [3.5]], np.float32), 2).indices.tolist()
    [[1, 2]]
    """
    _half_norms(queries)
    m, centre = len(queries), _centre(X)
    best, ids = _empty(m, k + SPARE)
    centred = np.ascontiguousarray(queries - centre, np.float32)
    for j in range(0, len(X), BLOCK):
        part = np.ascontiguousarray(X[j : j + BLOCK] - centre, np.float32)
        half = _half_norms(part)
        columns = np.arange(m + j, m + j + len(part), dtype=np.int32)  # from m on: no query is a row of its own block
        for i in range(0, m, BLOCK):
            rows = np.arange(i, min(i + BLOCK, m), dtype=np.int32)
            _keep(keep_rows, centred[i : i + BLOCK] @ part.T, half, columns, rows, best, ids, len(rows))
    return _ordered(queries, X, np.where(ids < 0, -1, ids - np.int32(m)), k)


def _all_pairs(X: Matrix, half: npt.NDArray[np.float32], k: int, progress: Progress) -> Neighbourhood:
    n = len(X)
    best, ids = _empty(n, k + SPARE)
    starts = range(0, n, BLOCK)
    done, total = 0, len(starts) * (len(starts) + 1) // 2
    memory = np.empty(BLOCK * BLOCK, np.float32)
    for i in starts:
        rows = np.arange(i, min(i + BLOCK, n), dtype=np.int32)
        for j in range(i, n, BLOCK):
            columns = np.arange(j, min(j + BLOCK, n), dtype=np.int32)
            products = memory[: len(rows) * len(columns)].reshape(len(rows), len(columns))
            np.matmul(X[i : i + BLOCK], X[j : j + BLOCK].T, out=products)
            _keep(keep_rows, products, half[j : j + BLOCK], columns, rows, best, ids, len(rows))
            if j > i:
                _keep(keep_columns, products, half[i : i + BLOCK], columns, rows, best, ids, len(columns))
            done += 1
        progress(Neighbours.title(), done, total)
    return _ordered(X, X, ids, k)


def _by_cells(X: Matrix, half: Vector, k: int, seed: int, progress: Progress) -> Neighbourhood | None:
    """Search by cells; None where comparing all pairs is the better way."""
    n = len(X)
    cells = _partition(X, int(n**0.6 / 3), seed)
    chosen = np.random.default_rng(seed).choice(n, 2 * SAMPLE, replace=False)
    tuning, testing = np.sort(chosen[:SAMPLE]), np.sort(chosen[SAMPLE:])
    probes, share = _effort(X, cells, tuning, _others(nearest_of(X[tuning], X, k + 1), tuning).indices)
    truth = _others(nearest_of(X[testing], X, k + 1), testing).distances
    limit = LARGEST_SHARE * min(1.0, EXACT_AT_MOST / n)
    affordable = max(1, int(np.searchsorted(share, limit, side="right")))
    while True:
        if probes > affordable:
            if n <= EXACT_AT_MOST:
                return None
            probes = affordable
        found = _search(X, half, cells, probes, k, progress)
        recall = float((found.distances[testing] <= truth[:, -1:] * np.float32(1 + 1e-5)).mean())
        if recall >= RECALL or (probes == affordable and n > EXACT_AT_MOST):
            return Neighbourhood(found.indices, found.distances, recall)
        probes *= 2


@dataclass(frozen=True)
class _Cells:
    """A partition of the rows: the centres (c, d), the cell of each row (n,), and the rows of each cell in turn."""

    centres: Matrix
    cell: Ids
    rows: Ids
    starts: npt.NDArray[np.int64]

    def nearness(self, X: Matrix) -> Matrix:
        """How near each row of ``X`` is to each centre, shape (m, c); higher is nearer."""
        near: Matrix = X @ self.centres.T - _half_norms(self.centres)
        return near


def _partition(X: Matrix, cells: int, seed: int) -> _Cells:
    """Group the rows by k-means; a cell of many rows is cut, so that copies in their thousands cannot fill one."""
    import faiss

    faiss.omp_set_num_threads(threads())
    means = faiss.Kmeans(X.shape[1], cells, niter=6, seed=seed, min_points_per_centroid=1, max_points_per_centroid=64)
    means.train(X)
    centres = np.ascontiguousarray(means.centroids, np.float32)
    half = _half_norms(centres)
    cell = np.concatenate([(X[i : i + ROUND] @ centres.T - half).argmax(1) for i in range(0, len(X), ROUND)])
    sizes = np.bincount(cell, minlength=cells)
    pieces = np.maximum(1, -(-sizes // (8 * len(X) // cells)))
    order = np.argsort(cell, kind="stable")
    rank = np.empty(len(X), np.int64)
    rank[order] = np.arange(len(X)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    first = np.cumsum(pieces) - pieces
    cell = (first[cell] + rank * pieces[cell] // np.maximum(sizes[cell], 1)).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=int(pieces.sum())))])
    rows = np.argsort(cell, kind="stable").astype(np.int32)
    return _Cells(np.repeat(centres, pieces, axis=0), cell, rows, starts)


def _effort(X: Matrix, cells: _Cells, sample: Rows, truth: Ids) -> tuple[int, npt.NDArray[np.float64]]:
    """How many cells to visit for the recall aimed at, and the share of all rows that each number of cells holds."""
    order = np.argsort(-cells.nearness(X[sample]), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(order.shape[1])[None, :], axis=1)
    needed = np.take_along_axis(rank, cells.cell[truth].astype(np.int64), axis=1)
    share = np.cumsum(np.diff(cells.starts)[order], axis=1).mean(0) / len(X)
    return int(np.quantile(needed, AIM)) + 1, share


def _search(X: Matrix, half: Vector, cells: _Cells, probes: int, k: int, progress: Progress) -> Neighbourhood:
    """Compare each row with the rows of the ``probes`` cells nearest to it."""
    from threadpoolctl import threadpool_limits

    n = len(X)
    best, ids = _empty(n, k + SPARE)
    probes = min(probes, len(cells.centres))

    def rounds(start: int, stop: int) -> None:
        for i in range(start, stop, ROUND):
            _visit(X, half, cells, probes, best, ids, i, min(i + ROUND, stop))
            progress(Neighbours.title(), min(i + ROUND, n), n)

    with threadpool_limits(1, user_api="blas"):  # each thread multiplies small blocks of its own rows
        over_rows(rounds, n)
    found = _ordered(X, X, ids, k)
    short = np.flatnonzero(found.indices[:, -1] < 0)  # the cells of these rows hold fewer than k others
    if len(short):
        rest = _others(nearest_of(X[short], X, k + 1), short)
        found.indices[short], found.distances[short] = rest.indices, rest.distances
    return found


def _visit(X: Matrix, half: Vector, cells: _Cells, probes: int, best: Matrix, ids: Ids, start: int, stop: int) -> None:
    """Compare rows ``start`` to ``stop`` with the rows of their nearest cells, cell after cell."""
    count = len(cells.centres)
    visits = np.empty((stop - start, probes), np.uint16)
    for i in range(start, stop, BLOCK):
        near = cells.nearness(X[i : min(i + BLOCK, stop)])
        visits[i - start : i - start + len(near)] = np.argpartition(near, -probes, axis=1)[:, -probes:]
    order = np.argsort(visits.ravel(), kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(visits.ravel(), minlength=count))])
    gathered = np.empty((BLOCK // 2, X.shape[1]), np.float32)  # reused: fresh memory costs as much as the products
    products = np.empty((BLOCK // 2) * int(np.diff(cells.starts).max()), np.float32)
    for c in range(count):
        rows = (order[edges[c] : edges[c + 1]] // probes + start).astype(np.int32)
        columns = cells.rows[cells.starts[c] : cells.starts[c + 1]]
        members, norms = X[columns], half[columns]
        for i in range(0, len(rows), len(gathered)):
            part = rows[i : i + len(gathered)]
            queries = np.take(X, part, axis=0, out=gathered[: len(part)], mode="clip")
            block = products[: len(part) * len(columns)].reshape(len(part), len(columns))
            np.matmul(queries, members.T, out=block)
            keep_rows(block, norms, columns, part, best, ids, 0, len(part))


def _keep(
    kernel: Any, products: Matrix, half: Vector, columns: Ids, rows: Ids, best: Matrix, ids: Ids, count: int
) -> None:
    over_rows(lambda start, stop: kernel(products, half, columns, rows, best, ids, start, stop), count, least=256)


def _ordered(queries: Matrix, X: Matrix, candidates: Ids, k: int) -> Neighbourhood:
    """The k nearest of the candidates by their exact distances."""
    distances, ids = _empty(len(queries), k)
    queries, X = np.asarray(queries).view(), np.asarray(X).view()
    queries.flags.writeable = X.flags.writeable = False  # as those read from disk are: one type, compiled once
    over_rows(lambda start, stop: measure(queries, X, candidates, distances, ids, start, stop), len(queries))
    return Neighbourhood(ids, distances)


def _others(found: Neighbourhood, rows: Rows) -> Neighbourhood:
    """Without each query's own row: the last of the list goes where the row is crowded out by its copies."""
    own = found.indices == rows[:, None]
    own[~own.any(1), -1] = True
    k = own.shape[1] - 1
    return Neighbourhood(found.indices[~own].reshape(-1, k), found.distances[~own].reshape(-1, k))


def _empty(n: int, k: int) -> tuple[Matrix, Ids]:
    return np.full((n, k), np.inf, np.float32), np.full((n, k), -1, np.int32)


def _centre(X: Matrix) -> Matrix:
    """The mean row; taking it away leaves distances as they are and keeps their rounding small."""
    return X.mean(0, dtype=np.float64).astype(np.float32) if len(X) else np.zeros(X.shape[1], np.float32)


def _half_norms(X: Matrix) -> Vector:
    """Half the squared length of each row, shape (n,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        half: Vector = np.einsum("ij,ij->i", X, X, dtype=np.float32) / np.float32(2)
    if not np.isfinite(half).all():
        row = int(np.flatnonzero(~np.isfinite(half))[0])
        raise DrossError(
            "the embedding holds a value that is not a finite number (or is too large to square)",
            where=f"row {row}",
            fix="remove or replace NaN and infinite values, and scale large ones",
        )
    return half
