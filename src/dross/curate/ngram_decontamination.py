"""N-gram decontamination: texts that hold an item of a benchmark are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.compiled import kernel, over_rows
from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.step import Rows, RowStep, Verdict
from dross.models.passages import Passages, passages
from dross.signals.word_places import folded_words, runs

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GramIndex:
    """Which items of a benchmark hold which runs of words.

    Attributes
    ----------
    grams
        The distinct runs, sorted, shape (g,).
    starts, items
        The items that hold run ``i`` are ``items[starts[i]:starts[i + 1]]``.
    sizes
        Distinct runs of each item, shape (items,).
    """

    grams: Hashes
    starts: Places
    items: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int32]

    @classmethod
    def of(cls, texts: pa.LargeStringArray, n: int) -> GramIndex:
        """The index of texts; one of fewer than ``n`` words is in it as a whole, if it has at least three.

        >>> index = GramIndex.of(pa.array(["a b c d", "b c d e"], pa.large_string()), 3)
        >>> len(index.grams), index.sizes.tolist()
        (3, [2, 2])
        """
        words = folded_words(texts)
        lengths = np.diff(words.offsets)
        grams, owners = [], []
        for size in np.unique(np.clip(lengths, 3, n)).tolist():
            hashes, offsets = runs(words, size)
            owner = np.repeat(np.arange(len(texts)), np.diff(offsets))
            own = np.clip(lengths, 3, n)[owner] == size
            grams.append(hashes[own])
            owners.append(owner[own])
        both = np.unique(np.stack([np.concatenate(grams), np.concatenate(owners).astype(np.uint64)], axis=1), axis=0)
        unique, starts = np.unique(both[:, 0], return_index=True)
        items = both[:, 1].astype(np.int32)
        sizes = np.bincount(items, minlength=len(texts)).astype(np.int32)
        return cls(unique, np.append(starts, len(both)).astype(np.int64), items, sizes)


@kernel()
def overlap(
    hashes: Any, offsets: Any, grams: Any, starts: Any, items: Any, sizes: Any, share: Any, item: Any, a: int, b: int
) -> None:
    """For each text, the item of which it holds the largest share of runs, and that share."""
    counts = np.zeros(len(sizes), np.int32)
    seen = np.full(len(grams), -1, np.int64)
    met = np.empty(len(sizes), np.int32)
    for i in range(a, b):
        many = 0
        for j in range(offsets[i], offsets[i + 1]):
            at = np.searchsorted(grams, hashes[j])
            if at == len(grams) or grams[at] != hashes[j] or seen[at] == i:
                continue
            seen[at] = i
            for t in range(starts[at], starts[at + 1]):
                if counts[items[t]] == 0:
                    met[many] = items[t]
                    many += 1
                counts[items[t]] += 1
        for m in range(many):
            of = met[m]
            held = min(1.0, counts[of] / sizes[of])
            if held > share[i] or (held == share[i] and of < item[i]):
                share[i], item[i] = held, of
            counts[of] = 0


def contained(texts: pa.LargeStringArray, index: GramIndex, sizes: list[int]) -> tuple[Any, Any]:
    """The share of the runs of an item that each text holds, shape (n,), and which item it is; -1 for none.

    >>> index = GramIndex.of(pa.array(["what is the capital of France"], pa.large_string()), 3)
    >>> texts = pa.array(["Q: What is the capital of Spain?", "no"], pa.large_string())
    >>> [column.tolist() for column in contained(texts, index, [3])]
    [[0.75, 0.0], [0, -1]]
    """
    words = folded_words(texts)
    share, item = np.zeros(len(texts), np.float32), np.full(len(texts), -1, np.int32)
    parts = [runs(words, size) for size in sizes]
    counts = sum(np.diff(offsets) for _, offsets in parts)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    hashes = np.empty(offsets[-1], np.uint64)
    at = offsets[:-1].copy()
    for found, own in parts:
        hashes[np.repeat(at - own[:-1], np.diff(own)) + np.arange(len(found))] = found
        at += np.diff(own)
    over_rows(
        lambda a, b: overlap(hashes, offsets, index.grams, index.starts, index.items, index.sizes, share, item, a, b),
        len(texts),
        least=256,
    )
    return share, item


@dataclass(frozen=True)
class NgramDecontamination(RowStep):
    """Texts that hold a good part of the word runs of a benchmark item are dropped, and the item is named.

    Brown et al., "Language Models are Few-Shot Learners", 2020, appendix C: runs of 13 words that a text shares with a
    benchmark. A share is asked for, so that a phrase in common does not condemn a text. Case, punctuation and Unicode
    form do not count. Rephrased items are beyond it: see embedding-decontamination.

    Attributes
    ----------
    against
        Files with the benchmarks, of any kind that a dataset is read from.
    columns
        Their columns to read; the text column, or all columns of text, when none is named.
    n
        Words in a run; shorter items count as one run.
    share
        Share of the runs of an item from which a text holds it.
    """

    paper: ClassVar = Paper("Language Models are Few-Shot Learners", 2020, "2005.14165")
    reasons: ClassVar[tuple[str, ...]] = ("holds_a_benchmark_item",)

    against: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    n: int = 13
    share: float = 0.3

    def __post_init__(self) -> None:
        if self.n < 3 or not 0 < self.share <= 1:
            told = f"n is {self.n}, share {self.share}"
            raise DrossError(told, where=self.name(), fix="give runs of 3 words or more, and a share up to 1")

    def prepare(self, place: Path) -> None:
        """Read the benchmarks."""
        passages(self.against, self.columns, self.column or "text", self.name()).write(place)

    def ready(self, place: Path) -> tuple[GramIndex, list[int], pa.Array]:
        """The index of their items."""
        found = Passages.read(place)
        lengths = np.clip(np.diff(folded_words(found.texts).offsets), 3, self.n)
        return GramIndex.of(found.texts, self.n), np.unique(lengths).tolist(), found.names

    def judge(self, rows: Rows, ready: tuple[GramIndex, list[int], pa.Array]) -> Verdict:
        """The largest share of an item that each text holds."""
        index, sizes, names = ready
        share, item = contained(rows.text(self.column), index, sizes)
        reason = np.where(share >= self.share, 0, -1).astype(np.int16)
        match = names.take(pa.array(np.where(reason == 0, item, 0), mask=reason != 0))
        return Verdict(reason, np.where(reason == 0, share, np.nan).astype(np.float32), match)
