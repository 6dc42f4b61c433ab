"""KNN-Shapley: what each row is worth to a nearest-neighbour classifier, and the rows that make it worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel, over_rows
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import splits_of
from dross.signals.embedding import Embedding
from dross.signals.neighbours import Neighbours

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

EXACT_PAIRS = 2**23
"""Pairs of rows up to which every row is ranked for every other (a fifth of a second); above, only the nearest."""
BLOCK_PAIRS = 2**22
"""Distances held at a time."""
BLOCK_POINTS = 2**18
"""Validation points whose neighbours are looked at at a time."""
_NO_HARM = np.nextafter(np.float32(0.5), np.float32(0))
_ONE = 2.0**44  # values are summed as whole multiples of 2⁻⁴⁴, so that the sum does not depend on the threads


@kernel()
def add_values(keys: Any, labels: Any, wanted: Any, players: int, k: int, sums: Any, start: int, stop: int) -> None:
    """Add to ``sums`` the Shapley values for the validation points ``start`` to ``stop`` (theorem 1 of the paper).

    ``keys`` holds, per point, the bits of its squared distance to each row: for numbers that are not negative their
    order is that of the numbers. The rows are ordered by three passes of a radix sort, then valued from the far end.
    Rows beyond the first ``players`` in the order are no players.
    """
    n = len(labels)
    order, other = np.empty(n, np.int32), np.empty(n, np.int32)
    sorted_keys, other_keys = np.empty(n, np.uint32), np.empty(n, np.uint32)
    for q in range(start, stop):
        place = np.zeros((3, 2049), np.int32)
        for i in range(n):
            key = keys[q, i]
            sorted_keys[i], order[i] = key, i
            place[0, (key & 2047) + 1] += 1
            place[1, ((key >> 11) & 2047) + 1] += 1
            place[2, (key >> 22) + 1] += 1
        for turn in range(3):
            spot = place[turn]
            for digit in range(1, 2048):
                spot[digit] += spot[digit - 1]
            for i in range(n):
                key = sorted_keys[i]
                digit = (key >> (11 * turn)) & 2047
                to = spot[digit]
                other[to], other_keys[to] = order[i], key
                spot[digit] = to + 1
            order, other = other, order
            sorted_keys, other_keys = other_keys, sorted_keys
        value, farther = 0.0, 0.0
        for i in range(players, 0, -1):
            match = 1.0 if labels[order[i - 1]] == wanted[q] else 0.0
            value += (match - farther) / max(k, i)
            farther = match
            sums[order[i - 1]] += np.int64(np.rint(value * _ONE))


def knn_shapley(
    X: npt.ArrayLike,
    labels: npt.ArrayLike,
    points: npt.ArrayLike,
    wanted: npt.ArrayLike,
    k: int = 5,
) -> Values:
    """The exact Shapley value of every row for a k-nearest-neighbour classifier, shape (n,), float64.

    The worth of a set of rows is the share of right labels among the k rows of it that are nearest to a validation
    point, averaged over the points (theorem 1 of the paper); the values add up to the worth of all rows. Time
    O(m n (d + 1)) for m points; the distances are held in blocks, so memory is O(n d + m d). Distances are computed
    in float32; which of two rows comes first that are equally far up to its rounding is left open.

    Parameters
    ----------
    X, labels
        The rows to value, shape (n, d), and their class numbers, shape (n,).
    points, wanted
        The validation points, shape (m, d), and their class numbers, shape (m,).
    k
        Neighbours of the classifier.

    Examples
    --------
    >>> knn_shapley([[0.0], [1.0], [2.0]], [0, 1, 0], [[0.1]], [0], k=1).round(3).tolist()
    [0.833, -0.167, 0.333]
    """
    A, B = _matrix(X), _matrix(points)
    y, t = np.asarray(labels), np.asarray(wanted)
    if A.shape[1:] != B.shape[1:] or y.shape != A.shape[:1] or t.shape != B.shape[:1]:
        raise DrossError(
            f"rows {A.shape}, their labels {y.shape}, points {B.shape} and their labels {t.shape} do not fit together",
            fix="give shapes (n, d), (n,), (m, d) and (m,)",
        )
    own = np.full(len(B), -1, np.int64)
    return _exact(A, y.astype(np.int32), B, t.astype(np.int32), own, k)


def truncated_values(
    neighbours: npt.NDArray[np.int32], labels: Codes, players: Mask, points: Mask, k: int = 5
) -> Values:
    """The Shapley values from the nearest rows of each row alone, shape (n,), float64; NaN for rows not valued.

    As in theorem 2 of the paper every row beyond the first m of a point gets the value 0 from it. Where there the
    values of the first m start from 0 too, here they start from what the matches beyond, whose number is known, would
    take from them were they spread evenly over the farther ranks. Either way the error is at most 1/m for each point.
    Time O(n m), memory O(n).

    Parameters
    ----------
    neighbours
        The nearest other rows of each row, nearest first, shape (n, m); -1 where there are fewer.
    labels
        Class numbers, shape (n,); -1 where missing.
    players, points
        Which rows are valued, and which they are valued for, shape (n,); both only where there is a label. A row is no
        player for itself.
    k
        Neighbours of the classifier.

    Examples
    --------
    >>> near = np.array([[1, 2], [0, 2], [1, 0]], np.int32)
    >>> truncated_values(near, np.array([0, 0, 1], np.int32), np.ones(3, bool), np.ones(3, bool), k=1).round(3).tolist()
    [0.333, 0.333, 0.0]
    """
    counts = np.bincount(labels[players], minlength=int(labels.max()) + 1)
    rows, values = np.flatnonzero(points), np.zeros(len(labels))
    for i in range(0, len(rows), BLOCK_POINTS):
        part = rows[i : i + BLOCK_POINTS]
        near, heads = _heads(neighbours[part], labels[part], players[part], labels, players, counts, k)
        values += np.bincount(near, weights=heads, minlength=len(values))
    values[~players] = np.nan
    values /= max(len(rows), 1)
    return values


def _heads(
    near: npt.NDArray[np.int32], label: Codes, plays: Mask, labels: Codes, players: Mask,
    counts: npt.NDArray[np.int64], k: int,
) -> tuple[npt.NDArray[np.int32], Values]:  # fmt: skip
    """The players near each of some points, and what they are worth to it: rows and values, one entry for each pair."""
    known = (near >= 0) & players[near]
    near = np.take_along_axis(near, np.argsort(~known, axis=1, kind="stable"), axis=1)  # players first
    size = known.sum(1)
    inside = np.arange(near.shape[1]) < size[:, None]
    match = ((labels[near] == label[:, None]) & inside).astype(np.float64)

    total = players.sum() - plays  # the players of each point's game
    share = (counts[label] - plays - match.sum(1)) / np.maximum(total - size, 1)
    return near[inside], _head_values(match, size, share, total, k)[inside]


def _head_values(match: Values, size: Any, share: Values, total: Any, k: int) -> Values:
    """Values of the nearest players of each point, shape (points, m), from the recursion of theorem 1."""
    heads = np.zeros_like(match)
    # Summing the recursion from the far end, the last of the head is worth match/rank less what the farther matches
    # take: the sum of 1/(j (j - 1)) over their ranks j, or share · (1/rank - 1/total) when they are spread evenly.
    last = np.maximum(size, 1)
    taken = np.where(total > size, share * (1 / np.maximum(last, k) - 1 / np.maximum(total, k)), 0.0)
    for i in range(match.shape[1] - 1, -1, -1):
        ended = size == i + 1
        start = match[:, i] / np.maximum(i + 1, k) - taken
        if i + 1 == match.shape[1]:
            heads[:, i] = start
            continue
        step = heads[:, i + 1] + (match[:, i] - match[:, i + 1]) / max(k, i + 1)
        heads[:, i] = np.where(ended, start, step)
    return heads


def _exact(X: npt.NDArray[np.float32], labels: Codes, points: npt.NDArray[np.float32], wanted: Codes,
           own: npt.NDArray[np.int64], k: int) -> Values:  # fmt: skip
    """Exact values; ``own`` is each point's position among the rows, -1 where it is none of them."""
    n, sums = len(X), np.zeros(len(X), np.int64)
    centre = X.mean(0) if n else 0.0
    X, points = X - centre, points - centre  # the expansion of the square below then loses the least
    norms = np.einsum("ij,ij->i", X, X)
    size = max(1, BLOCK_PAIRS // max(n, 1))
    for i in range(0, len(points), size):
        block = points[i : i + size]
        squares = norms - 2 * (block @ X.T)
        squares += np.einsum("ij,ij->i", block, block)[:, None]
        np.maximum(squares, 0, out=squares)
        inside = np.flatnonzero(own[i : i + size] >= 0)
        squares[inside, own[i : i + size][inside]] = np.inf
        keys, aims = squares.view(np.uint32), wanted[i : i + size]
        for left_out in (False, True):
            chosen = np.flatnonzero((own[i : i + size] >= 0) == left_out)
            if len(chosen):
                sums += _block_sums(keys[chosen], labels, aims[chosen], n - left_out, k)
    return sums / _ONE / max(len(points), 1)


def _block_sums(keys: Any, labels: Codes, wanted: Codes, players: int, k: int) -> npt.NDArray[np.int64]:
    def work(start: int, stop: int) -> npt.NDArray[np.int64]:
        sums = np.zeros(len(labels), np.int64)
        add_values(keys, labels, wanted, players, k, sums, start, stop)
        return sums

    parts = over_rows(work, len(keys), least=8)
    return np.sum(parts, axis=0, dtype=np.int64)  # type: ignore[no-any-return]


def _matrix(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    X = np.ascontiguousarray(values, np.float32)
    if X.ndim != 2:
        raise DrossError(f"rows must be a matrix, not of shape {X.shape}", fix="give shape (n, d)")
    if not np.isfinite(X).all():
        raise DrossError("a row holds NaN or infinity", fix="fill or drop those values first")
    return X


@dataclass(frozen=True)
class KnnShapley(Detector):
    """The Shapley value of each training row for a k-nearest-neighbour classifier; rows below 0 make it worse.

    Every labelled row is a validation point for the others (where there are splits, only training rows are valued,
    but for the rows of all parts). Up to 2²³ pairs of a row and a point the values are exact; above, they come from
    the nearest rows of each point, with the error bound named in the summary. The score of a row that harms is above
    0.5, of one without effect just below. Worth is plain accuracy, in which common classes count most: rows of a rare
    class that lie among rows of a common one come out harmful.

    Jia, Dao, Wang, Hubis, Gurel, Li, Zhang, Spanos, Song, "Efficient Task-Specific Data Valuation for Nearest
    Neighbor Algorithms", 2019, theorems 1 and 2.
    """

    paper: ClassVar = Paper(
        "Efficient Task-Specific Data Valuation for Nearest Neighbor Algorithms", 2019, "1908.08619"
    )
    finds: ClassVar[Issue] = Issue.VALUE
    needs: ClassVar = (Role.LABEL, Embedding, Neighbours)

    k: int = 5

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Value every labelled training row."""
        codes = data.codes
        points = codes >= 0
        players = points & splits_of(data).training
        if len(data.classes) < 2:
            return NotApplicable("the labels have fewer than two classes")
        if players.sum() < 2:
            return NotApplicable("fewer than two labelled rows to learn from")
        exact = int(players.sum()) * int(points.sum()) <= EXACT_PAIRS
        if exact:
            values = self._all_ranks(signals[Embedding()], codes, players, points)
        else:
            values = truncated_values(signals[Neighbours()].indices, codes, players, points, self.k)
        rows = np.flatnonzero(players)
        worth = values[rows] * len(rows)
        scores = (0.5 - 0.5 * worth / (1 + np.abs(worth))).astype(np.float32)
        scores[worth >= 0] = np.minimum(scores[worth >= 0], _NO_HARM)
        width = 0 if exact else signals[Neighbours()].indices.shape[1]
        return Findings(
            Issue.VALUE,
            rows,
            scores,
            evidence={"value": worth.astype(np.float32)},
            summary={
                "harmful_rows": int((worth < 0).sum()),
                "exact": exact,
                "error_bound_per_point": 0.0 if exact else 1.0 / width,
            },
        )

    def _all_ranks(self, X: npt.NDArray[np.float32], codes: Codes, players: Mask, points: Mask) -> Values:
        rows, ends = np.flatnonzero(players), np.flatnonzero(points)
        place = np.full(len(codes), -1, np.int64)
        place[rows] = np.arange(len(rows))
        values = np.full(len(codes), np.nan)
        values[rows] = _exact(_matrix(X[rows]), codes[rows], _matrix(X[ends]), codes[ends], place[ends], self.k)
        return values
