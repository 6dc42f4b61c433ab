"""NearPairs: rows whose text is nearly the same, found by banding MinHash signatures and verified piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.compiled import kernel, over_rows
from dross.core.dataset import Dataset
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals
from dross.signals.content_hash import ContentHash, first_of_each, spell_out, text_buffers
from dross.signals.minhash import EMPTY, KINDS, LETTERS, MinHash, Signatures, cut, texts_of
from dross.signals.pairs import Pairs

PARTNERS = 16
"""Earlier rows kept for one row, at most: enough to link a group of any size, whatever its size."""
MARGIN = 3.0
"""Standard deviations by which an estimated similarity may fall short and still be verified."""


@dataclass(frozen=True)
class NearPairs(Signal[Pairs]):
    """Pairs of rows whose texts share most of their pieces; similarity is the exact Jaccard similarity of those.

    In tables of text fields it is the mean of that over the whole record and of :func:`field_agreement`.
    Rows with equal :class:`ContentHash` are no pairs here; the first of them stands for all. No pairs where the rows
    hold no text. Indyk and Motwani's banding, by sorting: O(n log n) for each of some forty bands, no bucket is
    compared all with all.
    """

    reads: ClassVar[tuple[Role, ...]] = CONTENT
    value: ClassVar[type] = Pairs

    def compute(self, data: Dataset, signals: Signals) -> Pairs:
        """Band, compare neighbours within buckets, verify."""
        return _pairs(data, signals, 0)

    def extend(self, value: Pairs, data: Dataset, signals: Signals) -> Pairs:
        """The old pairs, and those of each new row with old rows."""
        return value.joined(_pairs(data, signals, value.n))


def _pairs(data: Dataset, signals: Signals, fresh: int) -> Pairs:
    """All pairs, or with ``fresh`` above 0 those of the rows from that one on with rows before it."""
    minhash = signals[MinHash()]
    if not minhash.kind or len(data) < 2:
        return Pairs.none(len(data))
    pieces = KINDS[minhash.kind]
    first = first_of_each(signals[ContentHash()])
    own = np.arange(len(data))
    alone = first == own
    if fresh:
        alone |= (own >= fresh) & (first >= fresh)
    rows = np.flatnonzero(alone & (minhash.signatures[:, 0] != EMPTY)).astype(np.int64)
    earlier, later = candidates(minhash.signatures, rows, pieces.band, pieces.least, fresh)
    similarity = jaccard(texts_of(data, minhash.columns), earlier, later, pieces.words)
    keep = similarity >= pieces.least
    earlier, later, similarity = earlier[keep], later[keep], similarity[keep]
    if minhash.kind == "records":
        similarity = (similarity + field_agreement(data, minhash.columns, earlier, later)) / np.float32(2)
        keep = similarity >= pieces.near
        earlier, later, similarity = earlier[keep], later[keep], similarity[keep]
    return Pairs.of(earlier, later, similarity, pieces.near, len(data))


def field_agreement(
    data: Dataset, columns: list[str], earlier: npt.NDArray[np.int64], later: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """How far two records agree field by field, shape (m,), in [0, 1]: mean Jaccard similarity of their letter triples.

    A field counts by the square of its share of distinct values, so that what tells records apart decides (a name,
    not a city), and only where both records have it. Records that share much without being copies, such as the products
    of one maker, agree in the fields that do not count.
    """
    total, weights = np.zeros(len(later)), np.full(len(later), 1e-9)
    for name in columns:
        column = data.table.column(name).cast(pa.large_string()).fill_null("")
        filled = pc.greater(pc.binary_length(column), 0).to_numpy()
        distinct = pc.count_distinct(column).as_py() / max(int(filled.sum()), 1)
        weight = np.where(filled[earlier] & filled[later], min(distinct, 1.0) ** 2, 0.0)
        total += weight * jaccard(column, earlier, later, words=False)
        weights += weight
    agreement: npt.NDArray[np.float32] = (total / weights).astype(np.float32)
    return agreement


# ---- candidates -----------------------------------------------------------------------------------------------------


@kernel()
def band_keys(signatures: Any, rows: Any, first: int, width: int, out: Any, start: int, stop: int) -> None:
    """The hash of one band of each row's signature in the upper half of 64 bits, the row in the lower."""
    for i in range(start, stop):
        row = rows[i]
        h = np.uint64(0)
        for c in range(first, first + width):
            h = (h ^ np.uint64(signatures[row, c])) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
        out[i] = (h & np.uint64(0xFFFFFFFF00000000)) | np.uint64(row)


