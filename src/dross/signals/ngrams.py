"""N-grams: the words, word pairs and letter triples of each text as sparse counts, hashed so that no list is kept."""

from __future__ import annotations

import functools
import itertools
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.compiled import kernel, over_rows
from dross.core.dataset import Dataset
from dross.core.hashing import mix
from dross.core.roles import Role
from dross.signals.content_hash import spell_out, text_buffers

Sparse = Any
"""A ``scipy.sparse.csr_matrix``."""
BITS = 20
"""N-grams are told apart by this many bits of their hash."""
LONGEST = 20_000
"""Bytes of a text that are read; what follows is left out."""
PIECE = 1 << 24
"""Bytes of text whose n-grams are in memory at a time."""
SEPARATOR = "\x1f"
"""Stands between the text columns of a row."""
BETWEEN, LETTER, ALONE = 0, 1, 2
"""What a code point is: between words, part of a word, or a word by itself."""
TRIPLE = np.uint64(1 << 63)
"""Keeps letter triples apart from words."""
_UNSPACED = ((0x0E00, 0x1000), (0x1000, 0x10A0), (0x1780, 0x1800), (0x2E80, 0x3000), (0x3040, 0x3130), (0x31A0, 0xA4D0),
             (0xF900, 0xFB00))  # fmt: skip
"""Thai to Tibetan, Burmese, Khmer, Chinese and Japanese: written without spaces, so each character counts as a word."""


@functools.cache
def kinds() -> npt.NDArray[np.uint8]:
    """The kind of each code point below 65,536; the last entry stands for all above.

    >>> [int(kinds()[ord(c)]) for c in "a é語☂"]
    [1, 0, 1, 2, 2]
    """
    of = {"L": LETTER, "M": LETTER, "N": LETTER}
    table = np.array([of.get(unicodedata.category(chr(point))[0], BETWEEN) for point in range(1 << 16)], np.uint8)
    table[ord("_")] = LETTER
    for first, last in _UNSPACED:
        table[first:last][table[first:last] == LETTER] = ALONE
    table[0x2190:0x2C00] = ALONE
    table[-1] = ALONE
    return table


@kernel()
def next_point(data: Any, j: int, stop: int) -> tuple[int, int]:
    """The code point at byte ``j`` of UTF-8 ``data``, ASCII in lower case, and the position of the next one."""
    b = int(data[j])
    if b < 0x80:
        return (b + 32 if 65 <= b <= 90 else b), j + 1
    length = 2 if b < 0xE0 else (3 if b < 0xF0 else 4)
    if j + length > stop:
        return 0x20, stop
    point = b & (0x7F >> length)
    for s in range(1, length):
        point = (point << 6) | (int(data[j + s]) & 0x3F)
    return point, j + length


@kernel()
def put(out: Any, at: int, value: np.uint64) -> int:
    """Write the bucket of a hash where there is room for it (an empty ``out`` only counts); the next position."""
    if at < len(out):
        out[at] = value >> np.uint64(44)
    return at + 1


@kernel()
def write_words(data: Any, start: int, stop: int, kinds: Any, out: Any, at: int) -> int:
    """The words of one text and the pairs of words in a row."""
    prime, nothing = np.uint64(0x9E3779B97F4A7C15), np.uint64(0)
    before = word = nothing
    j = start
    while j <= stop:
        point, j = next_point(data, j, stop) if j < stop else (0x20, stop + 1)
        kind = kinds[min(point, 65535)]
        if kind == 1:
            word = (word ^ np.uint64(point)) * prime
            word ^= word >> np.uint64(29)
            continue
        if word != nothing:
            at = put(out, at, mix(word))
            at = at if before == nothing else put(out, at, mix(before ^ (word * prime)))
            before, word = word, nothing
        if kind == 2:
            alone = np.uint64(point) * prime
            at = put(out, at, mix(alone))
            at = at if before == nothing else put(out, at, mix(before ^ (alone * prime)))
            before = alone
        elif point == 0x1F:
            before = nothing
    return at


@kernel()
def write_triples(data: Any, start: int, stop: int, kinds: Any, out: Any, at: int) -> int:
    """The letter triples of one text: within words, which a space begins and ends."""
    nothing, space = np.uint64(0), np.uint64(0x20)
    a, b = nothing, space
    j = start
    while j <= stop:
        point, j = next_point(data, j, stop) if j < stop else (0x20, stop + 1)
        inside = kinds[min(point, 65535)] == 1
        c = np.uint64(point) if inside else space
        if a != nothing:
            at = put(out, at, mix((a << np.uint64(42)) ^ (b << np.uint64(21)) ^ c ^ TRIPLE))
        a, b = (b, c) if inside else (nothing, space)
    return at


@kernel()
def write_ngrams(
    data: Any, offsets: Any, kinds: Any, starts: Any, out: Any, counts: Any, first: int, last: int
) -> None:
    """The n-grams of texts ``first`` to ``last``, text ``i`` from ``out[starts[i]]`` on; an empty ``out`` counts."""
    for i in range(first, last):
        stop = min(offsets[i + 1], offsets[i] + 20_000)
        at = write_words(data, offsets[i], stop, kinds, out, starts[i])
        counts[i] = write_triples(data, offsets[i], stop, kinds, out, at) - starts[i]


@dataclass(frozen=True)
class Terms:
    """The n-grams that count, and how much each does.

    Attributes
    ----------
    buckets
        Their hashes, shape (m,), int32, ascending.
    idf
        Inverse document frequency of each, shape (m,), float32.
    """

    buckets: npt.NDArray[np.int32]
    idf: npt.NDArray[np.float32]


