"""Where the words of texts stand, and their hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.compiled import kernel, over_rows
from dross.core.hashing import mix
from dross.signals.content_hash import spell_out, text_buffers
from dross.signals.words import tokenize, trait_at, traits

_BASE = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(int(_BASE), -1, 1 << 64))


@dataclass(frozen=True)
class Words:
    """The words of n texts, one text after the other.

    Attributes
    ----------
    hashes
        Of each word, shape (m,), uint64.
    starts, stops
        The bytes in its text that it takes, shape (m,), int32.
    offsets
        Where the words of each text begin, shape (n + 1,), int64.
    """

    hashes: npt.NDArray[np.uint64]
    starts: npt.NDArray[np.int32]
    stops: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]


@kernel()
def place_words(
    data: Any,
    offsets: Any,
    table: Any,
    at: Any,
    hashes: Any,
    starts: Any,
    stops: Any,
    counts: Any,
    first: int,
    last: int,
) -> None:
    """Write the words of texts ``first`` to ``last``, text ``i`` from ``at[i]`` on; symbols are passed over."""
    size, kind = np.empty(1, np.int32), np.empty(1, np.uint8)
    for i in range(first, last):
        j, stop, count = offsets[i], offsets[i + 1], at[i]
        while j < stop:
            _, trait, after = trait_at(data, j, table)
            sort = trait & 7
            if sort == 0 or sort == 3:  # noqa: PLR1714 - compiles to two comparisons
                j = after
                continue
            starts[count] = j - offsets[i]
            _, j = tokenize(data, j, stop, table, hashes[count : count + 1], size, kind)
            if kind[0] > 0:
                stops[count] = j - offsets[i]
                hashes[count] = mix(hashes[count])
                count += 1
        counts[i] = count - at[i]


def words_of(texts: pa.LargeStringArray) -> Words:
    """The words of texts, told apart by case and form; see :mod:`dross.signals.words` for what a word is.

    >>> found = words_of(pa.array(["a cat, a dog", ""], pa.large_string()))
    >>> found.offsets.tolist(), found.starts.tolist(), bool(found.hashes[0] == found.hashes[2])
    ([0, 4, 4], [0, 2, 7, 9], True)
    """
    data, offsets = text_buffers(texts)
    data.flags.writeable = offsets.flags.writeable = False  # always, so that the kernel compiles once
    n = len(texts)
    room = (np.diff(offsets) // 2 + 2) if n else np.empty(0, np.int64)  # a word takes a byte, and one parts it
    multi = np.diff(offsets) + 2  # scripts without spaces: a word may follow a word at once
    room = np.where(_plain(texts), room, multi) if n else room
    at = np.concatenate([np.zeros(1, np.int64), np.cumsum(room)])
    hashes, starts, stops = np.empty(at[-1], np.uint64), np.empty(at[-1], np.int32), np.empty(at[-1], np.int32)
    counts = np.zeros(n, np.int64)
    table = traits()
    over_rows(lambda a, b: place_words(data, offsets, table, at, hashes, starts, stops, counts, a, b), n, least=256)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    chosen = np.arange(ends[-1]) + np.repeat(at[:-1] - ends[:-1], counts)
    return Words(hashes[chosen], starts[chosen], stops[chosen], ends)


def _plain(texts: pa.LargeStringArray) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.string_is_ascii(texts).fill_null(True).to_numpy(zero_copy_only=False))


def folded_words(texts: pa.LargeStringArray) -> Words:
    """The words of texts with case and Unicode form folded; the places are those in the folded texts.

    >>> one, other = (folded_words(pa.array([t], pa.large_string())).hashes for t in ("A Cat", "a cat"))
    >>> bool((one == other).all())
    True
    """
    return words_of(pc.utf8_lower(spell_out(texts)))


def runs(words: Words, length: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """The hash of every run of so many words within one text, and where each text's begin, shape (n + 1,).

    >>> hashes, offsets = runs(words_of(pa.array(["a b c", "a b", "a"], pa.large_string())), 2)
    >>> offsets.tolist(), bool(hashes[0] == hashes[2])
    ([0, 2, 3, 3], True)
    """
    counts = np.maximum(np.diff(words.offsets) - length + 1, 0)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    first = np.arange(offsets[-1]) + np.repeat(words.offsets[:-1] - offsets[:-1], counts)
    # a polynomial modulo 2^64, all runs at once: differences of running sums, moved to the same power
    m = len(words.hashes)
    powers, inverses = (np.full(m + 1, base, np.uint64) for base in (_BASE, _INVERSE))
    powers[0] = inverses[0] = 1
    np.cumprod(powers, out=powers)
    np.cumprod(inverses, out=inverses)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words.hashes * powers[:m], dtype=np.uint64)])
    return mix.function((sums[first + length] - sums[first]) * inverses[first]), offsets
