"""Votes: what several fallible sources (people, rules, models) say of each row.

They are kept as parallel arrays ordered by row, with ``starts`` marking where each row's votes begin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.compiled import kernel, over_rows
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Votes:
    """Which annotator gave which label to which row.

    Attributes
    ----------
    starts
        Shape (n + 1,), int64: the votes on row ``i`` are those from ``starts[i]`` to ``starts[i + 1]``.
    annotators, labels
        Shape (v,), int32: who voted (a position in ``names``), and for what (a position in ``classes``).
    names, classes
        The annotators' column names and the distinct labels, sorted as text.
    weights
        How much each vote counts, shape (v,), above 0; None when all count 1. A soft vote is several votes of one
        source on one row whose weights are its chances.
    times
        How often each row stands for, shape (n,); None when each stands for itself.
    """

    starts: npt.NDArray[np.int64]
    annotators: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    names: list[str]
    classes: list[Any]
    weights: Floats | None = None
    times: Floats | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The row of each vote, shape (v,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def counts(self) -> Floats:
        """How many votes each class got on each row, shape (n, k)."""
        n, k = len(self.starts) - 1, len(self.classes)
        counts: Floats = np.bincount(self.rows * k + self.labels, self.weights, n * k).reshape(n, k).astype(np.float64)
        return counts


def votes_of(data: Dataset, role: Role = Role.ANNOTATIONS) -> Votes:
    """The columns of a role (annotations or votes) as votes, one source a column.

    A null means that the source did not vote; so does -1 in a column of whole numbers, as weak sources write it.
    Columns of lists of k numbers are soft votes: the chance of each of the classes "0" to "k - 1".
    """
    names = list(data.roles[role])
    lists = [_is_list(data.table.column(name).type) for name in names]
    if any(lists):
        return _soft(data, names, lists)
    columns = [_without_abstentions(data.table.column(name)).cast(pa.string()) for name in names]
    stacked = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())
    encoded = stacked.combine_chunks().dictionary_encode()
    encoded = pa.concat_arrays(encoded.chunks) if isinstance(encoded, pa.ChunkedArray) else encoded
    values = encoded.dictionary.to_pylist()
    order = sorted(range(len(values)), key=lambda i: values[i])
    rank = np.empty(len(values) + 1, np.int32)
    rank[order], rank[-1] = np.arange(len(values)), -1
    codes = rank[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)].reshape(len(names), len(data)).T
    rows, who = np.nonzero(codes >= 0)
    starts = np.searchsorted(rows, np.arange(len(data) + 1))
    return Votes(starts, who.astype(np.int32), codes[rows, who], names, [values[i] for i in order])


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _soft(data: Dataset, names: list[str], lists: list[bool]) -> Votes:
    if not all(lists):
        odd = names[lists.index(False)]
        raise DrossError(
            f"some sources vote by lists of chances, {odd!r} does not", fix="give all votes as lists, or none"
        )
    columns = [data.table.column(name).combine_chunks() for name in names]
    sizes = {
        name: set(pc.unique(pc.list_value_length(c).drop_null()).to_pylist())
        for name, c in zip(names, columns, strict=True)
    }
    widths = set().union(*sizes.values())
    if len(widths) != 1 or 0 in widths:
        raise DrossError(f"lists of chances must all have the same length, not {sorted(widths)}")
    k = widths.pop()
    probs = np.full((len(data), len(names), k), np.nan)
    for j, column in enumerate(columns):
        known = ~np.asarray(column.is_null())
        probs[known, j] = column.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, k)
    found = from_probs(probs, names)
    return replace(found, classes=[str(c) for c in found.classes])


def _without_abstentions(column: pa.ChunkedArray) -> pa.ChunkedArray:
    plain = pa.chunked_array(column)
    if not pa.types.is_signed_integer(plain.type):
        return plain
    return pc.if_else(pc.equal(plain, -1), pa.scalar(None, plain.type), plain)


def majority(votes: Votes) -> Floats:
    """The share of each class among a row's votes, shape (n, k); uniform where nobody voted."""
    shares: Floats = np.empty((len(votes), len(votes.classes)))
    weights = np.empty(0) if votes.weights is None else votes.weights
    over_rows(lambda a, b: share_votes(votes.starts[a : b + 1], votes.labels, weights, shares[a:b]), len(votes))
    return shares


