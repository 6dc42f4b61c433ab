"""Word list: texts in which words or phrases of a list stand too often are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.compiled import kernel, over_rows
from dross.core.errors import DrossError
from dross.core.step import Rows, RowStep, Verdict
from dross.models.listed_entries import entries
from dross.signals.content_hash import text_buffers
from dross.signals.document_statistics import shares
from dross.signals.words import find, lookup, tokenize, tokens_of, traits

PHRASE, LONGER = 1, 2
"""What a run of tokens is: a phrase of the list, the beginning of a longer one."""
_TOKENS = 1 << 22


@kernel()
def longer(run: Any, token: Any) -> Any:
    """The hash of a run of tokens with one more."""
    h = ((run * np.uint64(0xBF58476D1CE4E5B9)) ^ token) * np.uint64(0x9E3779B97F4A7C15)
    return h ^ (h >> np.uint64(31))


@kernel()
def phrase_at(hashes: Any, i: Any, count: Any, slots: Any, which: Any, flags: Any) -> int:
    """The tokens of the longest phrase that begins at token ``i``; 0 for none."""
    run, size, best = np.uint64(0), 0, 0
    while i + size < count:
        run = longer(run, hashes[i + size])
        size += 1
        known = find(slots, which, run)
        if known < 0:
            break
        if flags[known] & 1:
            best = size
        if not flags[known] & 2:
            break
    return best


@kernel()
def count_phrases(
    data: Any, offsets: Any, table: Any, slots: Any, which: Any, flags: Any, room: int, out: Any, start: int, stop: int
) -> None:
    """The phrases in each text, the words in them and the words in all; phrases do not overlap, the longest counts."""
    hashes, sizes, kinds = np.empty(room, np.uint64), np.empty(room, np.int32), np.empty(room, np.uint8)
    for row in range(start, stop):
        j = offsets[row]
        while j < offsets[row + 1]:
            count, j = tokenize(data, j, offsets[row + 1], table, hashes, sizes, kinds)
            inside = 0
            for i in range(count):
                if inside == 0:
                    inside = phrase_at(hashes, i, count, slots, which, flags)
                    out[row, 0] += inside > 0
                word = kinds[i] > 0
                out[row, 1] += word and inside > 0
                out[row, 2] += word
                inside = max(0, inside - 1)


def phrase_table(phrases: list[str]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """A lookup table of the phrases and of their beginnings, and what each of them is.

    >>> slots, which, flags = phrase_table(["new york", "new"])
    >>> sorted(flags.tolist())
    [1, 3]
    """
    flags: dict[int, int] = {}
    for phrase in phrases:
        run, tokens = np.uint64(0), tokens_of(phrase)[0]
        for i, token in enumerate(tokens):
            run = np.uint64(longer(run, token))
            key = int(run)
            flags[key] = flags.get(key, 0) | (PHRASE if i + 1 == len(tokens) else LONGER)
    return *lookup(np.array(list(flags), np.uint64)), np.array(list(flags.values()), np.uint8)


@dataclass(frozen=True)
class WordList(RowStep):
    """Texts are dropped in which words or phrases of a list stand too often.

    A phrase is found where the same words and symbols (:mod:`dross.signals.words`) stand in a row, so that ``ass`` is
    not found in ``class``, and ``c++`` is not ``c``. In scripts written without spaces characters count as words. Where
    phrases overlap the longest one that begins first counts.

    Attributes
    ----------
    words
        Words and phrases; ``file:PATH`` stands for the lines of a file, without those that begin with ``#``.
    max_count
        How many may stand in a text; any number when null.
    max_share
        Share of the words of a text that may belong to them.
    case
        Whether case counts.

    Examples
    --------
    >>> from dross.core.dataset import Dataset
    >>> from dross.core.roles import Role
    >>> from dross.core.signal import Signals
    >>> data = Dataset(pa.table({"text": ["A first-class pass.", "You ass, Sir!"]}), {Role.TEXT: ["text"]})
    >>> WordList(words=("ass",)).run(data, Signals(data)).rows.tolist()
    [0]
    """

    reasons: ClassVar[tuple[str, ...]] = ("too_many_listed_words", "too_large_a_share_of_listed_words")

    words: tuple[str, ...] = ()
    max_count: int | None = 0
    max_share: float = 1.0
    case: bool = False

    def prepare(self, place: Path) -> None:
        """Read the list and write the table of its phrases."""
        texts = pa.array(entries(self.words), pa.large_string())
        slots, which, flags = phrase_table((texts if self.case else pc.utf8_lower(texts)).to_pylist())
        if not len(flags):
            raise DrossError("the list has no words", where="word-list", fix="give words: [a, b] or [file:PATH]")
        for name, array in (("slots", slots), ("which", which), ("flags", flags)):
            np.save(place / f"{name}.npy", array)

    def ready(self, place: Path) -> Any:
        """The table, shared by all workers of a machine."""
        return tuple(np.asarray(np.load(place / f"{name}.npy", mmap_mode="r")) for name in ("slots", "which", "flags"))

    def judge(self, rows: Rows, ready: Any) -> Verdict:
        """Count the phrases."""
        texts = rows.text(self.column)
        data, offsets = text_buffers(texts if self.case else pc.utf8_lower(texts))
        data.flags.writeable = offsets.flags.writeable = False  # always, so that the kernel compiles once
        out = np.zeros((len(texts), 3), np.int64)
        table = traits()
        slots, which, flags = ready

        def work(start: int, stop: int) -> None:
            room = min(_TOKENS, int(np.diff(offsets[start : stop + 1]).max(initial=1)))
            count_phrases(data, offsets, table, slots, which, flags, room, out, start, stop)

        over_rows(work, len(texts), least=256)
        share = shares(out[:, 1], out[:, 2])
        most = np.inf if self.max_count is None else self.max_count
        return Verdict.first((out[:, 0] > most, out[:, 0]), (share > self.max_share, share))
