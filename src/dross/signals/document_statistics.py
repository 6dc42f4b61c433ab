"""Document statistics: what the published quality filters count about each text, in one pass over its words and one
over its lines.

Words and symbols are those of :mod:`dross.signals.words`. A *line* is what stands between two line ends (line feed,
carriage return, both together, vertical tab, form feed, U+0085, U+2028, U+2029) and has something visible in it; a
*paragraph* is a run of lines with no blank one between.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.compiled import kernel, over_rows
from dross.core.errors import DrossError
from dross.core.hashing import mix
from dross.signals.content_hash import text_buffers
from dross.signals.words import find, lookup, tokenize, tokens_of, trait_at, traits

COUNTED = (
    "characters", "tokens", "words", "word_characters", "alphabetic", "hashes", "ellipses", "stop_words",
    "line_ends", "lines", "paragraphs", "bullet_lines", "ellipsis_lines", "terminal_lines", "short_lines",
    "duplicate_lines", "duplicate_line_characters", "duplicate_paragraphs", "duplicate_paragraph_characters",
)  # fmt: skip
"""What is counted. ``tokens`` are words and symbols, ``alphabetic`` words with a letter, ``hashes`` the signs ``#``,
``ellipses`` three dots in a row or ``…``, ``stop_words`` how many different ones there are; ``terminal_lines`` end in a
sentence's end, and duplicates are lines (paragraphs) that stood before, to the letter."""
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""The stop words of Gopher (Rae et al., 2021, appendix A.1.1)."""
SHORT = 30
"""Characters of a short line (Penedo et al., "The FineWeb Datasets", 2024, section 3.6)."""
BULLETS = "•‣◦●▪⁃-–*"
_LONGEST, _TOKENS = 64, 4096
Counts = npt.NDArray[np.int64]


# ---- words -------------------------------------------------------------------------------------------------------


@kernel()
def add_words(sizes: Any, kinds: Any, hashes: Any, count: Any, slots: Any, which: Any, row: Any) -> Any:
    """Add tokens to the counts of a text; the stop words among them as bits."""
    met, one = np.uint64(0), np.uint64(1)
    words = letters = alphabetic = 0
    for t in range(count):
        if kinds[t] > 0:
            words += 1
            letters += sizes[t]
            if kinds[t] == 2:
                alphabetic += 1
                stop = find(slots, which, hashes[t])
                if stop >= 0:
                    met |= one << np.uint64(stop & 63)
    row[1] += count
    row[2] += words
    row[3] += letters
    row[4] += alphabetic
    return met


# ---- lines -------------------------------------------------------------------------------------------------------


@kernel()
def line_end(data: Any, j: Any, stop: Any) -> tuple[Any, Any]:
    """Where the line that byte ``j`` stands in ends, and where the next begins."""
    while j < stop:
        b = data[j]
        if 10 <= b <= 13:
            both = b == 13 and j + 1 < stop and data[j + 1] == 10
            return j, j + (2 if both else 1)
        if b == 0xC2 and data[j + 1] == 0x85:
            return j, j + 2
        if b == 0xE2 and data[j + 1] == 0x80 and (data[j + 2] == 0xA8 or data[j + 2] == 0xA9):
            return j, j + 3
        j += 1
    return stop, stop


@kernel()
def most_lines(data: Any, offsets: Any, start: int, stop: int) -> int:
    """An upper bound of the lines of any of these texts."""
    most = 0
    for i in range(start, stop):
        lines = 1
        for j in range(offsets[i], offsets[i + 1]):
            b = data[j]
            lines += (b - 10) <= 3 or b == 0x85 or b == 0xA8 or b == 0xA9  # noqa: PLR1714
        most = max(most, lines)
    return most


@kernel()
def hash_span(data: Any, a: Any, b: Any) -> Any:
    """The hash of some bytes."""
    h = np.uint64(b - a) * np.uint64(0x9FB21C651E98DF25)
    while a + 8 <= b:
        word = np.uint64(0)
        for s in range(8):
            word |= np.uint64(data[a + s]) << np.uint64(8 * s)
        h = mix(h ^ word)
        a += 8
    word = np.uint64(0)
    for s in range(b - a):
        word |= np.uint64(data[a + s]) << np.uint64(8 * s)
    return mix(h ^ word)


@kernel()
def first_visible(data: Any, a: Any, b: Any, table: Any) -> tuple[Any, Any]:
    """Where the first visible character of a span stands, and its code point; the span's end when it is blank."""
    while a < b:
        c, trait, after = trait_at(data, a, table)
        if trait & 7:
            return a, c
        a = after
    return b, np.int64(0)


