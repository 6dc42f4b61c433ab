"""ContentHash: a hash of each row's normalised content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.compiled import kernel, over_rows
from dross.core.dataset import Dataset
from dross.core.hashing import NULL, Hashes, combine, hash_column, mix
from dross.core.roles import CONTENT, Role
from dross.core.signal import RowSignal, Signals

_FILES = 256
"""Pictures whose files are in memory at a time."""


def normalise(texts: Any) -> Any:
    """Fold case, Unicode form (NFKC) and runs of white space, so that texts that read the same compare equal.

    >>> normalise(pa.array(["  A\\tcat ", "a cat", "ｃａｔ"])).to_pylist()
    ['a cat', 'a cat', 'cat']
    """
    folded = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(folded, pattern=r"[\s\x0b\p{Z}]+", replacement=" "))


def spell_out(texts: pa.Array) -> pa.Array:
    """The texts with those normalised that are not plain ASCII; kernels fold case and white space of the rest.

    >>> spell_out(pa.array(["A  b", "Ｃ  D", None], pa.large_string())).to_pylist()
    ['A  b', 'c d', None]
    """
    plain = pc.string_is_ascii(texts)
    if pc.all(plain).as_py() is not False:
        return texts
    other = pc.invert(plain)
    return pc.replace_with_mask(texts, other.fill_null(False), normalise(texts.filter(other)))


def text_buffers(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of a large_string array and where each text starts, shape (n + 1,); a null is an empty text."""
    _, offsets, data = texts.buffers()
    if len(texts) == 0:
        return np.frombuffer(bytes(1), np.uint8), np.frombuffer(bytes(8), np.int64)
    starts = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data if data is not None and data.size else bytes(1), np.uint8), starts


FOLD = np.arange(256, dtype=np.uint8)
"""Each byte with ASCII letters in lower case and every ASCII white space as a space."""
FOLD[65:91] += 32
FOLD[9:14] = 32


@kernel()
def hash_folded(data: Any, offsets: Any, fold: Any, out: Any, start: int, stop: int) -> None:
    """Hash each text as it reads with ``fold`` applied to its bytes, runs of spaces as one and none at the ends."""
    prime, space = np.uint64(0x9E3779B97F4A7C15), np.uint8(32)
    for i in range(start, stop):
        h = end = np.uint64(0x9FB21C651E98DF25)
        before = space
        for j in range(offsets[i], offsets[i + 1]):
            b = fold[data[j]]
            h = h if b == space and before == space else (h ^ np.uint64(b)) * prime
            end = end if b == space else h
            before = b
        out[i] = mix(end)


def hash_texts(column: pa.ChunkedArray) -> Hashes:
    """The hash of each text of a column after :func:`normalise`, shape (n,); all nulls are one.

    >>> a, b, c = hash_texts(pa.chunked_array([["A  cat", " a CAT\\n", "acat"]])).tolist(); a == b, a == c
    (True, False)
    """
    parts = [np.empty(0, np.uint64)]
    for chunk in column.cast(pa.large_string()).chunks:
        data, offsets = text_buffers(spell_out(chunk))
        out = np.empty(len(chunk), np.uint64)
        over_rows(lambda a, b, d=data, o=offsets, h=out: hash_folded(d, o, FOLD, h, a, b), len(chunk))  # type: ignore[misc]
        if chunk.null_count:
            out[chunk.is_null().to_numpy(zero_copy_only=False)] = NULL
        parts.append(out)
    return np.concatenate(parts)


def text_hashes(texts: pa.LargeStringArray) -> Hashes:
    """:func:`hash_texts` of one array: what a step asks :meth:`~dross.core.step.Rows.measured` for."""
    return hash_texts(pa.chunked_array([texts]))


def first_of_each(hashes: Hashes) -> npt.NDArray[np.int64]:
    """The position of the first row with the same hash, shape (n,); a row's own position when it is the first.

    O(n log n).

    >>> first_of_each(np.array([7, 8, 7, 7], np.uint64)).tolist()
    [0, 1, 0, 0]
    """
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int64)


@dataclass(frozen=True)
class ContentHash(RowSignal):
    """A 64-bit hash of each row's content, shape (n,), uint64; text is normalised, labels and ids are left out.

    A picture counts by the bytes of its file, wherever that lies.
    """

    reads: ClassVar[tuple[Role, ...]] = CONTENT
    version: ClassVar[int] = 2

    def measure(self, batch: Dataset, signals: Signals) -> npt.NDArray[np.uint64]:
        """Hash the content columns of one batch together."""
        texts, pictures = batch.roles.get(Role.TEXT, ()), batch.roles.get(Role.IMAGE, ())
        columns = []
        for name in batch.content:
            column = batch.table.column(name)
            if name in texts:
                columns.append(hash_texts(column))
            else:
                columns.append(hash_pictures(batch) if name in pictures else hash_column(column))
        return combine(columns, len(batch))


def hash_pictures(data: Dataset) -> Hashes:
    """The hash of the encoded bytes of each picture, shape (n,); where a file cannot be read, of what names it."""
    column = data.column(Role.IMAGE)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return hash_column(column)
    from dross.io.images import content, root_of

    root = root_of(data.source)
    parts = [np.empty(0, np.uint64)]
    for start in range(0, len(data), _FILES):
        values = column.slice(start, _FILES).to_pylist()
        files = (content(value, root) for value in values)
        read = [repr(value).encode() if file is None else file for value, file in zip(values, files, strict=True)]
        parts.append(hash_column(pa.array(read, pa.large_binary())))
    return np.concatenate(parts)
