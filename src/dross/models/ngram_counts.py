"""N-grams of hashed words, counted: what an n-gram language model is made of."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.compiled import kernel, over_rows
from dross.core.hashing import mix
from dross.signals.content_hash import spell_out, text_buffers
from dross.signals.ngrams import kinds, next_point

Keys = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BEGIN, END, UNKNOWN = np.uint64(1), np.uint64(2), np.uint64(3)
"""What stands before a text, what ends it, and every word that the reference text does not hold."""
WORD = np.uint64(4)
"""A bit that all words have, and those three have not."""
PIECE = 1 << 24
"""Bytes of text that are counted at a time."""


# ---- kernels -----------------------------------------------------------------------------------------------------


@kernel()
def joined(key: np.uint64, word: np.uint64) -> np.uint64:
    """The key of an n-gram with one more word before it; the key of no words is 0."""
    return mix((key * np.uint64(0x9E3779B97F4A7C15)) ^ word)  # type: ignore[no-any-return]


@kernel()
def visible(point: int) -> bool:
    """Whether a code point that is no part of a word is a word by itself."""
    return point > 0x20 and point != 0x7F and point != 0xA0  # noqa: PLR1714 - numba has no fast sets


@kernel()
def next_words(data: Any, j: int, stop: int, kinds: Any, letters: Any, out: Any, at: int, most: int) -> tuple[int, int]:
    """The hashes of a text's words from byte ``j`` on into ``out[at:]``, until it ends or ``most`` are there.

    Words are runs of letters and digits, ASCII in lower case (``letters``); every other visible character is a word by
    itself. One more than ``most`` may be written. Returns the byte to go on from, above ``stop`` at the end of the
    text, and the next position in ``out``.
    """
    prime, nothing = np.uint64(0x9E3779B97F4A7C15), np.uint64(0)
    word = nothing
    while j <= stop and at < most:
        point = 0x20
        if j == stop:
            j += 1
        elif data[j] < 0x80:
            point = int(letters[data[j]])
            j += 1
        else:
            point, j = next_point(data, j, stop)
        if kinds[min(point, 65535)] == 1:
            word = (word ^ np.uint64(point)) * prime
            word ^= word >> np.uint64(29)
            continue
        if word != nothing:
            out[at] = mix(word) | np.uint64(4)
            at, word = at + 1, nothing
        if visible(point):
            out[at] = mix(np.uint64(point) * prime) | np.uint64(4)
            at += 1
    return j, at


@kernel()
def count_words(data: Any, offsets: Any, kinds: Any, letters: Any, counts: Any, first: int, last: int) -> None:
    """The number of words of texts ``first`` to ``last``, an end after each included."""
    scratch = np.empty(1026, np.uint64)
    for i in range(first, last):
        j, counts[i] = offsets[i], 1
        while j <= offsets[i + 1]:
            j, at = next_words(data, j, offsets[i + 1], kinds, letters, scratch, 0, 1024)
            counts[i] += at


@kernel()
def write_words(
    data: Any, offsets: Any, kinds: Any, letters: Any, starts: Any, out: Any, first: int, last: int
) -> None:
    """The words of texts ``first`` to ``last``, an end after each, text ``i`` from ``out[starts[i]]`` on."""
    for i in range(first, last):
        next_words(data, offsets[i], offsets[i + 1], kinds, letters, out, starts[i], starts[i + 1])
        out[starts[i + 1] - 1] = np.uint64(2)


@kernel()
def write_grams(words: Any, starts: Any, order: int, keys: Any, tails: Any, heads: Any, first: int, last: int) -> None:
    """For every word the key of the n-gram that ends there, without its first word, and without its last word.

    The beginning of a text is one word before it; where an n-gram would reach beyond, its keys are 0.
    """
    for i in range(first, last):
        for t in range(starts[i], starts[i + 1]):
            key = tail = head = np.uint64(0)
            if t - order + 1 >= starts[i] - 1:
                for s in range(t, t - order, -1):
                    word = words[s] if s >= starts[i] else np.uint64(1)
                    tail = key
                    key = joined(key, word)
                    if s < t:
                        head = joined(head, word)
            keys[t], tails[t], heads[t] = key, tail, head


# ---- counting ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grams:
    """The distinct n-grams of one order.

    ``keys``, shape (m,), ascending; ``counts``; the keys without the first word (``tails``) or the last (``heads``).
    """

    keys: Keys
    counts: Counts
    tails: Keys
    heads: Keys

    def __len__(self) -> int:
        return len(self.keys)


@functools.cache
def lower() -> npt.NDArray[np.uint8]:
    """ASCII with its letters in lower case, shape (128,)."""
    table = np.arange(128, dtype=np.uint8)
    table[65:91] += 32
    return table


def buffers_of(texts: pa.LargeStringArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of the texts and where each begins, as the kernels read them; null is an empty text."""
    data, offsets = text_buffers(spell_out(texts))
    data.flags.writeable = offsets.flags.writeable = False  # always, so that the kernels compile once
    return data, offsets


