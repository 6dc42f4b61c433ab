"""Stable 64-bit content hashes of Arrow columns, one per row, independent of chunking and of integer width."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.compiled import kernel, over_rows

Hashes = npt.NDArray[np.uint64]
NULL = np.uint64(0x9E3779B97F4A7C15)


@kernel()
def mix(x: Any) -> Any:
    """Scramble 64 bits (the finaliser of SplitMix64, Steele et al., 2014); ``mix.function`` does so to an array."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@kernel()
def hash_words(words: Any, salt: np.uint64, out: Hashes, start: int, stop: int) -> None:
    """Hash each 64-bit word."""
    for i in range(start, stop):
        out[i] = mix(words[i] ^ salt)


@kernel()
def hash_spans(data: Any, offsets: Any, out: Hashes, start: int, stop: int) -> None:
    """Hash the bytes ``data[offsets[i]:offsets[i + 1]]`` of each row, eight at a time."""
    for i in range(start, stop):
        a, b = offsets[i], offsets[i + 1]
        h = np.uint64(b - a) * np.uint64(0x9FB21C651E98DF25)
        j = a
        while j + 8 <= b:
            word = np.uint64(0)
            for s in range(8):
                word |= np.uint64(data[j + s]) << np.uint64(8 * s)
            h = mix(h ^ word)
            j += 8
        word = np.uint64(0)
        s = 0
        while j < b:
            word |= np.uint64(data[j]) << np.uint64(8 * s)
            j += 1
            s += 1
        out[i] = mix(h ^ word)


@kernel()
def fold_spans(hashes: Hashes, offsets: Any, out: Hashes, start: int, stop: int) -> None:
    """Combine, in order, the hashes of the items of each list."""
    for i in range(start, stop):
        h = np.uint64(offsets[i + 1] - offsets[i])
        for j in range(offsets[i], offsets[i + 1]):
            h = mix(h ^ hashes[j]) + np.uint64(j - offsets[i])
        out[i] = h


def frozen(buffer: Any, dtype: Any) -> npt.NDArray[Any]:
    """An Arrow buffer as a read-only array; always read-only, so that a kernel is compiled for one kind of array.

    >>> frozen(pa.py_buffer(b"ab"), np.uint8).tolist(), frozen(None, np.uint8).tolist()
    ([97, 98], [0])
    """
    array = np.frombuffer(buffer, dtype) if buffer is not None and buffer.size else np.zeros(1, dtype)
    array.flags.writeable = False
    return array


def hash_column(column: pa.ChunkedArray | pa.Array) -> Hashes:
    """Hash every row of an Arrow column, shape (n,), uint64.

    Equal values have equal hashes whatever the chunking, dictionary encoding or integer width; a null differs from
    every value; all NaN are one.

    >>> a = hash_column(pa.chunked_array([["x"], ["y", None]])); b = hash_column(pa.array(["x", "y", None]))
    >>> bool((a == b).all()), bool(a[0] == a[1])
    (True, False)
    >>> bool((hash_column(pa.array([1, 2], pa.int8())) == hash_column(pa.array([1, 2]))).all())
    True
    """
    if isinstance(column, pa.ChunkedArray):
        parts = [hash_column(chunk) for chunk in column.chunks]
        return np.concatenate(parts) if parts else np.empty(0, np.uint64)
    out = _hash_values(column)
    if column.null_count:
        out[~column.is_valid().to_numpy(zero_copy_only=False)] = NULL
    return out