@kernel()
def share_votes(starts: Any, labels: Any, weights: Any, shares: Any) -> None:
    """The share of each class among the votes of each row of a range."""
    k = shares.shape[1]
    for i in range(len(starts) - 1):
        shares[i, :] = 0.0
        total = 0.0
        for v in range(starts[i], starts[i + 1]):
            w = weights[v] if len(weights) > 0 else 1.0
            shares[i, labels[v]] += w
            total += w
        for c in range(k):
            shares[i, c] = shares[i, c] / total if total > 0 else 1 / k


# ---- other ways to give votes ------------------------------------------------------------------------------------


def from_matrix(matrix: npt.NDArray[Any], classes: int | list[Any], names: list[str] | None = None) -> Votes:
    """Votes from a matrix of class codes, shape (n, m), one source a column; -1 where it abstains.

    >>> votes = from_matrix(np.array([[0, -1], [1, 1]]), 2)
    >>> votes.starts.tolist(), votes.annotators.tolist(), votes.labels.tolist()
    ([0, 1, 3], [0, 0, 1], [0, 1, 1])
    """
    known = list(range(classes)) if isinstance(classes, int) else classes
    matrix = np.ascontiguousarray(matrix)
    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.integer):
        raise DrossError(f"votes must be a matrix of whole numbers, not {matrix.dtype} of shape {matrix.shape}")
    n, m = matrix.shape
    if matrix.size and (int(matrix.max()) >= len(known) or int(matrix.min()) < -1):
        raise DrossError(
            f"votes run from {matrix.min()} to {matrix.max()} where there are {len(known)} classes",
            fix="give codes from 0 to k - 1, and -1 for an abstention",
        )
    size = np.empty(n, np.int64)
    over_rows(lambda a, b: count_votes(matrix[a:b], size[a:b]), n)
    starts = np.concatenate([[0], np.cumsum(size)])
    who, labels = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
    over_rows(lambda a, b: list_votes(matrix[a:b], starts[a : b + 1], who, labels), n)
    return Votes(starts, who, labels, names or [f"source_{j + 1}" for j in range(m)], known)


def from_sparse(matrix: Any, classes: int | list[Any], names: list[str] | None = None) -> Votes:
    """Votes from a SciPy CSR matrix, shape (n, m), whose entries are class code + 1, so that 0 is an abstention.

    >>> from scipy.sparse import csr_array
    >>> from_sparse(csr_array(np.array([[1, 0], [2, 2]])), 2).labels.tolist()
    [0, 1, 1]
    """
    known = list(range(classes)) if isinstance(classes, int) else classes
    rows = matrix.tocsr()
    labels = rows.data.astype(np.int32) - 1
    if len(labels) and (labels.min() < 0 or labels.max() >= len(known)):
        raise DrossError(f"sparse votes must be from 1 to {len(known)}: class code + 1", fix="drop stored zeros")
    named = names or [f"source_{j + 1}" for j in range(rows.shape[1])]
    return Votes(rows.indptr.astype(np.int64), rows.indices.astype(np.int32), labels, named, known)


def from_probs(probs: npt.NDArray[Any], names: list[str] | None = None, *, least: float = 1e-3) -> Votes:
    """Soft votes from the chances that each source gives each class, shape (n, m, k); NaN where it abstains.

    Chances below ``least`` are left out.

    >>> votes = from_probs(np.array([[[0.75, 0.25], [np.nan, np.nan]]]))
    >>> votes.labels.tolist(), votes.weights.tolist()
    ([0, 1], [0.75, 0.25])
    """
    n, m, k = probs.shape
    given = np.nan_to_num(np.asarray(probs, np.float64), nan=0.0)
    total = given.sum(axis=2)
    if given.min(initial=0.0) < 0 or not np.allclose(total[~np.isnan(probs).any(axis=2)], 1, atol=1e-3):
        raise DrossError(
            "a soft vote is chances of at least 0 that add up to 1", fix="give NaN where a source abstains"
        )
    rows, who, labels = np.nonzero(given >= least)
    starts = np.searchsorted(rows, np.arange(n + 1))
    named = names or [f"source_{j + 1}" for j in range(m)]
    weights = given[rows, who, labels]
    return Votes(starts, who.astype(np.int32), labels.astype(np.int32), named, list(range(k)), weights)


@kernel()
def count_votes(matrix: Any, size: Any) -> None:
    """How many entries of each row are votes."""
    for i in range(matrix.shape[0]):
        c = 0
        for j in range(matrix.shape[1]):
            c += matrix[i, j] >= 0
        size[i] = c


