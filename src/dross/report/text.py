"""Text for people: numbers as they are written, and cells of the data made visible, short and harmless."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

_KEPT = frozenset("\n\t\u200c\u200d")
"""Line breaks, tabs, and the joiners that Persian, Indic scripts and emoji are spelled with."""
DIFF_WORDS = 400
ALIKE = 0.5


def visible(text: str) -> str:
    """The text with everything that acts instead of being read written out.

    Control characters become their pictures (␛), bidirectional and other invisible marks their code point (⟨202E⟩).

    >>> visible("a\\x1b[31m\\u202eb\\ud800")
    'a␛[31m⟨202E⟩b⟨D800⟩'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _KEPT or c == "\xa0" else _written_out(c) for c in text)


def _written_out(c: str) -> str:
    code = ord(c)
    if c == "\r":
        return ""
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if unicodedata.category(c) == "Zs":
        return " "
    return f"⟨{code:04X}⟩"


def cut(text: str, limit: int, length: int | None = None) -> str:
    """At most ``limit`` characters, visible, and how many there are in all where some are left out.

    ``length`` is the full length where ``text`` is a beginning already.

    >>> cut("abcdef", 3)
    'abc … (6 characters)'
    >>> cut("abc", 3)
    'abc'
    """
    full = len(text) if length is None else length
    if full <= limit:
        return visible(text)
    return f"{visible(text[:limit].rstrip())} … ({full:,} characters)"


def few_lines(text: str, lines: int) -> str:
    """At most so many lines; empty lines in a row become one.

    >>> few_lines("a\\n\\n\\n\\nb\\nc", 3)
    'a\\n\\nb'
    """
    return "\n".join(_EMPTY.sub("\n\n", text.replace("\r\n", "\n").strip("\n")).split("\n")[:lines])


def clipped(text: str, limit: int, lines: int, length: int | None = None) -> str:
    """:func:`cut`, and at most so many lines, as :func:`few_lines` counts them.

    >>> clipped("a\\n\\n\\n\\nb\\nc", 100, 3)
    'a\\n\\nb … (8 characters)'
    """
    full = len(text) if length is None else length
    every, short = few_lines(text, len(text)), few_lines(text, lines)
    if short == every:
        return cut(short, limit, full if full > limit else None)
    return cut(short, min(limit, full - 1), full)


def number(value: float | None, digits: int = 3) -> str:
    """A number with as many digits as a person reads.

    >>> number(1234567), number(0.12345), number(None), number(2.0)
    ('1,234,567', '0.123', '–', '2')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def percent(share: float | None) -> str:
    """A share in percent, with a decimal only where it matters.

    >>> percent(0.0912), percent(0.004), percent(0.01), percent(0.99951), percent(0.0), percent(None)
    ('9 %', '0.4 %', '1 %', '99.95 %', '0 %', '–')
    """
    if share is None or not math.isfinite(share):
        return "–"
    value = 100 * share
    if value in {0, 100}:
        return f"{value:.0f} %"
    for digits in (0, 1, 2):
        rounded = round(value, digits)
        if (rounded >= 2 or (digits and rounded > 0)) and rounded <= 100 - (2 if digits == 0 else 0.01):
            return f"{rounded:.{digits}f}".removesuffix(".0") + " %"
    return "< 0.01 %" if value < 1 else "> 99.99 %"


def interval(estimate: Sequence[float | None] | None) -> str:
    """The ends of an ``(estimate, low, high)`` triple in percent.

    >>> interval((0.09, 0.071, 0.113)), interval((0.99, 0.952, 0.99999))
    ('7–11 %', '95–100 %')
    """
    if estimate is None or len(estimate) < 3 or any(v is None or not math.isfinite(v) for v in estimate):
        return ""
    low, high = (_end(v) for v in estimate[1:3])
    return f"{low.removesuffix(' %')}–{high}" if low != high else low


def _end(share: float | None) -> str:
    """An end of an interval: as :func:`percent`, but rounded to 0 and 100 where that is the nearest."""
    words = percent(share)
    return "100 %" if words.startswith(">") else "0 %" if words.startswith("<") else words


def known(estimate: Sequence[float | None] | None) -> tuple[float, float, float] | None:
    """The triple, or None where it was not estimated."""
    if estimate is None or len(estimate) < 3:
        return None
    numbers = [math.nan if v is None else float(v) for v in estimate]
    return (numbers[0], numbers[1], numbers[2]) if math.isfinite(numbers[0]) else None


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun.

    >>> counted(1, "row"), counted(2400, "row"), counted(0, "copy", "copies")
    ('1 row', '2,400 rows', '0 copies')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(items: Sequence[str]) -> str:
    """Words in a row with commas and "and".

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def plain(value: Any, limit: int = 80) -> str:
    """Any value of a summary in a few visible words."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list | tuple):
        shown = [plain(v, 40) for v in value[:8]]
        return cut(", ".join(shown) + (", …" if len(value) > 8 else ""), limit * 3)
    if isinstance(value, dict):
        return cut("; ".join(f"{k}: {plain(v, 40)}" for k, v in list(value.items())[:8]), limit * 3)
    return cut(str(value), limit)


@dataclass(frozen=True)
class Piece:
    """A stretch of text and whether its counterpart has it too."""

    text: str
    differs: bool


def differences(left: str, right: str) -> tuple[list[Piece], list[Piece]]:
    """Two texts in pieces, word by word, marking what only one of them has; nothing where hardly a word is shared.

    O(words squared) in the worst case, so both are read up to :data:`DIFF_WORDS` words.

    >>> [p.text for p in differences("a red cat", "a blue cat")[1] if p.differs]
    ['blue']
    """
    words = [_WORD.findall(text)[:DIFF_WORDS] for text in (left, right)]
    matcher = SequenceMatcher(None, words[0], words[1], autojunk=False)
    if matcher.ratio() < ALIKE:
        return [Piece(left, differs=False)], [Piece(right, differs=False)]
    sides: tuple[list[Piece], list[Piece]] = ([], [])
    for kind, a, b, c, d in matcher.get_opcodes():
        for side, part in ((0, words[0][a:b]), (1, words[1][c:d])):
            if part:
                sides[side].append(Piece("".join(part), kind != "equal"))
    if any(p.differs and p.text.strip() for side in sides for p in side):  # spaces count only where nothing else does
        sides = (_words_only(sides[0]), _words_only(sides[1]))
    return sides


def _words_only(side: list[Piece]) -> list[Piece]:
    return [Piece(p.text, p.differs and bool(p.text.strip())) for p in side]


_EMPTY = re.compile(r"\n\s*\n\s*\n+")
_WORD = re.compile(r"\w+|\s+|[^\w\s]")