def words_of(texts: pa.LargeStringArray) -> tuple[Keys, Counts]:
    """The hashed words of texts, an end after each, and where each text starts, shape (n + 1,).

    >>> words, starts = words_of(pa.array(["A cat.", "a"], pa.large_string()))
    >>> starts.tolist(), bool(words[0] == words[4]), words[[3, 5]].tolist()
    ([0, 4, 6], True, [2, 2])
    """
    data, offsets = buffers_of(texts)
    n, tables = len(texts), (kinds(), lower())
    starts, counts = np.zeros(n + 1, np.int64), np.zeros(n, np.int64)
    over_rows(lambda a, b: count_words(data, offsets, *tables, counts, a, b), n)
    np.cumsum(counts, out=starts[1:])
    words = np.zeros(starts[-1], np.uint64)
    over_rows(lambda a, b: write_words(data, offsets, *tables, starts, words, a, b), n)
    return words, starts


def count_grams(words: Keys, starts: Counts, order: int) -> Grams:
    """The n-grams of one order in hashed words, those that begin with a text's beginning included.

    >>> found = count_grams(*words_of(pa.array(["a b a b"], pa.large_string())), 2)
    >>> sorted(found.counts.tolist())  # the beginning and a, b a, b and the end; a b twice
    [1, 1, 1, 2]
    """
    keys, tails, heads = (np.empty(len(words), np.uint64) for _ in range(3))
    over_rows(lambda a, b: write_grams(words, starts, order, keys, tails, heads, a, b), len(starts) - 1)
    known = keys != 0
    unique, first, counts = np.unique(keys[known], return_index=True, return_counts=True)
    return Grams(unique, counts.astype(np.int64), tails[known][first], heads[known][first])


def merged(one: Grams, other: Grams) -> Grams:
    """Two sets of n-grams of one order as one.

    >>> a, b = (count_grams(*words_of(pa.array([t], pa.large_string())), 1) for t in ("x y", "y z"))
    >>> sorted(merged(a, b).counts.tolist())  # x, z; y and the end twice
    [1, 1, 2, 2]
    """
    keys, first, inverse = np.unique(np.concatenate([one.keys, other.keys]), return_index=True, return_inverse=True)
    counts = np.bincount(inverse, np.concatenate([one.counts, other.counts]), len(keys)).astype(np.int64)
    tails, heads = (np.concatenate(pair)[first] for pair in ((one.tails, other.tails), (one.heads, other.heads)))
    return Grams(keys, counts, tails, heads)