@kernel()
def link(
    keys: Any, heads: Any, signatures: Any, least: int, fresh: int, partners: Any, degree: Any, start: int, stop: int
) -> None:
    """Note for each row the rows before it in its bucket whose signatures agree in ``least`` places.

    A row is compared with the six rows before it and with the first of the bucket. Rows from ``fresh`` on are compared
    with rows before ``fresh`` only.
    """
    for t in range(start, stop):
        row = np.int64(keys[t] & np.uint64(0xFFFFFFFF))
        u, looked = t - 1, 0
        while row >= fresh and u >= heads[t] and looked <= 6 and degree[row] < partners.shape[1]:
            other = np.int64(keys[u] & np.uint64(0xFFFFFFFF))
            u -= 1
            if fresh > 0 and other >= fresh:
                continue
            looked += 1
            if looked == 6:
                u = min(u, heads[t])
            known = False
            for m in range(degree[row]):
                known |= partners[row, m] == other
            if known:
                continue
            agree = 0
            for p in range(signatures.shape[1]):
                agree += signatures[row, p] == signatures[other, p]
            if agree >= least:
                partners[row, degree[row]] = other
                degree[row] += 1


def candidates(
    signatures: Signatures, rows: npt.NDArray[np.int64], band: int, near: float, fresh: int = 0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs of rows that share a band and whose signatures allow a similarity of ``near``: ``(earlier, later)``.

    >>> same = np.tile(np.arange(128, dtype=np.uint32), (2, 1))
    >>> [part.tolist() for part in candidates(same, np.arange(2), 4, 0.5)]
    [[0], [1]]
    """
    n, permutations = signatures.shape
    signatures = np.asarray(signatures).view()
    signatures.flags.writeable = False  # as those read from disk are: one type, compiled once
    least = int(permutations * (near - MARGIN * np.sqrt(near * (1 - near) / permutations)))
    partners = np.full((n, PARTNERS), -1, np.int32)
    degree = np.zeros(n, np.int32)
    keys = np.empty(len(rows), np.uint64)
    places = np.arange(len(rows), dtype=np.int64)
    for first in range(0, permutations - band + 1, band):
        over_rows(lambda a, b, c=first: band_keys(signatures, rows, c, band, keys, a, b), len(rows))  # type: ignore[misc]
        keys.sort()
        buckets = keys >> np.uint64(32)
        heads = np.where(np.concatenate([[True], buckets[1:] != buckets[:-1]]), places, 0)
        heads = np.maximum.accumulate(heads)
        over_rows(
            lambda a, b, h=heads: link(keys, h, signatures, least, fresh, partners, degree, a, b),  # type: ignore[misc]
            len(rows),
        )
    later = np.repeat(np.arange(n), degree)
    return partners[partners >= 0].astype(np.int64), later


# ---- verification ---------------------------------------------------------------------------------------------------


@kernel()
def compare(
    data: Any, offsets: Any, letters: Any, words: bool, one: Any, other: Any, out: Any, start: int, stop: int
) -> None:
    """The Jaccard similarity of the piece sets of pairs of texts.

    A hash table serves all pairs: an entry is a piece below and a stamp above, and stamps of earlier pairs count as
    free. The stamps of a pair say: in the one text, in the other only, in both.
    """
    longest = 0
    for m in range(start, stop):
        longest = max(longest, offsets[one[m] + 1] - offsets[one[m]], offsets[other[m] + 1] - offsets[other[m]])
    pieces = np.empty(longest + 2, np.uint32)
    size = 16
    while size < 4 * (longest + 2):
        size *= 2
    table = np.zeros(size, np.uint64)
    low = np.uint64(0xFFFFFFFF)
    for m in range(start, stop):
        stamp = np.uint64(3 * (m - start) + 1)
        union = both = 0
        for side in range(2):
            text = one[m] if side == 0 else other[m]
            count = cut(data, letters, words, offsets[text], offsets[text + 1], pieces)
            for s in range(count):
                piece = np.uint64(pieces[s])
                slot = np.int64(piece) & (size - 1)
                while table[slot] >> np.uint64(32) >= stamp and table[slot] & low != piece:
                    slot = (slot + 1) & (size - 1)
                seen = table[slot] >> np.uint64(32)
                if seen < stamp:
                    table[slot] = ((stamp + np.uint64(side)) << np.uint64(32)) | piece
                    union += 1
                elif side == 1 and seen == stamp:
                    table[slot] = ((stamp + np.uint64(2)) << np.uint64(32)) | piece
                    both += 1
        out[m] = both / max(union, 1)


def jaccard(
    texts: pa.ChunkedArray, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64], words: bool
) -> npt.NDArray[np.float32]:
    """The Jaccard similarity of the pieces of pairs of texts (rows of a large_string column), shape (m,), float32.

    >>> texts = pa.chunked_array([["a b c d", "a b c", "x"]], pa.large_string())
    >>> jaccard(texts, np.array([0, 0]), np.array([1, 2]), words=True).tolist()
    [0.5, 0.0]
    """
    out = np.zeros(len(one), np.float32)
    if not len(one):
        return out
    rows, places = np.unique(np.concatenate([one, other]), return_inverse=True)
    chosen = texts.take(pa.array(rows)).combine_chunks()
    chosen = pa.concat_arrays(chosen.chunks) if isinstance(chosen, pa.ChunkedArray) else chosen
    data, offsets = text_buffers(spell_out(chosen))
    left, right = np.split(places, 2)
    over_rows(lambda a, b: compare(data, offsets, LETTERS, words, left, right, out, a, b), len(one), least=256)
    return out