def texts_of(data: Dataset) -> pa.LargeStringArray:
    """The text columns of each row as one array, joined by a mark that no n-gram reaches across; null is empty.

    >>> texts_of(Dataset(pa.table({"a": ["x", None], "b": ["y", "z"]}), {Role.TEXT: ["a", "b"]})).to_pylist()
    ['x\\x1fy', '\\x1fz']
    """
    columns = [pc.fill_null(data.table.column(name).cast(pa.large_string()), "") for name in data.roles[Role.TEXT]]
    joined = (
        columns[0]
        if len(columns) == 1
        else pc.binary_join_element_wise(*columns, pa.scalar(SEPARATOR, pa.large_string()))
    )
    return pa.concat_arrays(joined.chunks or [pa.array([], pa.large_string())])


def pieces(texts: pa.LargeStringArray) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of texts whose n-grams fit in memory together: :data:`PIECE` bytes each, or one text.

    >>> list(pieces(pa.array(["a", "b"], pa.large_string())))
    [(0, 2)]
    """
    sizes = np.minimum(np.diff(text_buffers(texts)[1]), LONGEST) if len(texts) else np.zeros(0, np.int64)
    steps = np.flatnonzero(np.diff(np.cumsum(sizes) // PIECE)) + 1
    edges = [0, *steps.tolist(), len(texts)]
    yield from ((a, b) for a, b in itertools.pairwise(edges) if b > a)


def count_ngrams(texts: pa.LargeStringArray) -> Sparse:
    """How often each n-gram stands in each text: a sparse matrix of shape (n, 2**20), float32, indices ascending.

    Counted are words, pairs of words in a row, and letter triples within words; case and Unicode form are folded. In
    scripts without spaces each character counts as a word. Only the first 20,000 bytes of a text are read.

    >>> counts = count_ngrams(pa.array(["a bird, a bird", "", "A BIRD"], pa.large_string()))
    >>> counts[0].sum(), counts[0].nnz, counts[1].nnz, bool((counts[0] > 0)[0, counts[2].indices].toarray().all())
    (np.float32(17.0), 9, 0, True)
    """
    from scipy.sparse import csr_matrix

    n = len(texts)
    if n == 0:
        return csr_matrix((0, 1 << BITS), dtype=np.float32)
    data, offsets = text_buffers(spell_out(texts))
    data.flags.writeable = offsets.flags.writeable = False  # always, so that the kernel compiles once
    table, starts = kinds(), np.zeros(n + 1, np.int64)
    counts, none = np.zeros(n, np.int64), np.empty(0, np.int32)
    over_rows(lambda a, b: write_ngrams(data, offsets, table, starts, none, counts, a, b), n)
    np.cumsum(counts, out=starts[1:])
    out = np.empty(starts[-1], np.int32)
    if len(out):
        over_rows(lambda a, b: write_ngrams(data, offsets, table, starts, out, counts, a, b), n)
    matrix = csr_matrix((np.ones(len(out), np.float32), out, starts), shape=(n, 1 << BITS))
    matrix.sum_duplicates()
    return matrix


def choose_terms(counts: Sparse, most: int = 1 << 16, least: int = 1) -> Terms:
    """The ``most`` n-grams that stand in most texts, in at least ``least`` of them, with their smoothed weights.

    ``idf = 1 + log((1 + n) / (1 + df))``, as scikit-learn's ``TfidfTransformer`` has it.

    >>> terms = choose_terms(count_ngrams(pa.array(["red fox", "red hen"], pa.large_string())), least=2)
    >>> len(terms.buckets), terms.idf.tolist()
    (4, [1.0, 1.0, 1.0, 1.0])
    """
    df = np.bincount(counts.indices, minlength=counts.shape[1])
    chosen = np.flatnonzero(df >= least)
    if len(chosen) > most:
        chosen = np.sort(chosen[np.argsort(-df[chosen], kind="stable")[:most]])
    idf = 1 + np.log((1 + counts.shape[0]) / (1 + df[chosen]))
    return Terms(chosen.astype(np.int32), idf.astype(np.float32))


def weigh(counts: Sparse, terms: Terms) -> Sparse:
    """TF-IDF with dampened counts, ``(1 + log tf) idf``, rows of unit length: a sparse matrix (n, m), float32.

    >>> counts = count_ngrams(pa.array(["red fox", "red hen", ""], pa.large_string()))
    >>> X = weigh(counts, choose_terms(counts)); X.multiply(X).sum(axis=1).ravel().round(3).tolist()
    [[1.0, 1.0, 0.0]]
    """
    from scipy.sparse import csr_matrix

    place = np.full(counts.shape[1], -1, np.int32)
    place[terms.buckets] = np.arange(len(terms.buckets), dtype=np.int32)
    columns = place[counts.indices]
    known = columns >= 0
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(known)])[counts.indptr]
    columns = columns[known]
    weights = (1 + np.log(counts.data[known])) * terms.idf[columns]
    sizes = np.diff(starts)
    lengths = np.ones(len(sizes), np.float32)
    filled = sizes > 0
    if filled.any():  # rows without an entry are left out: to reduceat they would be the entry at their start
        lengths[filled] = np.sqrt(np.add.reduceat(weights * weights, starts[:-1][filled]))
    weights /= np.repeat(np.maximum(lengths, np.float32(1e-12)), sizes)
    return csr_matrix((weights, columns, starts), shape=(counts.shape[0], len(terms.buckets)))