@kernel()
def last_visible(data: Any, a: Any, b: Any, table: Any) -> tuple[Any, Any, Any]:
    """The last visible character of a span that has one: where it stands, its code point and its trait."""
    while True:
        b -= 1
        while b > a and data[b] & 0xC0 == 0x80:
            b -= 1
        c, trait, _ = trait_at(data, b, table)
        if trait & 7 or b <= a:
            return b, c, trait


@kernel()
def characters(data: Any, a: Any, b: Any) -> int:
    """The characters of a span of UTF-8."""
    n = 0
    for j in range(a, b):
        n += (data[j] & 0xC0) != 0x80
    return n


@kernel()
def is_bullet(c: Any) -> bool:
    """Whether a line that begins with this character is an item of a list."""
    if c < 0x80:
        return bool(c == 0x2D or c == 0x2A)  # noqa: PLR1714
    circle = c == 0x2022 or c == 0x25E6 or c == 0x25CF  # noqa: PLR1714
    return bool(circle or c == 0x2023 or c == 0x25AA or c == 0x2043 or c == 0x2013)  # noqa: PLR1714


@kernel()
def met_before(keys: Any, stamps: Any, key: Any, stamp: Any) -> bool:
    """Whether a key was put into a table under this stamp before; it is now."""
    mask = np.uint64(len(keys) - 1)
    at = key & mask
    while stamps[at] == stamp:
        if keys[at] == key:
            return True
        at = (at + np.uint64(1)) & mask
    keys[at], stamps[at] = key, stamp
    return False


@kernel()
def add_line(data: Any, a: Any, b: Any, at: Any, table: Any, first: Any, short: Any, row: Any) -> Any:
    """Add a line, whose first visible character ``first`` stands at ``at``, to the counts; its characters."""
    size = characters(data, a, b)
    end, last, trait = last_visible(data, at, b, table)
    dots = last == 0x2E and end - at >= 2 and data[end - 1] == 0x2E and data[end - 2] == 0x2E
    row[9] += 1
    row[11] += is_bullet(first)
    row[12] += dots or last == 0x2026
    row[13] += (trait & 32) != 0
    row[14] += size <= short
    return size


@kernel()
def add_paragraph(keys: Any, stamps: Any, key: Any, stamp: Any, size: Any, row: Any) -> None:
    """Add a paragraph to the counts."""
    row[10] += 1
    if met_before(keys, stamps, key, stamp):
        row[17] += 1
        row[18] += size


@kernel()
def add_lines(
    data: Any, a: Any, stop: Any, table: Any, short: Any, keys: Any, stamps: Any, stamp: Any, row: Any
) -> None:
    """Add the lines and paragraphs of one text; the tables have two rows, and more room than there are lines."""
    paragraph, size = np.uint64(0), 0
    while a < stop:
        b, following = line_end(data, a, stop)
        row[8] += following > b
        at, first = first_visible(data, a, b, table)
        if at < b:
            length = add_line(data, a, b, at, table, first, short, row)
            key = hash_span(data, a, b)
            if met_before(keys[0], stamps[0], key, stamp):
                row[15] += 1
                row[16] += length
            paragraph = mix(paragraph ^ key) + np.uint64(1)
            size += length + (size > 0)
        elif size:
            add_paragraph(keys[1], stamps[1], paragraph, stamp, size, row)
            paragraph, size = np.uint64(0), 0
        a = following
    if size:
        add_paragraph(keys[1], stamps[1], paragraph, stamp, size, row)


@kernel()
def add_signs(data: Any, a: Any, b: Any, row: Any) -> None:
    """Add the characters, the signs ``#`` and the ellipses of one text."""
    n = signs = ellipses = dots = 0
    for j in range(a, b):
        c = data[j]
        n += (c & 0xC0) != 0x80
        signs += c == 0x23
        dots = dots + 1 if c == 0x2E else 0
        ellipses += dots == 3 or (c == 0xA6 and j - a >= 2 and data[j - 1] == 0x80 and data[j - 2] == 0xE2)
        dots = 0 if dots == 3 else dots
    row[0], row[5], row[6] = n, signs, ellipses


# ---- texts -------------------------------------------------------------------------------------------------------


