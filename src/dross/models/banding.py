"""Rows of a corpus that are nearly alike: banded MinHash signatures, and a look at each bucket of each band."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.compiled import kernel, over_rows
from dross.core.hashing import mix
from dross.core.step import KEY, ROW, Addresses, Store, runs_of
from dross.signals.minhash import EMPTY, Signatures, signatures

SIGNATURE = "signature"
"""The name under which a step stores signatures."""
RECALL = 0.995
_LOOKED = 6
_CHUNK = 1 << 16


def band_width(similarity: float, permutations: int) -> int:
    """The widest band with which pairs of that similarity meet in some band with a chance of 0.995, at least 2.

    Two signatures agree in a band of ``r`` values with chance ``s^r``; there are ``permutations // r`` bands.

    >>> band_width(0.7, 128), band_width(0.8, 128)
    (4, 6)
    """
    wide = [r for r in range(2, 33) if 1 - (1 - similarity**r) ** (permutations // r) >= RECALL]
    return max(wide, default=2)


@kernel()
def hash_bands(found: Any, width: int, out: Any, start: int, stop: int) -> None:
    """The hash of each band of each signature."""
    for i in range(start, stop):
        for band in range(out.shape[1]):
            h = np.uint64(band + 1)
            for c in range(band * width, (band + 1) * width):
                h = mix(h ^ np.uint64(found[i, c]))
            out[i, band] = h


def sketch_bands(found: Signatures, addresses: Addresses, width: int) -> pa.Table:
    """One entry for each band of each signature that is not empty: its hash and the row."""
    there = np.flatnonzero(found[:, 0] != EMPTY)
    keys = np.empty((len(there), found.shape[1] // width), np.uint64)
    signed = found[there]
    over_rows(lambda a, b: hash_bands(signed, width, keys, a, b), len(there))
    return pa.table({KEY: keys.T.ravel(), ROW: np.tile(addresses[there], keys.shape[1])})


@kernel()
def compare_near(places: Any, heads: Any, found: Any, least: int, one: Any, other: Any, agreed: Any) -> int:
    """Write the pairs of entries of a bucket that agree in ``least`` places; how many there are.

    An entry is compared with the six before it and with the first of its bucket, so that a bucket of any size costs
    no more than its entries.
    """
    count = 0
    for t in range(len(places)):
        u, looked = t - 1, 0
        while u >= heads[t] and looked <= 6:
            looked += 1
            if looked == 6:
                u = heads[t]
            if places[t] != places[u]:
                agree = 0
                for p in range(found.shape[1]):
                    agree += found[places[t], p] == found[places[u], p]
                if agree >= least:
                    one[count], other[count], agreed[count] = t, u, agree
                    count += 1
            u -= 1
    return count


def near_pairs(
    keys: npt.NDArray[np.uint64], rows: Addresses, store: Store, similarity: float
) -> tuple[Addresses, Addresses, npt.NDArray[np.float32]]:
    """Pairs of rows with an equal key whose signatures agree in that share of places, and that share.

    Entries are sorted by key and row; of rows that meet several times each meeting may give the pair again.
    """
    _, sizes = runs_of(keys)
    crowded = sizes > 1
    at = np.flatnonzero(np.repeat(crowded, sizes))
    rows, sizes = rows[at], sizes[crowded]
    parts = [_compared(rows[a:b], sizes[c:d], store, similarity) for a, b, c, d in _chunks(sizes)]
    if not parts:
        return np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.float32)
    one, other, share = (np.concatenate(column) for column in zip(*parts, strict=True))
    return one, other, share


def _chunks(sizes: npt.NDArray[np.int64]) -> Iterator[tuple[int, int, int, int]]:
    """Whole buckets, about so many entries at a time: first and last entry, first and last bucket."""
    ends = np.cumsum(sizes)
    cuts = [0]
    while cuts[-1] < len(sizes):
        begun = int(ends[cuts[-1] - 1]) if cuts[-1] else 0
        cuts.append(max(cuts[-1] + 1, int(np.searchsorted(ends, begun + _CHUNK, "right"))))
    for a, b in itertools.pairwise(cuts):
        yield int(ends[a - 1]) if a else 0, int(ends[b - 1]), a, b


def _compared(
    rows: Addresses, sizes: npt.NDArray[np.int64], store: Store, similarity: float
) -> tuple[Addresses, Addresses, npt.NDArray[np.float32]]:
    unique, places = np.unique(rows, return_inverse=True)
    found = store.take(SIGNATURE, unique)
    heads = np.repeat(np.cumsum(sizes) - sizes, sizes)
    one, other, agreed = (np.empty((_LOOKED + 1) * len(rows), np.int64) for _ in range(3))
    least = int(np.ceil(similarity * found.shape[1] - 1e-9))
    count = compare_near(places.astype(np.int64), heads, found, least, one, other, agreed)
    share = (agreed[:count] / found.shape[1]).astype(np.float32)
    return rows[one[:count]], rows[other[:count]], share


@dataclass(frozen=True)
class Signed:
    """Signatures as a function of texts alone, so that a batch is signed once."""

    permutations: int
    seed: int

    def __call__(self, texts: pa.LargeStringArray) -> Signatures:
        return signatures(texts, True, self.permutations, self.seed)