def counted(batches: Iterable[pa.LargeStringArray], order: int) -> list[Grams]:
    """The n-grams of 1 to ``order`` words in texts that come in batches; how they are cut does not matter.

    O(w log w) in the words, memory in the distinct n-grams: parts of like size are merged, as merge sort does.
    """
    stacks: list[list[Grams]] = [[] for _ in range(order)]
    for batch in batches:
        for part in _parts(batch):
            words, starts = words_of(part)
            for n, stack in enumerate(stacks):
                stack.append(count_grams(words, starts, n + 1))
                while len(stack) > 1 and len(stack[-2]) <= 2 * len(stack[-1]):
                    stack[-2:] = [merged(stack[-2], stack[-1])]
    for stack in stacks:
        while len(stack) > 1:
            stack[-2:] = [merged(stack[-2], stack[-1])]
    return [stack[0] for stack in stacks if stack]


def _parts(texts: pa.LargeStringArray) -> Iterator[pa.LargeStringArray]:
    if len(texts):
        begins = text_buffers(texts)[1][:-1]
        edges = [0, *(np.flatnonzero(np.diff(begins // PIECE)) + 1).tolist(), len(texts)]
        yield from (texts.slice(a, b - a) for a, b in itertools.pairwise(edges) if b > a)


# ---- smoothing ---------------------------------------------------------------------------------------------------


def discounts(counts: Counts) -> Floats:
    """What is taken off n-grams that were counted once, twice, and more often, shape (3,).

    Chen, Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling", 1999, equation 26. Where the
    numbers of n-grams counted once to four times do not allow it, 0.5, 1 and 1.5.

    >>> discounts(np.repeat([1, 2, 3, 4], [40, 20, 10, 5])).round(3).tolist()
    [0.5, 1.25, 2.0]
    """
    n = np.array([np.count_nonzero(counts == k) for k in range(5)], np.float64)
    if (n[1:] > 0).all():
        y = n[1] / (n[1] + 2 * n[2])
        found = np.array([1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]])
        if ((found > 0) & (found < [1, 2, 3])).all():
            return found
    return np.array([0.5, 1.0, 1.5])


def adjusted(levels: list[Grams], n: int) -> Counts:
    """Counts of the longest n-grams; of shorter ones the number of different words before them.

    N-grams at the beginning of a text have nothing before them and keep their counts.
    """
    grams = levels[n]
    if n + 1 == len(levels):
        return grams.counts
    before = np.bincount(np.searchsorted(grams.keys, levels[n + 1].tails), minlength=len(grams))
    return np.where(before > 0, before, grams.counts).astype(np.int64)


@dataclass(frozen=True)
class Smoothed:
    """The n-grams of one order: keys, the chance of the last word after the others, and the backoff as a history."""

    keys: Keys
    chances: Floats
    backoffs: Floats


def smoothed(levels: list[Grams]) -> list[Smoothed]:
    """Interpolated modified Kneser-Ney chances (Chen and Goodman, 1999, equation 21) of all orders.

    The first order has two more entries: the unknown word, with what is left to it, and the beginning of a text, which
    is a history and never a word. After any history the chances of all words, the end and the unknown word add up to 1.
    """
    base = 1.0 / (len(levels[0]) + 1)
    found: list[Smoothed] = []
    for n, grams in enumerate(levels):
        counts = adjusted(levels, n)
        off = discounts(counts)[np.minimum(counts, 3) - 1]
        histories, place = np.unique(grams.heads, return_inverse=True)
        total, taken = (np.bincount(place, v, len(histories)) for v in (counts.astype(np.float64), off))
        share = taken / total
        shorter = base if n == 0 else found[-1].chances[np.searchsorted(found[-1].keys, grams.tails)]
        chances = (counts - off) / total[place] + share[place] * shorter
        keys = grams.keys
        if n == 0:
            more = np.array([joined(np.uint64(0), UNKNOWN), joined(np.uint64(0), BEGIN)], np.uint64)
            keys, chances = np.append(keys, more), np.append(chances, [share[0] * base, 0.0])
            order = np.argsort(keys)
            keys, chances = keys[order], chances[order]
        else:
            found[-1].backoffs[np.searchsorted(found[-1].keys, histories)] = share
        found.append(Smoothed(keys, chances, np.ones(len(keys))))
    return found
