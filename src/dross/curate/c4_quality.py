"""C4 quality: lines that are no sentences are taken out, and texts of which too little is left are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.compiled import kernel, over_rows
from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.step import Rows, RowStep, Verdict
from dross.signals.content_hash import text_buffers
from dross.signals.document_statistics import first_visible, last_visible, line_end
from dross.signals.words import trait_at, traits

POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
LOREM, CURLY, LINES, SENTENCES, LENGTH = range(5)
"""Columns of what is found of each text: the number of the line with ``lorem ipsum`` (with ``{``), 0 for none; the
lines and sentences left; the bytes left."""


# ---- kernels -----------------------------------------------------------------------------------------------------


@kernel()
def citation(data: Any, j: Any, stop: Any, marks: Any) -> int:
    """The bytes of the citation mark at byte ``j``: ``[12]``, ``[]``, or one of the given ones; 0 for none."""
    t = j + 1
    while t < stop and 0x30 <= data[t] <= 0x39:
        t += 1
    if t < stop and data[t] == 0x5D:
        return int(t + 1 - j)
    for m in range(marks.shape[0]):
        size = 0
        while size < marks.shape[1] and marks[m, size] and j + size < stop and data[j + size] == marks[m, size]:
            size += 1
        if size and (size == marks.shape[1] or marks[m, size] == 0):
            return size
    return 0


@kernel()
def copy_line(data: Any, a: Any, b: Any, marks: Any, out: Any, at: Any) -> Any:
    """Copy a line without its citation marks (of which there are none when none are given); where the copy ends."""
    while a < b:
        skip = citation(data, a, b, marks) if data[a] == 0x5B and marks.shape[0] else 0
        if skip:
            a += skip
            continue
        out[at] = data[a]
        at += 1
        a += 1
    return at


@kernel()
def word_shape(data: Any, a: Any, b: Any, table: Any) -> tuple[int, int]:
    """The words of a line, as white space divides them, and the characters of the longest."""
    words = longest = size = 0
    while a < b:
        _, trait, a = trait_at(data, a, table)
        size = size + 1 if trait & 7 else 0
        words += size == 1
        longest = max(longest, size)
    return words, longest


@kernel()
def is_quote(c: Any) -> bool:
    """Whether a sentence's end may stand before this mark: quotation marks."""
    return bool(c == 0x22 or c == 0x27 or c == 0x2019 or c == 0x201D)  # noqa: PLR1714


@kernel()
def is_closing(c: Any) -> bool:
    """Whether a character closes what a sentence stands in."""
    bracket = c == 0x29 or c == 0x5D or c == 0x7D or c == 0xFF09  # noqa: PLR1714
    return bool(is_quote(c) or bracket or c == 0xBB or c == 0x300D or c == 0x300F)  # noqa: PLR1714


@kernel()
def ends_well(data: Any, a: Any, b: Any, table: Any) -> bool:
    """Whether a line that is not blank ends in a sentence's end or a quotation mark, and not in three dots."""
    at, c, trait = last_visible(data, a, b, table)
    if c == 0x2E:
        return not (at - a >= 2 and data[at - 1] == 0x2E and data[at - 2] == 0x2E)
    return bool((trait & 32) != 0 or is_quote(c))


@kernel()
def count_sentences(data: Any, a: Any, b: Any, table: Any) -> int:
    """The sentences of a line.

    One ends at a terminal mark before white space, closing marks between; not at a full stop after a single letter or
    after another one. In scripts whose mark is not followed by a space the mark is enough.
    """
    n, begun, ended, letters, dots = 0, False, False, 0, 0
    while a < b:
        c, trait, a = trait_at(data, a, table)
        if trait & 32:
            dots = dots + 1 if c == 0x2E else 0
            ended = c != 0x2E or (dots == 1 and letters != 1)
            begun, letters = True, 0
            if c >= 0x3000:
                n, begun, ended = n + 1, False, False
        elif trait & 7 == 0:
            n, begun = (n + 1, False) if ended else (n, begun)
            ended, letters, dots = False, 0, 0
        elif not is_closing(c):
            letters = letters + 1 if trait & 64 else 0
            begun, ended, dots = True, False, 0
    return n + (1 if begun else 0)


@kernel()
def phrases_in(data: Any, a: Any, b: Any, phrases: Any, heads: Any) -> Any:
    """Which phrases, in small letters, stand in a span, whatever the case of its ASCII letters: a bit each."""
    found, one = np.uint64(0), np.uint64(1)
    for j in range(a, b):
        if not heads[data[j]]:
            continue
        for p in range(phrases.shape[0]):
            size = 0
            while size < phrases.shape[1] and phrases[p, size] and j + size < b:
                c = data[j + size]
                if (c + 32 if 65 <= c <= 90 else c) != phrases[p, size]:
                    break
                size += 1
            if size and (size == phrases.shape[1] or phrases[p, size] == 0):
                found |= one << np.uint64(p)
    return found


@kernel()
def clean_text(
    data: Any, a: Any, stop: Any, table: Any, marks: Any, phrases: Any, heads: Any, limits: Any, out: Any, row: Any
) -> None:
    """Copy the lines of a text that stay to ``out``, from the text's own place on, and fill its row.

    The first phrase drops the text, the second too when the line stays otherwise, the others take out the line.
    """
    at, number, begun = a, 0, a
    while a < stop:
        b, following = line_end(data, a, stop)
        number += 1
        first, _ = first_visible(data, a, b, table)
        a = following
        line = at + 1 if at > begun else at
        end = copy_line(data, first, b, marks, out, line)
        head, _ = first_visible(out, line, end, table)
        if head == end:
            continue
        last, _, _ = last_visible(out, head, end, table)
        _, _, end = trait_at(out, last, table)
        words, longest = word_shape(out, head, end, table)
        if longest > limits[0] or words < limits[1] or (limits[2] and not ends_well(out, head, end, table)):
            continue
        found = phrases_in(out, head, end, phrases, heads)
        if found & np.uint64(1):
            row[0] = number
            break
        if found & np.uint64(4):  # the script comes before the bracket, as in the reference
            continue
        if found & np.uint64(2):
            row[1] = number
            break
        if found:
            continue
        row[2] += 1
        row[3] += count_sentences(out, head, end, table)
        if line > at:
            out[at] = 10
        for t in range(head, end):  # what a citation mark left in front of the line
            out[line + t - head] = out[t]
        at = line + end - head
    row[4] = at - begun


@kernel()
def clean_all(
    data: Any, offsets: Any, table: Any, marks: Any, phrases: Any, heads: Any, limits: Any, out: Any, rows: Any,
    start: int, stop: int,
) -> None:  # fmt: skip
    """Clean the texts from ``start`` to ``stop``."""
    for i in range(start, stop):
        clean_text(data, offsets[i], offsets[i + 1], table, marks, phrases, heads, limits, out, rows[i])


@kernel()
def gather(data: Any, offsets: Any, cleaned: Any, kept: Any, starts: Any, out: Any, start: int, stop: int) -> None:
    """Put the texts together, the cleaned ones of those that are kept and the others as they were."""
    for i in range(start, stop):
        for t in range(starts[i + 1] - starts[i]):
            out[starts[i] + t] = cleaned[offsets[i] + t] if kept[i] else data[offsets[i] + t]


# ---- the step ----------------------------------------------------------------------------------------------------


def padded(phrases: list[str]) -> npt.NDArray[np.uint8]:
    """Phrases in UTF-8, one a row, with zeros after their ends.

    >>> padded(["ab", "c"]).tolist()
    [[97, 98], [99, 0]]
    """
    raw = [phrase.encode() for phrase in phrases]
    table = np.zeros((len(raw), max(map(len, raw), default=1)), np.uint8)
    for row, one in zip(table, raw, strict=True):
        row[: len(one)] = np.frombuffer(one, np.uint8)
    return table


@dataclass(frozen=True)
class C4Quality(RowStep):
    """Lines that are no sentences are taken out of each text, and texts of which too little is left are dropped.

    Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2020, section
    2.2, in the order of its reference code: the phrases that drop a text are looked for in lines that would stay. Lines
    that stay are stripped of white space at their ends and joined by line feeds. Different from datatrove, curly
    closing quotes and the sentence ends of other scripts count, what stands before a citation mark ends the line, and
    sentences are told by a rule (:func:`count_sentences`) and not by a tokenizer of one language.

    Attributes
    ----------
    sentence_lines
        Take out lines that do not end in ``.``, ``!``, ``?``, a sentence's end of another script, or a quotation mark,
        or that end in three dots.
    min_words
        Of a line, as white space divides it.
    max_word_length
        Characters of a line's longest word.
    citations
        Take ``[1]``, ``[]``, ``[edit]`` and ``[citation needed]`` out of lines.
    javascript
        Take out lines with this word.
    policies
        Phrases that take out a line, at most 60; the case of ASCII letters does not count.
    lorem_ipsum, curly_bracket
        Drop texts with these words, with ``{``.
    min_sentences
        Of a text, in the lines that are left.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows = Rows(pa.table({"text": ["Home | Login\\nThe sea was calm.[1] We swam.", "Menu"]}), "text")
    >>> found = C4Quality(min_sentences=2).judge(rows, None)
    >>> found.changed["text"][0].as_py(), found.reason.tolist()
    ('The sea was calm. We swam.', [-1, 2])
    """

    paper: ClassVar = Paper("Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2020,
                            "1910.10683")  # fmt: skip
    reasons: ClassVar[tuple[str, ...]] = ("lorem_ipsum", "curly_bracket", "no_line_left", "too_few_sentences")

    sentence_lines: bool = True
    min_words: int = 3
    max_word_length: int = 1000
    citations: bool = True
    javascript: bool = True
    policies: tuple[str, ...] = POLICIES
    lorem_ipsum: bool = True
    curly_bracket: bool = True
    min_sentences: int = 5

    def __post_init__(self) -> None:
        if len(self.policies) > 60 or any("\0" in phrase for phrase in self.policies):
            raise DrossError(
                f"{len(self.policies)} policies", where="c4-quality", fix="give at most 60 phrases of text"
            )

    def judge(self, rows: Rows, ready: Any) -> Verdict:
        """Clean the lines, then count what is left."""
        texts = rows.text(self.column)
        data, offsets = text_buffers(texts)
        data.flags.writeable = offsets.flags.writeable = False  # always, so that the kernels compile once
        found, cleaned = np.zeros((len(texts), 5), np.int64), np.empty(int(offsets[-1]) + 1, np.uint8)
        asked = ("lorem ipsum", self.lorem_ipsum), ("{", self.curly_bracket), ("javascript", self.javascript)
        phrases = padded([phrase if wanted else "" for phrase, wanted in asked] + [p.lower() for p in self.policies])
        heads = np.zeros(256, np.bool_)
        heads[phrases[:, 0]] = heads[[c - 32 for c in phrases[:, 0] if 97 <= c <= 122]] = True
        heads[0] = False
        marks = padded(["[edit]", "[citation needed]"]) if self.citations else np.zeros((0, 1), np.uint8)
        limits = np.array([self.max_word_length, self.min_words, self.sentence_lines], np.int64)
        table = traits()

        def work(start: int, stop: int) -> None:
            clean_all(data, offsets, table, marks, phrases, heads, limits, cleaned, found, start, stop)

        over_rows(work, len(texts), least=256)
        lorem, curly, lines, sentences = (found[:, i] for i in (LOREM, CURLY, LINES, SENTENCES))
        verdict = Verdict.first(
            (lorem > 0, lorem), (curly > 0, curly), (lines == 0, lines), (sentences < self.min_sentences, sentences)
        )
        name = self.column or rows.default
        changed = self._joined(data, offsets, cleaned, verdict.kept, found[:, LENGTH]).cast(rows.column(name).type)
        return Verdict(verdict.reason, verdict.value, changed={name: changed})

    @staticmethod
    def _joined(data: Any, offsets: Any, cleaned: Any, kept: Any, lengths: Any) -> pa.LargeStringArray:
        starts = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(np.where(kept, lengths, np.diff(offsets[: len(lengths) + 1])), out=starts[1:])
        out = np.empty(int(starts[-1]), np.uint8)
        over_rows(lambda a, b: gather(data, offsets, cleaned, kept, starts, out, a, b), len(lengths), least=256)
        return pa.LargeStringArray.from_buffers(len(lengths), pa.py_buffer(starts), pa.py_buffer(out))
