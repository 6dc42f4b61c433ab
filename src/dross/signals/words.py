"""Words: how the corpus filters cut texts of any language, without a model of it.

A *token* is a word or a symbol. A *word* is an unbroken run of letters, digits, combining marks and underscores with at
least one letter or digit, in which a single apostrophe, full stop or middle dot may stand between two letters and a
single full stop, comma or apostrophe between two digits: the default word boundaries of Unicode (UAX #29), except that
scripts written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) count each letter as a word. Every other
visible character is a *symbol*, but a run of one dot, dash or underscore is a single one. White space, control
characters, and marks without a letter before them are no tokens.
"""

from __future__ import annotations

import functools
import unicodedata
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.compiled import kernel
from dross.signals.content_hash import text_buffers
from dross.signals.text_statistics import decode

SPACE, LETTER, NUMBER, MARK, LINK, ALONE, SYMBOL = range(7)
"""The kinds of code points; the low three bits of a trait."""
KIND, JOINS_LETTERS, JOINS_NUMBERS, TERMINAL, ALPHABETIC, ONE_RUN = 7, 8, 16, 32, 64, 128
"""What else a trait says: may stand between letters or digits, ends a sentence, is a letter, is one symbol in a run."""
LAST = (1 << 17) - 1
"""The code point whose trait stands for all from there on: they are Chinese characters."""
PLAIN, NUMERAL, ALPHABETIC_WORD = range(3)
"""The kinds of tokens: a symbol, a word without a letter, a word with one."""

TERMINALS = (
    (0x21, 0x22), (0x2E, 0x2F), (0x3F, 0x40), (0x589, 0x58A), (0x61D, 0x620), (0x6D4, 0x6D5), (0x700, 0x703),
    (0x7F9, 0x7FA), (0x837, 0x838), (0x839, 0x83A), (0x83D, 0x83F), (0x964, 0x966), (0x104A, 0x104C),
    (0x1362, 0x1363), (0x1367, 0x1369), (0x166E, 0x166F), (0x1735, 0x1737), (0x17D4, 0x17D6), (0x1803, 0x1804),
    (0x1809, 0x180A), (0x1944, 0x1946), (0x1AA8, 0x1AAC), (0x1B4E, 0x1B50), (0x1B5A, 0x1B5C), (0x1B5E, 0x1B60),
    (0x1B7D, 0x1B80), (0x1C3B, 0x1C3D), (0x1C7E, 0x1C80), (0x2024, 0x2025), (0x203C, 0x203E), (0x2047, 0x204A),
    (0x2CF9, 0x2CFC), (0x2E2E, 0x2E2F), (0x2E3C, 0x2E3D), (0x2E53, 0x2E55), (0x3002, 0x3003), (0xA4FF, 0xA500),
    (0xA60E, 0xA610), (0xA6F3, 0xA6F4), (0xA6F7, 0xA6F8), (0xA876, 0xA878), (0xA8CE, 0xA8D0), (0xA92F, 0xA930),
    (0xA9C8, 0xA9CA), (0xAA5D, 0xAA60), (0xAAF0, 0xAAF2), (0xABEB, 0xABEC), (0xFE12, 0xFE13), (0xFE15, 0xFE17),
    (0xFE52, 0xFE53), (0xFE56, 0xFE58), (0xFF01, 0xFF02), (0xFF0E, 0xFF0F), (0xFF1F, 0xFF20), (0xFF61, 0xFF62),
    (0x10A56, 0x10A58), (0x10F55, 0x10F5A), (0x10F86, 0x10F8A), (0x11047, 0x11049), (0x110BE, 0x110C2),
    (0x11141, 0x11144), (0x111C5, 0x111C7), (0x111CD, 0x111CE), (0x111DE, 0x111E0), (0x11238, 0x1123A),
    (0x1123B, 0x1123D), (0x112A9, 0x112AA), (0x1144B, 0x1144D), (0x115C2, 0x115C4), (0x115C9, 0x115D8),
    (0x11641, 0x11643), (0x1173C, 0x1173F), (0x11944, 0x11945), (0x11946, 0x11947), (0x11A42, 0x11A44),
    (0x11A9B, 0x11A9D), (0x11C41, 0x11C43), (0x11EF7, 0x11EF9), (0x11F43, 0x11F45), (0x16A6E, 0x16A70),
    (0x16AF5, 0x16AF6), (0x16B37, 0x16B39), (0x16B44, 0x16B45), (0x16E98, 0x16E99), (0x1BC9F, 0x1BCA0),
    (0x1DA88, 0x1DA89),
)  # fmt: skip
"""The characters with Unicode's property Sentence_Terminal, as ranges."""
_UNSPACED = ((0x0E00, 0x0F00), (0x1000, 0x10A0), (0x1780, 0x1800), (0x2E80, 0x3000), (0x3040, 0x3130), (0x31A0, 0xA4D0),
             (0xF900, 0xFB00))  # fmt: skip
