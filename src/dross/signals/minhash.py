"""MinHash: a short signature of each text from which the overlap of any two texts can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.compiled import kernel, over_rows
from dross.core.dataset import Dataset
from dross.core.hashing import mix
from dross.core.roles import Role
from dross.core.signal import Signal, Signals
from dross.signals.content_hash import spell_out, text_buffers

Signatures = npt.NDArray[np.uint32]
EMPTY = np.uint32(0xFFFFFFFF)
"""What stands in the signature of a text without a word."""
_SAMPLE = 1000
_LONG = 30
_FREE, _FEW = 0.2, 0.02


@dataclass(frozen=True)
class Pieces:
    """How texts are cut into overlapping pieces (shingles), and how much overlap makes two of them near copies.

    Attributes
    ----------
    words
        Pieces of three words, else of three characters.
    band
        Signature values that must agree in one band for two texts to be compared.
    least
        The Jaccard similarity of piece sets from which two texts are looked at closely.
    near
        The similarity from which two texts are near copies.
    """

    words: bool
    band: int
    least: float
    near: float


KINDS = {
    "documents": Pieces(words=True, band=3, least=0.5, near=0.5),
    "sentences": Pieces(words=False, band=4, least=0.7, near=0.7),
    "records": Pieces(words=False, band=3, least=0.4, near=0.5),
}
"""Unrelated long texts share next to no three words: half in common is one word in eight changed. Short texts share
letter triples by chance, so more must agree: 0.7 is one word in ten or so. Records differ in many fields by chance."""

LETTERS = np.zeros(256, np.uint8)
"""Each byte that belongs to a word, with ASCII letters in lower case; 0 for what stands between words."""
LETTERS[128:] = np.arange(128, 256)
LETTERS[48:58] = np.arange(48, 58)
LETTERS[97:123] = LETTERS[65:91] = np.arange(97, 123)
LETTERS[95] = 95


@dataclass(frozen=True)
class MinHashes:
    """The signatures of all rows.

    Attributes
    ----------
    signatures
        Shape (n, permutations), uint32; two rows agree at a position with the probability of their Jaccard
        similarity. All :data:`EMPTY` where a row has no word. Shape (0, permutations) where there is nothing to sign.
    kind
        ``documents``, ``sentences`` or ``records``: the key into :data:`KINDS`; empty where there is nothing to sign.
    columns
        The columns that were signed together.
    """

    signatures: Signatures
    kind: str
    columns: list[str]


@dataclass(frozen=True)
class MinHash(Signal[MinHashes]):
    """Signatures of each row's text, or of its fields where the table is made of free text fields.

    Broder, "On the resemblance and containment of documents", 1997. Permutations are ``x -> (x xor b) * a`` modulo
    2^32 with odd ``a``, on well mixed 32-bit hashes of the pieces.
    """

    permutations: int = 128
    seed: int = 0
    reads: ClassVar[tuple[Role, ...]] = (Role.TEXT, Role.FEATURES)
    value: ClassVar[type] = MinHashes

    def compute(self, data: Dataset, signals: Signals) -> MinHashes:
        """Sign every row in one pass over its bytes."""
        kind, columns = what_to_compare(data)
        if not kind:
            return MinHashes(np.empty((0, self.permutations), np.uint32), "", [])
        return MinHashes(self._sign(data, columns, KINDS[kind].words), kind, columns)

    def extend(self, value: MinHashes, data: Dataset, signals: Signals) -> MinHashes:
        """Sign the new rows only, cut like the old ones."""
        n = len(value.signatures)
        if not value.kind or n == len(data):
            return value
        added = self._sign(data.slice(n, len(data)), value.columns, KINDS[value.kind].words)
        return MinHashes(np.concatenate([value.signatures, added]), value.kind, value.columns)

    def _sign(self, data: Dataset, columns: list[str], words: bool) -> Signatures:
        out = np.empty((len(data), self.permutations), np.uint32)
        done = 0
        for chunk in texts_of(data, columns).chunks:
            out[done : done + len(chunk)] = signatures(chunk, words, self.permutations, self.seed)
            done += len(chunk)
        return out


# ---- what is compared -----------------------------------------------------------------------------------------------


def what_to_compare(data: Dataset) -> tuple[str, list[str]]:
    """The kind of text the rows hold (a key of :data:`KINDS`, empty for none) and the columns it stands in.

    Texts are documents or sentences by their median number of words. A table is ``records`` when at least half its
    feature columns are text and in two of them, at least, a fifth of the cells are distinct: names and addresses, not
    categories. Of its columns those are left out that read as no text (lists, bytes) or have few values.

    >>> what_to_compare(Dataset(pa.table({"t": ["a short text"]}), {Role.TEXT: ["t"]}))
    ('sentences', ['t'])
    """
    if not len(data):
        return "", []
    if data.has(Role.TEXT):
        columns = list(data.roles[Role.TEXT])
        sample = data.take(np.linspace(0, len(data) - 1, min(len(data), _SAMPLE)).astype(np.int64))
        gaps = pc.count_substring_regex(pc.utf8_trim_whitespace(texts_of(sample, columns)), r"\s+")
        return "documents" if float(np.median(gaps.to_numpy())) + 1 >= _LONG else "sentences", columns
    types = {name: data.table.schema.field(name).type for name in data.roles.get(Role.FEATURES, ())}
    texts = [name for name, kind in types.items() if _is_text(kind)]
    if not texts or 2 * len(texts) < len(types):
        return "", []
    fields = [name for name, kind in types.items() if not _is_opaque(kind)]
    distinct = {name: pc.count_distinct(data.table.column(name)).as_py() / len(data) for name in fields}
    if sum(distinct[name] >= _FREE for name in texts) < 2:
        return "", []
    return "records", [name for name in fields if distinct[name] >= _FEW]


def texts_of(data: Dataset, columns: list[str]) -> pa.ChunkedArray:
    """The columns of each row as one text, joined by line ends: a large_string column without nulls."""
    texts = [data.table.column(name).cast(pa.large_string()) for name in columns]
    if len(texts) == 1:
        return texts[0].fill_null("") if texts[0].null_count else texts[0]
    joined = pc.binary_join_element_wise(
        *texts, pa.scalar("\n", pa.large_string()), null_handling="replace", null_replacement=""
    )
    return joined if isinstance(joined, pa.ChunkedArray) else pa.chunked_array([joined])


def _is_opaque(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


# ---- kernels --------------------------------------------------------------------------------------------------------


@kernel()
def cut(data: Any, letters: Any, words: bool, start: int, stop: int, out: Any) -> int:
    """Write the 32-bit hash of each piece of one text to ``out``; how many there are.

    ``out`` has room for the bytes of the text and two more. Texts of fewer than three words, or without spaces, are cut
    into characters in any case.
    """
    prime = np.uint64(0x9E3779B97F4A7C15)
    first = second = unit = np.uint64(0)
    seen = count = 0
    if words:
        for j in range(start, stop + 1):
            b = letters[data[j]] if j < stop else np.uint8(0)
            if b != 0:
                unit = (unit ^ np.uint64(b)) * prime
            elif unit != 0:
                seen += 1
                unit ^= unit >> np.uint64(32)
                if seen > 2:
                    out[count] = np.uint32(mix((first * np.uint64(3)) ^ (second * np.uint64(5)) ^ unit))
                    count += 1
                first, second, unit = second * prime, unit, np.uint64(0)
        if seen > 2 and stop - start < 32 * seen:
            return count
    first = second = np.uint64(0)
    count, j, last = 0, start, np.uint64(32)
    while j <= stop:
        b = letters[data[j]] if j < stop else np.uint8(0)
        point = np.uint64(b) if b != 0 else np.uint64(32)
        j += 1
        while point >= 128 and j < stop and data[j] & 0xC0 == 0x80:  # the other bytes of one character
            point = (point << np.uint64(8)) | np.uint64(data[j])
            j += 1
        if point == 32 and last == 32:
            continue
        if second != 0:
            out[count] = np.uint32(mix((first * prime) ^ (second * np.uint64(0xBF58476D1CE4E5B9)) ^ point))
            count += 1
        first, second, last = second if second != 0 else np.uint64(32), point, point
    return count


@kernel()
def sign(data: Any, offsets: Any, letters: Any, words: bool, a: Any, b: Any, out: Any, start: int, stop: int) -> None:
    """The least value of each permutation over the pieces of each text."""
    longest = 0
    for i in range(start, stop):
        longest = max(longest, offsets[i + 1] - offsets[i])
    pieces = np.empty(longest + 2, np.uint32)
    low = np.empty(len(a), np.uint32)
    for i in range(start, stop):
        count = cut(data, letters, words, offsets[i], offsets[i + 1], pieces)
        for p in range(len(a)):
            low[p] = np.uint32(0xFFFFFFFF)
        for s in range(count):
            x = pieces[s]
            for p in range(len(a)):
                low[p] = min(low[p], np.uint32(np.uint32(x ^ b[p]) * a[p]))
        for p in range(len(a)):
            out[i, p] = low[p]


def signatures(texts: pa.Array, words: bool, permutations: int = 128, seed: int = 0) -> Signatures:
    """The MinHash signatures of a large_string array, shape (n, permutations), uint32.

    >>> found = signatures(pa.array(["The cat sat on it", "the cat  SAT on it!", ""], pa.large_string()), True)
    >>> bool((found[0] == found[1]).all()), bool((found[2] == EMPTY).all())
    (True, True)
    """
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 2**31, permutations, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    b = rng.integers(0, 2**32, permutations, dtype=np.uint32)
    data, offsets = text_buffers(spell_out(texts))
    out = np.empty((len(texts), permutations), np.uint32)
    over_rows(lambda start, stop: sign(data, offsets, LETTERS, words, a, b, out, start, stop), len(texts), least=256)
    return out