@kernel()
def list_votes(matrix: Any, starts: Any, who: Any, labels: Any) -> None:
    """The votes of each row, in the order of the sources."""
    for i in range(matrix.shape[0]):
        v = starts[i]
        for j in range(matrix.shape[1]):
            if matrix[i, j] >= 0:
                who[v], labels[v] = j, matrix[i, j]
                v += 1


# ---- rows with the same votes ------------------------------------------------------------------------------------


@kernel()
def hash_rows(starts: Any, who: Any, labels: Any, k: int, out: Any) -> None:
    """A 64-bit hash of each row's votes."""
    for i in range(len(starts) - 1):
        h = np.uint64(14695981039346656037)
        for v in range(starts[i], starts[i + 1]):
            h = (h ^ np.uint64(who[v] * k + labels[v] + 1)) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
        out[i] = h


@kernel()
def differ(starts: Any, who: Any, labels: Any, like: Any) -> int:
    """How many rows do not have the votes of the row they are said to be like."""
    wrong = 0
    for i in range(len(like)):
        a, b = starts[i], starts[like[i]]
        size = starts[i + 1] - a
        same = size == starts[like[i] + 1] - b
        if same:
            for v in range(size):
                same = same and who[a + v] == who[b + v] and labels[a + v] == labels[b + v]
        wrong += not same
    return wrong


def patterns(votes: Votes, *, worth: float = 0.25) -> tuple[Votes, npt.NDArray[np.int64]] | None:
    """The distinct rows with how often each occurs, and each row's place among them, shape (n,).

    None where rows seldom repeat (more than a share ``worth`` of a sample is distinct), or where votes are soft.

    >>> few, place = patterns(from_matrix(np.array([[0, 1], [1, 1], [0, 1]] * 9), 2))
    >>> few.times.tolist(), place[:3].tolist()
    ([18.0, 9.0], [0, 1, 0])
    """
    n = len(votes)
    if votes.weights is not None or votes.times is not None or n < 2:
        return None
    hashes = np.empty(n, np.uint64)
    some = min(n, 8192)
    hash_rows(votes.starts[: some + 1], votes.annotators, votes.labels, len(votes.classes), hashes[:some])
    if len(np.unique(hashes[:some])) > worth * some:
        return None
    over_rows(
        lambda a, b: hash_rows(
            votes.starts[a : b + 1], votes.annotators, votes.labels, len(votes.classes), hashes[a:b]
        ),
        n,
    )
    _, first, place, times = np.unique(hashes, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)  # in the order in which they first occur
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    first, place = first[order], rank[place]
    if differ(votes.starts, votes.annotators, votes.labels, first[place]):
        return None  # two patterns share a hash
    few = take(votes, first)
    return Votes(
        few.starts, few.annotators, few.labels, votes.names, votes.classes, times=times[order].astype(np.float64)
    ), place


def take(votes: Votes, rows: npt.NDArray[np.int64]) -> Votes:
    """The votes on some rows, in the order asked.

    >>> take(from_matrix(np.array([[0, 1], [1, -1]]), 2), np.array([1])).labels.tolist()
    [1]
    """
    size = np.diff(votes.starts)[rows]
    starts = np.concatenate([[0], np.cumsum(size)])
    each = np.arange(starts[-1]) + np.repeat(votes.starts[rows] - starts[:-1], size)
    return Votes(
        starts,
        votes.annotators[each],
        votes.labels[each],
        votes.names,
        votes.classes,
        None if votes.weights is None else votes.weights[each],
        None if votes.times is None else votes.times[rows],
    )


def harden(votes: Votes) -> Votes:
    """Soft votes as hard ones: each source's likeliest class on each row (the first of equals).

    >>> harden(from_probs(np.array([[[0.25, 0.75]]]))).labels.tolist()
    [1]
    """
    if votes.weights is None:
        return votes
    rows = votes.rows
    order = np.lexsort((votes.labels, -votes.weights, votes.annotators, rows))
    pair = rows[order] * len(votes.names) + votes.annotators[order]
    kept = np.sort(order[np.concatenate([[True], np.diff(pair) != 0])]) if len(order) else order
    starts = np.searchsorted(rows[kept], np.arange(len(votes) + 1))
    return Votes(starts, votes.annotators[kept], votes.labels[kept], votes.names, votes.classes, times=votes.times)
