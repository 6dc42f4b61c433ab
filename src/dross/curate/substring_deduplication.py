"""Substring deduplication: passages that stand in several texts, or twice in one, stay in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.compiled import kernel
from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.step import (
    KEPT,
    KEY,
    MATCH,
    REASON,
    REFERENCE,
    ROW,
    VALUE,
    Addresses,
    Rows,
    Store,
    Verdict,
    WholeStep,
    replaced_at,
    runs_of,
)
from dross.signals.word_places import Words, runs, words_of

_PLACE, _WORDS, _SPANS, _FROM, _TO = "place", "words", "spans", "from", "to"
Places = npt.NDArray[np.int64]


# ---- the mathematics ---------------------------------------------------------------------------------------------


@kernel()
def pick(hashes: Any, offsets: Any, window: int, out: Any) -> None:
    """Mark the least hash of every window of each text, the last of equal ones."""
    for i in range(len(offsets) - 1):
        best = -1
        for j in range(offsets[i], offsets[i + 1]):
            if best >= 0 and j - best < window:
                if hashes[j] <= hashes[best]:
                    best = j
            else:
                best = max(offsets[i], j - window + 1)
                for t in range(best + 1, j + 1):
                    if hashes[t] <= hashes[best]:
                        best = t
            if j - offsets[i] >= window - 1 or j == offsets[i + 1] - 1:
                out[best] = True


def winnow(hashes: npt.NDArray[np.uint64], offsets: Places, window: int) -> Places:
    """The positions of fingerprints: any ``window`` consecutive hashes of a text hold one, chosen by their values.

    So two texts with ``window`` equal hashes in a row have an equal fingerprint there; about ``2 / (window + 1)`` of
    the hashes are chosen. Schleimer, Wilkerson, Aiken, "Winnowing", 2003, figure 5.

    >>> winnow(np.array([77, 74, 42, 17, 98, 50, 17, 98, 8, 88], np.uint64), np.array([0, 10]), 4).tolist()
    [3, 6, 8]
    """
    chosen = np.zeros(len(hashes), bool)
    pick(hashes, offsets, window, chosen)
    return np.flatnonzero(chosen)


@kernel()
def stretch(
    words: Any, offsets: Any, one: Any, other: Any, at: Any, there: Any, size: int, starts: Any, stops: Any
) -> None:
    """How far two texts agree around equal runs of ``size`` words; pairs along one passage come in a row."""
    for p in range(len(one)):
        a, b = at[p], there[p]
        same = p > 0 and one[p] == one[p - 1] and other[p] == other[p - 1] and a - b == at[p - 1] - there[p - 1]
        if same and a < stops[p - 1]:
            starts[p], stops[p] = starts[p - 1], stops[p - 1]
            continue
        first, second = offsets[one[p]], offsets[other[p]]
        low = 0
        while low < min(a, b) and words[first + a - low - 1] == words[second + b - low - 1]:
            low += 1
        high = size
        most = min(offsets[one[p] + 1] - first - a, offsets[other[p] + 1] - second - b)
        while high < most and words[first + a + high] == words[second + b + high]:
            high += 1
        if one[p] == other[p]:  # a passage must not overlap its copy
            high = min(high, a - b)
            low = min(low, a - b - high)
        starts[p], stops[p] = a - low, a + high


def united(rows: Addresses, starts: Places, stops: Places) -> tuple[Addresses, Places, Places]:
    """Spans of each row that overlap or touch as one, sorted by row and start.

    >>> rows = np.array([1, 1, 2], np.uint64)
    >>> [column.tolist() for column in united(rows, np.array([4, 0, 3]), np.array([9, 5, 6]))]
    [[1, 2], [0, 3], [9, 6]]
    """
    order = np.lexsort([starts, rows])
    rows, starts, stops = rows[order], starts[order], stops[order]
    if not len(rows):
        return rows, starts, stops
    head = np.append(True, rows[1:] != rows[:-1])
    number = np.cumsum(head)
    shift = number * (int(stops.max()) + 1)  # a running maximum that starts anew at each row
    reach = np.maximum.accumulate(stops + shift)
    begins = np.append(True, starts[1:] + shift[1:] > reach[:-1])
    first = np.flatnonzero(begins)
    return rows[first], starts[first], (np.maximum.reduceat(stops, first))


# ---- the step ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SubstringDeduplication(WholeStep):
    """Passages of many words that stand elsewhere before are cut out; a text of which little is left is dropped.

    After Lee et al., "Deduplicating Training Data Makes Language Models Better", 2022, who find such passages by a
    suffix array of the whole corpus in memory; here runs of half the length are fingerprinted by winnowing, equal
    fingerprints meet, and the words around them are compared one by one: every passage of ``length`` words is found.
    The first place in the order of the corpus keeps its passage. About 8 bytes a word on disk while the step runs.

    Attributes
    ----------
    length
        Words of the shortest passage that is cut out; the paper takes 50 tokens.
    least
        Words that must be left of a text from which something was cut.
    against
        Paths or globs of other corpora with the same text column; passages that stand there are cut out here.

    Examples
    --------
    >>> from dross.core.dataset import Dataset
    >>> from dross.core.roles import Role
    >>> from dross.core.signal import Signals
    >>> notice = "all rights are reserved and no part may be copied without leave"
    >>> texts = [f"one story. {notice}", f"{notice} another tale, of a fox and a hen"]
    >>> data = Dataset(pa.table({"text": texts}), {Role.TEXT: ["text"]})
    >>> step = SubstringDeduplication(length=8, least=1)
    >>> step.over(Rows(data.table, "text"), None)[0].text().to_pylist()[1]
    'another tale, of a fox and a hen'
    """

    paper: ClassVar = Paper("Deduplicating Training Data Makes Language Models Better", 2022, "2107.06499")
    reasons: ClassVar[tuple[str, ...]] = ("little_left_of_its_own",)

    length: int = 50
    least: int = 10
    against: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.length < 4:
            raise DrossError(f"passages of {self.length} words are too short", fix="give a length of 4 or more")

    @property
    def size(self) -> int:
        """Words of a fingerprinted run."""
        return self.length // 2

    def references(self) -> tuple[str, ...]:
        return self.against

    def sketch(self, rows: Rows, ready: Any) -> pa.Table:
        """The fingerprints of each text, and the word at which each begins."""
        hashes, offsets = runs(rows.measured(words_of, self.column), self.size)
        chosen = winnow(hashes, offsets, self.length - self.size + 1)
        owner = np.searchsorted(offsets, chosen, "right") - 1
        place = (chosen - offsets[owner]).astype(np.int32)
        return pa.table({KEY: hashes[chosen], ROW: rows.addresses[owner], _PLACE: place})

    def stored(self, rows: Rows, ready: Any) -> Mapping[str, npt.NDArray[Any] | pa.Array]:
        """The words of each text, 4 bytes each."""
        words = rows.measured(words_of, self.column)
        return {_WORDS: pa.LargeListArray.from_arrays(words.offsets, pa.array(words.hashes.astype(np.uint32)))}

    def meet(self, sketches: pa.Table, store: Store) -> pa.Table:
        """Passages of each text that stand at an earlier place."""
        keys, rows = sketches.column(KEY).to_numpy(), sketches.column(ROW).to_numpy()
        place = sketches.column(_PLACE).to_numpy().astype(np.int64)
        order = np.lexsort([place, rows, keys])
        keys, rows, place = keys[order], rows[order], place[order]
        heads, sizes = runs_of(keys)
        last = heads + sizes - 1
        first = np.repeat(np.where(rows[last] >= REFERENCE, last, heads), sizes)  # another corpus keeps its passages
        later = np.flatnonzero((first != np.arange(len(keys))) & (rows < REFERENCE))
        one, other, at, there = rows[later], rows[first[later]], place[later], place[first[later]]
        starts, stops = stretched(one, other, at, there, self.size, store)
        long = stops - starts >= self.length
        rows, starts, stops = united(one[long], starts[long], stops[long])
        match = other[long][np.unique(one[long], return_index=True)[1]]
        whose = match[np.searchsorted(np.unique(one[long]), rows)]
        return pa.table({ROW: rows, _FROM: starts, _TO: stops, MATCH: whose})

    def settle(self, found: pa.Table, store: Store) -> pa.Table:
        """The passages to cut out of each text, as a list of first words and words after the last."""
        given = found.column(ROW).to_numpy()
        rows, starts, stops = united(given, found.column(_FROM).to_numpy(), found.column(_TO).to_numpy())
        unique, first = np.unique(rows, return_index=True)
        offsets = np.append(first, len(rows)).astype(np.int64) * 2
        spans = pa.LargeListArray.from_arrays(offsets, pa.array(np.stack([starts, stops], axis=1).ravel()))
        match = found.column(MATCH).to_numpy()[np.unique(given, return_index=True)[1]]
        cut = np.add.reduceat(stops - starts, first) if len(first) else np.empty(0, np.int64)
        columns = {ROW: unique, REASON: np.full(len(unique), KEPT, np.int16), _SPANS: spans, MATCH: match}
        return pa.table({**columns, VALUE: cut.astype(np.float32)})

    def judge(self, rows: Rows, decisions: pa.Table) -> Verdict:
        """Cut the passages out; drop texts of which too little is left."""
        verdict = Verdict.keep(len(rows))
        if not decisions.num_rows:
            return verdict
        at = np.searchsorted(rows.addresses, decisions.column(ROW).to_numpy())
        own = rows.text(self.column).take(pa.array(at))
        words = words_of(own)
        counts = np.diff(words.offsets)
        cut = decisions.column(VALUE).to_numpy()
        value = np.full(len(rows), np.nan, np.float32)
        value[at] = cut
        verdict.reason[at[counts - cut < self.least]] = 0
        stays = np.flatnonzero(verdict.reason[at] == KEPT)
        new = []
        for i in stays.tolist():
            span = slice(words.offsets[i], words.offsets[i + 1])
            new.append(without(own[i].as_py(), words, span, decisions.column(_SPANS)[i].as_py()))
        texts = replaced_at(rows.text(self.column), at[stays], new)
        return Verdict(verdict.reason, value, changed={self.column or rows.default: texts})


def stretched(
    one: Addresses, other: Addresses, at: Places, there: Places, size: int, store: Store
) -> tuple[Places, Places]:
    """The passages around equal runs of words: first word and word after the last in the texts ``one``, shape (m,)."""
    starts, stops = np.zeros(len(one), np.int64), np.zeros(len(one), np.int64)
    if not len(one):
        return starts, stops
    unique, places = np.unique(np.concatenate([one, other]), return_inverse=True)
    lists = store.take(_WORDS, unique)
    offsets = lists.offsets.to_numpy()
    words = lists.values.to_numpy()
    left, right = np.split(places, 2)
    order = np.lexsort([at, at - there, right, left])
    found = [np.zeros(len(one), np.int64), np.zeros(len(one), np.int64)]
    stretch(words, offsets, left[order], right[order], at[order], there[order], size, *found)
    starts[order], stops[order] = found
    return starts, stops


def without(text: str, words: Words, own: slice, spans: list[int]) -> str:
    """A text without some of its words, and without the white space between what is left and what is gone.

    >>> words = words_of(pa.array(["one two three four"], pa.large_string()))
    >>> without("one two three four", words, slice(0, 4), [1, 3])
    'one four'
    """
    content = text.encode()
    starts, stops = words.starts[own], words.stops[own]
    parts, begin = [], 0
    for first, stop in zip(spans[::2], spans[1::2], strict=True):
        parts.append(content[begin : starts[first]])
        begin = int(stops[stop - 1])
    parts.append(content[begin:])
    kept = [part.decode().strip() for part in parts]
    return " ".join(part for part in kept if any(c.isalnum() for c in part))
