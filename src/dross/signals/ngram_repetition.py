"""N-gram repetition: how much of a text its commonest and its repeated runs of words make up."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.compiled import kernel, over_rows
from dross.signals.content_hash import text_buffers
from dross.signals.words import tokenize, traits

TOP, DUPLICATE = (2, 3, 4), (5, 6, 7, 8, 9, 10)
"""The lengths of n-grams of which the commonest one is weighed, and of those of which all repeats are."""
MOST = 1 << 22
"""Tokens of a text that are looked at; what follows is left out."""
REPEATED = (
    *(f"top_{n}" for n in TOP), *(f"times_{n}" for n in TOP), *(f"duplicate_{n}" for n in DUPLICATE),
)  # fmt: skip
"""What is counted: characters of the commonest n-gram in all the places where it stands, spaces between its words
included; how often it stands there (of equally common ones the first); characters of n-grams that stood before."""


@kernel()
def extend(hashes: Any, grams: Any, again: Any, n: Any, m: Any) -> int:
    """Make n-grams of (n - 1)-grams: only where both that they are made of stand twice can they. How many are left."""
    left = 0
    for i in range(m - n + 1):
        again[i] = n == 2 or (again[i] > 0 and again[i + 1] > 0)
        if again[i]:
            left += 1
            g = (grams[i] * np.uint64(0xBF58476D1CE4E5B9)) ^ hashes[i + n - 1]
            g = g * np.uint64(0x9E3779B97F4A7C15)
            grams[i] = g ^ (g >> np.uint64(29))
    if m - n + 1 >= 0:
        again[m - n + 1] = 0
    return left


@kernel()
def group(grams: Any, again: Any, places: Any, keys: Any, stamps: Any, counts: Any, stamp: Any, shape: Any) -> None:
    """Count equal n-grams: the place of each in a table, and in the table how many there are.

    ``shape`` holds how many positions there are and a power of two above twice the number of n-grams.
    """
    mask = np.uint64(shape[1] - 1)
    for i in range(shape[0]):
        if again[i]:
            at = grams[i] & mask
            while stamps[at] == stamp and keys[at] != grams[i]:
                at = (at + np.uint64(1)) & mask
            if stamps[at] != stamp:
                keys[at], stamps[at], counts[at] = grams[i], stamp, 0
            counts[at] += 1
            places[i] = at


@kernel()
def commonest(again: Any, places: Any, counts: Any, m: Any) -> tuple[Any, Any]:
    """Where the n-gram that stands most often stands first, and how often; the first of all when none stands twice."""
    best, most = 0, 1
    for i in range(m):
        if again[i] and counts[places[i]] > most:
            best, most = i, counts[places[i]]
    return best, most


@kernel()
def length(sizes: Any, i: Any, n: Any) -> int:
    """The characters of the tokens of an n-gram."""
    total = 0
    for t in range(i, i + n):
        total += sizes[t]
    return total


@kernel()
def repeated(sizes: Any, again: Any, places: Any, counts: Any, n: Any, m: Any) -> int:
    """The characters of n-grams that stood before; after each such one counting goes on behind it."""
    total, i = 0, 0
    while i < m:
        if again[i] and counts[places[i]] < 0:  # a count below 0 marks one that was passed
            total += length(sizes, i, n)
            i += n
            continue
        if again[i]:
            counts[places[i]] = -1
        i += 1
    return total


@kernel()
def narrow(again: Any, places: Any, counts: Any, m: Any) -> None:
    """Leave only n-grams that stand twice or more."""
    for i in range(m):
        again[i] = again[i] > 0 and counts[places[i]] > 1


@kernel()
def weigh(
    m: Any, hashes: Any, sizes: Any, grams: Any, again: Any, places: Any, keys: Any, stamps: Any, counts: Any,
    stamp: Any, row: Any,
) -> None:  # fmt: skip
    """Fill :data:`REPEATED` for a text of ``m`` tokens."""
    for i in range(m):
        grams[i] = hashes[i]
    shape = np.zeros(2, np.int64)
    for n in range(2, min(10, m) + 1):
        left = extend(hashes, grams, again, n, m)
        shape[0], shape[1] = m - n + 1, 64
        while shape[1] < 2 * left:
            shape[1] *= 2
        group(grams, again, places, keys, stamps, counts, stamp + n, shape)
        if n <= 4:
            best, most = commonest(again, places, counts, shape[0])
            row[n - 2], row[n + 1] = (length(sizes, best, n) + n - 1) * most, most
        narrow(again, places, counts, shape[0])
        if n >= 5:
            row[n + 1] = repeated(sizes, again, places, counts, n, shape[0])
        if n >= 4 and left == 0:
            break


@kernel()
def weigh_all(data: Any, offsets: Any, table: Any, longest: int, out: Any, start: int, stop: int) -> None:
    """Fill :data:`REPEATED` for the texts from ``start`` to ``stop``, which have at most ``longest`` tokens each."""
    room = 64
    while room < 2 * longest:
        room *= 2
    hashes, sizes, kinds = np.empty(longest, np.uint64), np.empty(longest, np.int32), np.empty(longest, np.uint8)
    grams, again, places = np.empty(longest, np.uint64), np.zeros(longest + 1, np.uint8), np.empty(longest, np.int32)
    keys, stamps, counts = np.empty(room, np.uint64), np.full(room, -1, np.int64), np.empty(room, np.int32)
    for i in range(start, stop):
        m, _ = tokenize(data, offsets[i], offsets[i + 1], table, hashes, sizes, kinds)
        weigh(m, hashes, sizes, grams, again, places, keys, stamps, counts, i * 16, out[i])


def ngram_repetition(texts: pa.LargeStringArray) -> npt.NDArray[Any]:
    """The counts of :data:`REPEATED`, a structured array of shape (n,) with a field of int64 for each.

    Rae et al., "Scaling Language Models: Methods, Analysis & Insights from Training Gopher", 2021, table A1. N-grams
    are runs of tokens (:mod:`dross.signals.words`), case counts. O(tokens) in time; an n-gram is looked up only where
    the two shorter ones that it is made of stand twice in the text, which is exact and in prose soon nowhere.

    >>> found = ngram_repetition(pa.array(["a b a b a b", "one two three four five"], pa.large_string()))
    >>> found["top_2"].tolist(), found["times_2"].tolist(), found["duplicate_5"].tolist()
    ([9, 7], [3, 1], [0, 0])
    """
    data, offsets = text_buffers(texts)
    data.flags.writeable = offsets.flags.writeable = False  # always, so that the kernel compiles once
    out = np.zeros((len(texts), len(REPEATED)), np.int64)
    table = traits()

    def work(start: int, stop: int) -> None:
        longest = int(np.diff(offsets[start : stop + 1]).max(initial=1))
        weigh_all(data, offsets, table, min(longest, MOST), out, start, stop)

    over_rows(work, len(texts), least=256)
    return out.view([(name, np.int64) for name in REPEATED])[:, 0]