_BETWEEN_LETTERS, _BETWEEN_NUMBERS = ".'‘’․﹒＇．··״‧", ".'‘’․﹒＇．,;；，،٬"


@functools.cache
def traits() -> npt.NDArray[np.uint8]:
    """The trait of each code point up to :data:`LAST`, shape (2**17,), uint8.

    >>> [int(traits()[ord(c)] & KIND) for c in "a é語☂_"] == [LETTER, SPACE, LETTER, ALONE, SYMBOL, LINK]
    True
    """
    of = {"L": LETTER, "M": MARK, "N": NUMBER, "Z": SPACE, "P": SYMBOL, "S": SYMBOL}
    table = np.zeros(LAST + 1, np.uint8)
    for point in range(LAST + 1):
        category = unicodedata.category(chr(point))
        kind = {"Pc": LINK, "Cf": MARK, "Cc": SPACE, "Cs": SPACE}.get(category, of.get(category[0], SYMBOL))
        table[point] = kind | (category[0] == "L") * ALPHABETIC | (category == "Pd") * ONE_RUN
    for first, last in _UNSPACED:
        alone = np.isin(table[first:last] & KIND, (LETTER, NUMBER))
        table[first:last][alone] = (table[first:last][alone] & ALPHABETIC) | ALONE
    for first, last in TERMINALS:
        table[first:last] |= TERMINAL
    for bit, characters in ((JOINS_LETTERS, _BETWEEN_LETTERS), (JOINS_NUMBERS, _BETWEEN_NUMBERS), (ONE_RUN, "._")):
        table[[ord(c) for c in characters]] |= bit
    table[-1] = ALONE | ALPHABETIC
    table.flags.writeable = False
    return table


# ---- kernels -----------------------------------------------------------------------------------------------------


@kernel()
def trait_at(data: Any, j: Any, table: Any) -> tuple[Any, Any, Any]:
    """The code point at byte ``j`` of UTF-8, its trait, and the position after it."""
    b = np.int64(data[j])
    if b < 0x80:
        return b, table[b], j + 1
    c, after = decode(data, j)
    return c, table[min(c, 131_071)], after


@kernel()
def joined(data: Any, j: Any, stop: Any, table: Any, before: Any, trait: Any) -> bool:
    """Whether a character with this trait, after a letter or digit and before byte ``j``, joins them into one word."""
    if before == 0 or trait & (4 << before) == 0 or j >= stop:
        return False
    _, following, _ = trait_at(data, j, table)
    return bool((following & 7) == before)


@kernel()
def take_word(data: Any, j: Any, stop: Any, table: Any) -> tuple[Any, Any, Any, Any]:
    """The word that begins at byte ``j``: the position after it, its hash, its characters and its kind of token."""
    h, prime = np.uint64(0xCBF29CE484222325), np.uint64(0x9E3779B97F4A7C15)
    size, before, kind = 0, 0, 0
    while j < stop:
        c, trait, after = trait_at(data, j, table)
        sort = trait & 7
        if sort == 1 or sort == 2:  # noqa: PLR1714 - compiles to two comparisons
            kind |= sort | ((trait & 64) >> 5)
            before = sort
        elif sort != 3 and sort != 4 and not joined(data, after, stop, table, before, trait):  # noqa: PLR1714
            break
        else:
            before = before if sort == 3 else 0
        h = (h ^ np.uint64(c)) * prime
        size += 1
        j = after
    return j, h ^ (h >> np.uint64(32)), size, (2 if kind & 1 else (1 if kind else 0))


