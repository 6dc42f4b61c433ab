"""TextStatistics: what can be counted about each text in one pass over its bytes."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.compiled import kernel, over_rows
from dross.core.dataset import Dataset
from dross.core.hashing import frozen
from dross.core.roles import Role
from dross.core.signal import RowSignal, Signals
from dross.signals.languages import LANGUAGES, SCRIPTS, WRITTEN_IN, script_table, stop_words

COLUMNS = (
    "characters", "words", "letters", "capitals", "digits", "punctuation", "spaces", "control", "bidi", "replacement",
    "mojibake", "tags", "longest_run", "ends_open", "distinct_words", "script", "script_share", "language",
)  # fmt: skip
"""Columns of the signal. Counts of characters, except: ``words`` and ``distinct_words`` (of 64 hash classes, so a
lower bound), ``tags`` (``<`` before a letter or slash), ``longest_run`` (of one character), ``ends_open`` (1 when the
last character is a letter, digit or comma; 2 for an ellipsis), ``script`` and ``language`` (positions in SCRIPTS and
LANGUAGES, -1 unknown), ``script_share`` (of the letters, in the commonest script)."""

LOWER, UPPER, DIGIT, PUNCTUATION, SPACE, CONTROL, BIDI, OTHER = range(8)
"""The kinds of characters told apart."""
HIRAGANA, KATAKANA, CJK = (list(SCRIPTS).index(name) for name in ("HIRAGANA", "KATAKANA", "CJK"))
APOSTROPHE, COMMA, SLASH, LESS, ELLIPSIS = 39, 44, 47, 60, 0x2026
_BIDI = frozenset([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])


def kind_of(character: str) -> int:
    """The kind of a character: one of the constants above."""
    if ord(character) in _BIDI:
        return BIDI
    category = unicodedata.category(character)
    if category[0] == "L":
        return UPPER if category in {"Lu", "Lt"} else LOWER
    if character.isspace():
        return SPACE
    return CONTROL if category == "Cc" else {"N": DIGIT, "P": PUNCTUATION}.get(category[0], OTHER)


@cache
def tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint16]]:
    """For each code point below 65,536: its kind (low 3 bits) and script (the rest), and its small letter."""
    kinds = np.array([kind_of(chr(c)) for c in range(65_536)], np.uint8)
    kinds[-1] = OTHER  # stands for every code point beyond
    lower = np.arange(65_536, dtype=np.uint16)
    for c in np.flatnonzero(kinds == UPPER).tolist():
        small = chr(c).lower()
        lower[c] = ord(small) if len(small) == 1 and ord(small) < 65_536 else c
    return np.asarray(kinds | (script_table() << 3), np.uint8), lower


@kernel()
def decode(data: Any, j: Any) -> tuple[Any, Any]:
    """The code point that starts at byte ``j`` of valid UTF-8, and the position after it."""
    c = np.int64(data[j])
    if c < 0x80:
        return c, j + 1
    more = 1 if c < 0xE0 else (2 if c < 0xF0 else 3)
    c &= 0x3F >> more
    for t in range(1, more + 1):
        c = (c << 6) | (np.int64(data[j + t]) & 0x3F)
    return c, j + more + 1


@kernel()
def hear(word: np.uint64, stops: Any, spoken: Any, heard: Any) -> None:
    """Add what one word says about the language."""
    at = np.searchsorted(stops, word)
    if at < len(stops) and stops[at] == word:
        for t in range(spoken.shape[1]):
            heard[t] += spoken[at, t]


@kernel()
def loudest(heard: Any, words: int) -> int:
    """The language that most was heard of: 1.5 words, 0.07 of all, and half as much again as any other; else -1.

    ``words`` are those that end in a letter. A share of them is asked for since a long text in a language that is not
    known has some words of another by chance.
    """
    best, first, second = -1, 0.0, 0.0
    for t in range(len(heard)):
        if heard[t] > first:
            best, first, second = t, heard[t], first
        elif heard[t] > second:
            second = heard[t]
    return best if first >= 1.5 and first >= 0.07 * words and first >= 1.5 * second else -1


@kernel()
def measure_texts(
    data: Any, offsets: Any, traits: Any, lower: Any, stops: Any, spoken: Any, out: Any, start: int, stop: int
) -> None:
    """Fill :data:`COLUMNS` for the rows from ``start`` to ``stop``; ``data`` holds UTF-8."""
    seed, prime, one = np.uint64(1469598103934665603), np.uint64(1099511628211), np.uint64(1)
    kinds = np.zeros(8, np.int64)
    met = np.zeros(16, np.int64)
    heard = np.zeros(spoken.shape[1], np.float64)
    for i in range(start, stop):
        row = out[i]
        kinds[:], met[:], heard[:] = 0, 0, 0
        seen, word, words = np.uint64(0), seed, 0
        spelt, told = False, 0
        before: Any = np.int64(-1)
        last: Any = np.int64(-1)
        run = 0
        j, end = offsets[i], offsets[i + 1]
        while j < end:
            c, j = decode(data, j)
            trait = traits[min(c, 65535)]
            kind = trait & 7
            kinds[kind] += 1
            met[trait >> 3] += kind <= UPPER
            if kind <= DIGIT or (c == APOSTROPHE and word != seed):
                word = (word ^ np.uint64(lower[c] if c < 65536 else c)) * prime
                spelt = kind <= UPPER
            if word != seed and (j == end or (kind > DIGIT and c != APOSTROPHE)):
                words += 1
                told += spelt
                seen |= one << ((word ^ (word >> np.uint64(32))) & np.uint64(63))
                hear(word, stops, spoken, heard)
                word = seed
            row[9] += c == 0xFFFD
            row[10] += (before in (0xC2, 0xC3, 0xE2)) and (0x80 <= c < 0xC0 or c == 0x20AC)
            row[11] += before == LESS and (c == SLASH or (c < 128 and kind <= UPPER))
            run = run + 1 if c == before else 1
            row[12] = max(row[12], run)
            before = c
            if kind != SPACE:
                last = c
        letters = kinds[0] + kinds[1]
        row[0], row[1], row[2], row[3], row[4] = kinds.sum(), words, letters, kinds[UPPER], kinds[DIGIT]
        row[5], row[6], row[7], row[8] = kinds[PUNCTUATION], kinds[SPACE], kinds[CONTROL], kinds[BIDI]
        row[13] = 2 if last == ELLIPSIS else (last >= 0 and ((traits[min(last, 65535)] & 7) <= DIGIT or last == COMMA))
        while seen:
            row[14] += 1
            seen &= seen - one
        top: Any = np.argmax(met)
        if top == CJK and 10 * (met[HIRAGANA] + met[KATAKANA]) > met[CJK]:
            top = HIRAGANA  # Japanese writes its roots in Chinese characters
        row[15] = top if letters else -1
        row[16] = met[top] / letters if letters else 0
        row[17] = loudest(heard, told)


def measure(texts: Any) -> npt.NDArray[np.float32]:
    """The statistics of each text of an Arrow string array, shape (n, len(COLUMNS)), float32; a null counts as empty.

    >>> found = dict(zip(COLUMNS, measure(pa.array(["Ab 1,"]))[0].tolist()))
    >>> [found[name] for name in ("characters", "words", "letters", "capitals", "digits", "ends_open")]
    [5.0, 2.0, 2.0, 1.0, 1.0, 1.0]
    """
    array = pc.fill_null(texts, "").cast(pa.large_binary())
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    n = len(array)
    out = np.zeros((n, len(COLUMNS)), np.float32)
    if n == 0:
        return out
    _, offsets, values = array.buffers()
    spans, data = frozen(offsets, np.int64)[array.offset : array.offset + n + 1], frozen(values, np.uint8)
    traits, lower = tables()
    stops, spoken = stop_words()
    over_rows(lambda a, b: measure_texts(data, spans, traits, lower, stops, spoken, out, a, b), n, least=512)
    _settle_languages(out)
    return out


def _settle_languages(out: npt.NDArray[np.float32]) -> None:
    """A script that only one language writes decides; a language is believed only in the script it is written in."""
    script, language = out[:, 15].astype(int), out[:, 17].astype(int)
    own = np.array([LANGUAGES.index(s) if s in LANGUAGES else -1 for s in SCRIPTS.values()] + [-1])
    writes = np.array([list(SCRIPTS).index(WRITTEN_IN[name]) for name in LANGUAGES] + [-2])
    fits = writes[language] == script
    out[:, 17] = np.where(own[script] >= 0, own[script], np.where(fits, language, -1))


@dataclass(frozen=True)
class TextStatistics(RowSignal):
    """Counts about each text, shape (n, len(COLUMNS)), float32; several text columns are read as one."""

    reads: ClassVar[tuple[Role, ...]] = (Role.TEXT,)
    version: ClassVar[int] = 3

    def measure(self, batch: Dataset, signals: Signals) -> npt.NDArray[np.float32]:
        """One pass over the bytes of the batch's texts."""
        columns = [batch.table.column(name).cast(pa.large_string()) for name in batch.roles[Role.TEXT]]
        if len(columns) == 1:
            return measure(columns[0])
        return measure(pc.binary_join_element_wise(*columns, pa.scalar(" ", pa.large_string()), null_handling="skip"))
