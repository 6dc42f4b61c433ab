"""Texts as sequences of hashed words, for networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.compiled import kernel, over_rows
from dross.core.hashing import mix
from dross.signals.content_hash import spell_out, text_buffers
from dross.signals.ngrams import kinds, next_point

LONGEST = 256
"""Words of a text that are read."""


@kernel()
def write_tokens(data: Any, offsets: Any, kinds: Any, buckets: int, out: Any, first: int, last: int) -> None:
    """The words of texts ``first`` to ``last``, hashed to 1 … buckets - 1, as many as the rows of ``out`` hold."""
    prime, nothing = np.uint64(0x9E3779B97F4A7C15), np.uint64(0)
    room = np.uint64(buckets - 1)
    for i in range(first, last):
        word, at = nothing, 0
        j, stop = offsets[i], offsets[i + 1]
        while j <= stop and at < out.shape[1]:
            point, j = next_point(data, j, stop) if j < stop else (0x20, stop + 1)
            kind = kinds[min(point, 65535)]
            if kind == 1:
                word = (word ^ np.uint64(point)) * prime
                word ^= word >> np.uint64(29)
                continue
            if word != nothing:
                out[i, at] = np.int32(mix(word) % room) + 1
                at, word = at + 1, nothing
            if kind == 2 and at < out.shape[1]:
                out[i, at] = np.int32(mix(np.uint64(point) * prime) % room) + 1
                at += 1


def tokens_of(texts: pa.LargeStringArray, buckets: int, longest: int = LONGEST) -> npt.NDArray[np.int32]:
    """Each text as the hashes of its first words, shape (n, longest), int32 in 1 … buckets - 1; 0 fills the rest.

    Case and Unicode form are folded; in scripts without spaces each character counts as a word.

    >>> found = tokens_of(pa.array(["A bird, a BIRD", "", None], pa.large_string()), 100, 5)
    >>> bool((found[0, :2] == found[0, 2:4]).all()), found[0, 4], found[1:].any()
    (True, np.int32(0), np.False_)
    """
    out = np.zeros((len(texts), longest), np.int32)
    if len(texts) == 0:
        return out
    data, offsets = text_buffers(spell_out(texts))
    data.flags.writeable = offsets.flags.writeable = False  # always, so that the kernel compiles once
    table = kinds()
    over_rows(lambda a, b: write_tokens(data, offsets, table, buckets, out, a, b), len(texts))
    return out
