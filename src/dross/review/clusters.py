"""Clusters: groups of similar rows, to look through the findings one subject at a time."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.compiled import threads
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals
from dross.report.text import cut, percent
from dross.review.filters import TEXTS
from dross.signals.principal import Principal
from dross.signals.sampling import row_keys, smallest

Codes = npt.NDArray[np.int32]
Matrix = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

PER_CLUSTER = 256
"""Rows that a centre is placed by, on average."""
ROUNDS = 20
CHUNK = 32_768
"""Rows assigned at a time."""
READ, BEGINNING = 500, 1000
"""Rows of a group (and twice as many others) that are read for its name, and the characters of each."""
WORDS = 3
CLEAR = 3.0
"""Standard errors by which a word must be more frequent in a group than elsewhere to name it."""
_WORD = re.compile(r"[^\W\d_]{3,24}")


@dataclass(frozen=True)
class Clusters(Signal[Codes]):
    """The group of similar rows that each row is in, shape (n,), int32: 0 is the largest of at most ``k``.

    k-means (Lloyd) in the leading principal directions of the embedding, the centres placed on a sample of 256 k rows
    that hangs on what the rows hold and not on their order. There are fewer groups where there are fewer than k
    different rows. O(n k d) for d directions.

    >>> data = Dataset(pa.table({"x": [0.0, 9.0, 0.1, 0.2]}), {Role.FEATURES: ["x"]})
    >>> Signals(data)[Clusters(k=2)].tolist()
    [0, 1, 0, 0]
    """

    k: int = 20
    seed: int = 0
    reads: ClassVar[tuple[Role, ...]] = CONTENT

    def compute(self, data: Dataset, signals: Signals) -> Codes:
        """Place the centres on a sample, then assign every row."""
        if self.k < 1:
            raise DrossError(f"rows cannot be put into {self.k} groups", fix="ask for at least 1")
        keys = row_keys(data, CONTENT, self.seed)
        some = smallest(keys, PER_CLUSTER * self.k)
        return cluster(signals[Principal()], some[np.argsort(keys[some], kind="stable")], self.k, self.seed)


def cluster(X: Matrix, sample: Rows, k: int, seed: int = 0) -> Codes:
    """Group the rows of ``X``, shape (n, d), by k-means on those in ``sample``; codes by decreasing size of the group.

    >>> cluster(np.array([[0.0], [5.0], [5.1]], np.float32), np.arange(3), 2).tolist()
    [1, 0, 0]
    """
    if not len(X):
        return np.empty(0, np.int32)
    centres = _centres(np.ascontiguousarray(X[sample], np.float32), min(k, len(sample)), seed)
    nearest = np.empty(len(X), np.int64)
    for start in range(0, len(X), CHUNK):
        with np.errstate(over="ignore", invalid="ignore"):
            half = np.einsum("ij,ij->i", centres, centres) / 2
            nearness = np.asarray(X[start : start + CHUNK]) @ centres.T - half
        _finite(nearness, start)
        nearest[start : start + CHUNK] = nearness.argmax(1)
    used, first, group, sizes = np.unique(nearest, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(used), np.int32)
    rank[np.lexsort((first, -sizes))] = np.arange(len(used), dtype=np.int32)
    codes: Codes = rank[group]
    return codes


def _centres(some: Matrix, k: int, seed: int) -> Matrix:
    import faiss

    _finite(some, 0)
    faiss.omp_set_num_threads(threads())
    scale = np.float32(float(np.abs(some).max(initial=0)) or 1.0)  # faiss ends the process where a square overflows
    means = faiss.Kmeans(
        some.shape[1], k, niter=ROUNDS, seed=seed, min_points_per_centroid=1, max_points_per_centroid=len(some)
    )
    means.train(some / scale)
    return np.asarray(means.centroids, np.float32) * scale


def _finite(values: Matrix, start: int) -> None:
    if not np.isfinite(values).all():
        row = start + int(np.flatnonzero(~np.isfinite(values).all(1))[0])
        raise DrossError(
            "the embedding holds a value that is not a finite number (or is too large to square)",
            where=f"row {row}",
            fix="remove or replace NaN and infinite values, and scale large ones",
        )


def describe(data: Dataset, clusters: Codes, code: int) -> str:
    """A short name for a group of similar rows; names are not unique.

    Its most characteristic words where the rows have texts: those in more of its rows than of the others, by the log
    odds ratio over its standard error (Monroe, Colaresi, Quinn, "Fightin' Words", 2008, section 3.4.1), measured on at
    most 500 of its rows and twice as many others. Else its most frequent label with its share; else its number. Raises
    DrossError for a group without rows.

    >>> table = pa.table({"t": ["red fox", "red hen", "red cat", "blue sky"] * 9, "y": ["a", "a", "b", "c"] * 9})
    >>> codes = np.array([0, 0, 0, 1] * 9, np.int32)
    >>> describe(Dataset(table, {Role.TEXT: ["t"]}), codes, 0), describe(Dataset(table, {Role.LABEL: ["y"]}), codes, 0)
    ('red', 'mostly a (67 %)')
    """
    own, others = (np.flatnonzero(m) for m in (clusters == code, clusters != code))
    if not len(own):
        raise DrossError(f"there is no group {code}", fix=f"choose one from 0 to {int(clusters.max(initial=-1))}")
    words = _characteristic(_read(data, _spread(own, READ)), _read(data, _spread(others, 2 * READ)))
    if words:
        return ", ".join(words)
    if data.has(Role.LABEL):
        counts = np.bincount(data.codes[own][data.codes[own] >= 0], minlength=len(data.classes))
        if counts.any():
            share = counts.max() / len(own)
            name = cut(str(data.classes[int(counts.argmax())]), 40)
            return f"{'mostly' if share > 0.5 else 'most often'} {name} ({percent(share)})"
    return f"group {code}"


def _spread(rows: Rows, most: int) -> Rows:
    """At most so many of the rows, evenly spread."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _read(data: Dataset, rows: Rows) -> list[set[str]]:
    """The words at the beginning of each row's texts."""
    found: list[set[str]] = [set() for _ in rows]
    for name in (column for role in TEXTS for column in data.roles.get(role, ())):
        cells = data.table.column(name).take(pa.array(rows))
        cells = cells.cast(cells.type.value_type) if pa.types.is_dictionary(cells.type) else cells
        if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
            cells = pc.utf8_lower(pc.utf8_slice_codeunits(cells, 0, BEGINNING))
        for words, cell in zip(found, cells.to_pylist(), strict=True):
            words.update(_WORD.findall("" if cell is None else str(cell)[:BEGINNING].lower()))
    return found


def _characteristic(own: list[set[str]], others: list[set[str]]) -> list[str]:
    """The words that tell two sets of texts apart, the clearest first; those as clear in the order of the alphabet."""
    here, there = (Counter(word for words in texts for word in words) for texts in (own, others))
    names = sorted(here)
    a, b = (np.array([counts[word] for word in names], np.float64) for counts in (here, there))
    odds = np.log((a + 0.5) / (len(own) - a + 0.5)) - np.log((b + 0.5) / (len(others) - b + 0.5))
    z = odds / np.sqrt(1 / (a + 0.5) + 1 / (b + 0.5))
    best = np.argsort(-z, kind="stable")[:WORDS]
    return [names[i] for i in best.tolist() if z[i] > CLEAR]