@kernel()
def take_symbol(data: Any, j: Any, stop: Any, table: Any) -> tuple[Any, Any, Any]:
    """The symbol at byte ``j``, or the run of one dot or dash: the position after it, its hash and its characters."""
    c, trait, after = trait_at(data, j, table)
    size = 1
    while trait & 128 and after < stop:
        following, _, beyond = trait_at(data, after, table)
        if following != c:
            break
        size += 1
        after = beyond
    h = (np.uint64(c) + np.uint64(size << 32)) * np.uint64(0x9E3779B97F4A7C15)
    return after, h ^ (h >> np.uint64(32)), size


@kernel()
def tokenize(data: Any, j: Any, stop: Any, table: Any, hashes: Any, sizes: Any, kinds: Any) -> tuple[Any, Any]:
    """Write the hash, the characters and the kind of the tokens from byte ``j`` on, as many as there is room for.

    How many there are, and the byte to go on from.
    """
    count = 0
    while j < stop and count < len(hashes):
        _, trait, after = trait_at(data, j, table)
        sort = trait & 7
        if sort == 0 or sort == 3:  # noqa: PLR1714
            j = after
            continue
        if sort == 6:
            j, hashes[count], sizes[count] = take_symbol(data, j, stop, table)
            kinds[count] = 0
        elif sort == 5:
            word = (np.uint64(trait) << np.uint64(56)) ^ np.uint64(data[j])
            for t in range(j + 1, after):
                word = (word << np.uint64(8)) ^ np.uint64(data[t])
            hashes[count], sizes[count] = word * np.uint64(0x9E3779B97F4A7C15), 1
            kinds[count] = 2 if trait & 64 else 1
            j = after
        else:
            j, hashes[count], sizes[count], kinds[count] = take_word(data, j, stop, table)
        count += 1
    return count, j


def tokens_of(text: str) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """The hash, the number of characters and the kind of each token of one text, each of shape (m,).

    >>> hashes, sizes, kinds = tokens_of("Don't -- the 3,000... 語")
    >>> sizes.tolist(), kinds.tolist()
    ([5, 2, 3, 5, 3, 1], [2, 0, 2, 1, 0, 2])
    """
    data, offsets = text_buffers(pa.array([text], pa.large_string()))
    data.flags.writeable = offsets.flags.writeable = False
    size = max(1, int(offsets[1] - offsets[0]))
    hashes, sizes, kinds = np.empty(size, np.uint64), np.empty(size, np.int32), np.empty(size, np.uint8)
    count, _ = tokenize(data, offsets[0], offsets[1], traits(), hashes, sizes, kinds)
    return hashes[:count], sizes[:count], kinds[:count]


def lookup(keys: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """An open-addressing table of distinct hashes: the slots and which key each holds, -1 for none.

    Its size is a power of two and at least four times the number of keys.

    >>> slots, which = lookup(np.array([5, 9], np.uint64)); find(slots, which, np.uint64(9))
    1
    """
    size = 8
    while size < 4 * len(keys):
        size *= 2
    slots, which = np.zeros(size, np.uint64), np.full(size, -1, np.int32)
    fill(keys, slots, which)
    slots.flags.writeable = which.flags.writeable = False
    return slots, which


@kernel()
def fill(keys: Any, slots: Any, which: Any) -> None:
    """Put keys into a table; of equal ones the first stays."""
    mask = np.uint64(len(slots) - 1)
    for i in range(len(keys)):
        at = (keys[i] ^ (keys[i] >> np.uint64(29))) & mask
        while which[at] >= 0 and slots[at] != keys[i]:
            at = (at + np.uint64(1)) & mask
        if which[at] < 0:
            slots[at], which[at] = keys[i], i


@kernel()
def find(slots: Any, which: Any, key: Any) -> Any:
    """The number of a key in a table, -1 when it is not there."""
    mask = np.uint64(len(slots) - 1)
    at = (key ^ (key >> np.uint64(29))) & mask
    while which[at] >= 0:
        if slots[at] == key:
            return which[at]
        at = (at + np.uint64(1)) & mask
    return -1