@kernel()
def count_all(
    data: Any, offsets: Any, table: Any, slots: Any, which: Any, short: Any, room: Any, out: Any, start: int, stop: int
) -> None:
    """Fill :data:`COUNTED` for the texts from ``start`` to ``stop``; ``room`` is a power of two above their lines."""
    hashes, sizes, kinds = np.empty(4096, np.uint64), np.empty(4096, np.int32), np.empty(4096, np.uint8)
    keys, stamps = np.empty((2, room), np.uint64), np.full((2, room), -1, np.int64)
    one = np.uint64(1)
    for i in range(start, stop):
        j, end = offsets[i], offsets[i + 1]
        add_signs(data, j, end, out[i])
        add_lines(data, j, end, table, short, keys, stamps, i, out[i])
        met = np.uint64(0)
        while j < end:
            count, j = tokenize(data, j, end, table, hashes, sizes, kinds)
            met |= add_words(sizes, kinds, hashes, count, slots, which, out[i])
        while met:
            out[i, 7] += 1
            met &= met - one


@functools.lru_cache(maxsize=16)
def stop_table(words: tuple[str, ...]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """The lookup table of stop words in small letters, in capitals and with a capital first letter.

    Raises
    ------
    DrossError
        A stop word that is not one word, or more than 64 of them.
    """
    if len(set(words)) > _LONGEST:
        raise DrossError(f"there are {len(set(words))} stop words", fix=f"give at most {_LONGEST}, the commonest")
    which: dict[int, int] = {}
    for number, word in enumerate(dict.fromkeys(words)):
        for form in (word.lower(), word.upper(), word.capitalize(), word):
            hashes, _, kinds = tokens_of(form)
            if kinds.tolist() != [2]:
                raise DrossError(f"the stop word {word!r} is not one word", fix="give single words")
            which.setdefault(int(hashes[0]), number)
    slots, order = lookup(np.array(list(which), np.uint64))
    numbers = np.array([*which.values(), -1], np.int32)[order]
    numbers.flags.writeable = False
    return slots, numbers


@dataclass(frozen=True)
class DocumentStatistics:
    """What the quality filters count, as a function of texts, so that a batch is counted once for all steps.

    Gopher: Rae et al., "Scaling Language Models: Methods, Analysis & Insights from Training Gopher", 2021, appendix
    A.1.1; FineWeb: Penedo et al., "The FineWeb Datasets: Decanting the Web for the Finest Text Data at Scale", 2024.
    O(bytes), each text in constant memory but for a table of its lines.

    Attributes
    ----------
    stop_words
        The words counted as stop words, at most 64.
    short
        Lines of at most so many characters are short.

    Examples
    --------
    >>> found = DocumentStatistics()(pa.array(["- The cat...\\n\\n- The cat...\\n", ""], pa.large_string()))
    >>> [int(found[name][0]) for name in ("tokens", "words", "stop_words", "lines", "ellipsis_lines", "bullet_lines")]
    [8, 4, 1, 2, 2, 2]
    >>> [int(found[name][0]) for name in ("paragraphs", "duplicate_lines", "duplicate_line_characters")]
    [2, 1, 12]
    """

    stop_words: tuple[str, ...] = STOP_WORDS
    short: int = SHORT

    def __call__(self, texts: pa.LargeStringArray) -> npt.NDArray[Any]:
        """A structured array of shape (n,) with a field of int64 for each of :data:`COUNTED`."""
        data, offsets = text_buffers(texts)
        data.flags.writeable = offsets.flags.writeable = False  # always, so that the kernel compiles once
        out = np.zeros((len(texts), len(COUNTED)), np.int64)
        slots, which = stop_table(self.stop_words)
        table = traits()

        def work(start: int, stop: int) -> None:
            room = 1 << (2 * most_lines(data, offsets, start, stop)).bit_length()
            count_all(data, offsets, table, slots, which, self.short, room, out, start, stop)

        over_rows(work, len(texts), least=256)
        return out.view([(name, np.int64) for name in COUNTED])[:, 0]


def shares(part: Any, whole: Any) -> npt.NDArray[np.float64]:
    """``part / whole``, 0 where the whole is nothing.

    >>> shares(np.array([1, 0]), np.array([4, 0])).tolist()
    [0.25, 0.0]
    """
    return np.asarray(np.divide(part, whole, out=np.zeros(len(part)), where=np.asarray(whole) > 0), np.float64)