def _hash_values(array: pa.Array) -> Hashes:
    kind = array.type
    types = pa.types
    if types.is_dictionary(kind):
        values = hash_column(array.dictionary)
        codes = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
        return values[codes] if len(values) else np.full(len(array), NULL)
    if types.is_null(kind):
        return np.full(len(array), NULL)
    if types.is_struct(kind):
        return combine([hash_column(array.field(i)) for i in range(kind.num_fields)], len(array))
    if types.is_fixed_size_list(kind) and _is_plain(kind.value_type):
        return _hash_matrix(array)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind) or types.is_map(kind):
        return _hash_lists(array)
    if any(check(kind) for check in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)):
        return _hash_bytes(array.cast(pa.large_binary()))
    if types.is_fixed_size_binary(kind) or types.is_string_view(kind) or types.is_binary_view(kind):
        return _hash_bytes(array.cast(pa.binary()).cast(pa.large_binary()))
    return _hash_numbers(array)


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _hash_numbers(array: pa.Array) -> Hashes:
    kind, types = array.type, pa.types
    if types.is_boolean(kind) or types.is_integer(kind):
        wide = array.cast(pa.uint64() if types.is_uint64(kind) else pa.int64())
    elif types.is_floating(kind):
        wide = array.cast(pa.float64())
    elif types.is_temporal(kind):
        wide = array.cast(pa.int32() if types.is_date32(kind) or types.is_time32(kind) else pa.int64()).cast(pa.int64())
    else:  # decimals and whatever else Arrow can spell
        return _hash_bytes(pc.cast(array, pa.string()).cast(pa.large_binary()))
    values = np.ascontiguousarray(wide.fill_null(0).to_numpy(zero_copy_only=False))
    if values.dtype == np.float64:
        values = np.where(np.isnan(values), np.nan, values + 0.0)  # one NaN, one zero
    words = values.view(np.uint64)
    out = np.empty(len(words), np.uint64)
    salt = np.uint64(types.is_floating(kind))
    over_rows(lambda a, b: hash_words(words, salt, out, a, b), len(words))
    return out


def _hash_bytes(array: pa.Array) -> Hashes:
    _, offsets, data = array.buffers()
    out = np.empty(len(array), np.uint64)
    if len(array) == 0:
        return out
    spans = frozen(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    values = frozen(data, np.uint8)
    over_rows(lambda a, b: hash_spans(values, spans, out, a, b), len(array))
    return out


def _hash_matrix(array: pa.Array) -> Hashes:
    width = array.type.list_size
    rows = array.flatten() if not array.null_count else array.fill_null([0] * width).flatten()
    values = np.ascontiguousarray(rows.to_numpy(zero_copy_only=False)).view(np.uint8)
    step = values.size // max(1, len(array))
    spans = np.arange(len(array) + 1, dtype=np.int64) * step
    values.flags.writeable = spans.flags.writeable = False
    out = np.empty(len(array), np.uint64)
    if values.size == 0:
        return np.zeros(len(array), np.uint64)
    over_rows(lambda a, b: hash_spans(values, spans, out, a, b), len(array))
    return out


def _hash_lists(array: pa.Array) -> Hashes:
    array = array.cast(pa.large_list(array.type.value_type)) if not pa.types.is_map(array.type) else array
    offsets = np.asarray(array.offsets, dtype=np.int64)
    items = hash_column(array.values)
    out = np.empty(len(array), np.uint64)
    over_rows(lambda a, b: fold_spans(items, offsets, out, a, b), len(array))
    return out


def combine(columns: list[Hashes], n: int) -> Hashes:
    """One hash per row from the hashes of its columns, in order; shape (n,)."""
    out = np.zeros(n, np.uint64)
    for position, column in enumerate(columns):
        words = out * np.uint64(3) + column
        over_rows(lambda a, b, w=words, s=position: hash_words(w, np.uint64(s + 1), out, a, b), n)  # type: ignore[misc]
    return out


def occurrences(hashes: Hashes) -> npt.NDArray[np.int64]:
    """How often each row's hash stood in the rows before it, shape (n,).

    >>> occurrences(np.array([7, 8, 7, 7], np.uint64)).tolist()
    [0, 0, 1, 2]
    """
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    first = np.ones(len(ordered), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(first)
    rank = np.arange(len(ordered)) - np.repeat(starts, np.diff(np.append(starts, len(ordered))))
    out = np.empty(len(ordered), np.int64)
    out[order] = rank
    return out


def digest(*parts: bytes | str | memoryview) -> str:
    """A short stable name for some bytes: 32 hexadecimal digits of BLAKE2b.

    >>> digest("a", "b") == digest("ab")
    False
    """
    h = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        h.update(len(raw).to_bytes(8, "little"))
        h.update(raw)
    return h.hexdigest()
