"""An n-gram language model of words: modified Kneser-Ney, read and scored as fast as text streams by."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.compiled import kernel, over_rows
from dross.core.errors import DrossError
from dross.core.paths import expanded
from dross.models.ngram_counts import Smoothed, buffers_of, counted, joined, lower, next_words, smoothed
from dross.signals.ngrams import kinds

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
LONGEST_ORDER = 5
FORMAT = 1
NEVER = -99.0
"""The log10 chance of what is no word."""


# ---- kernels -----------------------------------------------------------------------------------------------------


@kernel()
def find(cells: Any, start: int, stop: int, key: np.uint64) -> int:
    """Where a key stands in the places ``start`` to ``stop``, a power of two of them; -1 where it does not."""
    mask = np.int64(stop - start - 1)
    place = np.int64(key) & mask
    while cells[start + place, 0] != np.uint64(0):
        if cells[start + place, 0] == key:
            return int(start + place)
        place = (place + 1) & mask
    return -1


@kernel()
def fill(cells: Any, start: int, stop: int, keys: Any, places: Any) -> None:
    """Put keys, none of them twice, into empty places, and say where each went."""
    mask = np.int64(stop - start - 1)
    for i in range(len(keys)):
        place = np.int64(keys[i]) & mask
        while cells[start + place, 0] != np.uint64(0):
            place = (place + 1) & mask
        cells[start + place, 0] = keys[i]
        places[i] = start + place


@kernel()
def judge(words: Any, m: int, have: int, held: int, work: Any, keys: Any, cells: Any, numbers: Any, edges: Any) -> int:
    """The log10 chances of m words, ``words[4:]``, after the ``have`` words right before them, into ``work[1:, 4]``.

    The longest known n-gram that ends at a word is grown word by word: where one is not known, no longer one is. Its
    chance is multiplied by the backoff of every longer history that is known: ``work[i, :4]`` are those of the n-grams
    of 1 to 4 words that end at word i, the word before the first being 0, and ``work[i, 5]`` is how many there are;
    ``held`` is that of the word before. Order by order for all words, since so the memory is asked for many at a time.
    Words that are not known become the unknown word. Returns how many are known of the last word.
    """
    order = len(edges) - 1
    work[0, 5] = held
    for i in range(m):
        key = joined(np.uint64(0), words[4 + i])
        place = find(cells, edges[0], edges[1], key)
        if place < 0:
            words[4 + i] = np.uint64(3)
            key = joined(np.uint64(0), np.uint64(3))
            place = find(cells, edges[0], edges[1], key)
        keys[i] = key
        work[i + 1, 4], work[i + 1, 0], work[i + 1, 5] = numbers[place, 2], numbers[place, 3], 1
    for n in range(1, order):
        for i in range(m):
            if work[i + 1, 5] == n and n <= have + i:
                key = joined(keys[i], words[4 + i - n])
                place = find(cells, edges[n], edges[n + 1], key)
                if place >= 0:
                    keys[i] = key
                    work[i + 1, 4], work[i + 1, 5] = numbers[place, 2], n + 1
                    if n < 4:
                        work[i + 1, n] = numbers[place, 3]
    for i in range(m):
        for n in range(int(work[i + 1, 5]), int(min(work[i, 5], order - 1)) + 1):
            work[i + 1, 4] += work[i, n - 1]
    return int(min(work[m, 5], order - 1))


@kernel()
def score(
    data: Any, offsets: Any, kinds: Any, letters: Any, cells: Any, numbers: Any, edges: Any, logs: Any, counts: Any,
    first: int, last: int,
) -> None:  # fmt: skip
    """The sum of the log10 chances of the words of texts ``first`` to ``last``, ends included, and their numbers."""
    words, keys, work = np.zeros(134, np.uint64), np.zeros(130, np.uint64), np.zeros((131, 6), np.float32)
    begin = numbers[find(cells, edges[0], edges[1], joined(np.uint64(0), np.uint64(1))), 3]
    for i in range(first, last):
        words[3], work[0, 0] = np.uint64(1), begin
        have = held = min(1, len(edges) - 2)
        j, stop = offsets[i], offsets[i + 1]
        total, count = 0.0, 0
        while j <= stop:
            j, at = next_words(data, j, stop, kinds, letters, words, 4, 132)
            if j > stop:
                words[at] = np.uint64(2)
                at += 1
            m = at - 4
            held = judge(words, m, have, held, work, keys, cells, numbers, edges)
            for t in range(1, m + 1):
                total += work[t, 4]
            have, count = min(have + m, 4), count + m
            for s in range(4):
                words[s], work[0, s] = words[m + s], work[m, s]
        logs[i], counts[i] = total, count


# ---- the model ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class NgramModel:
    """How likely words are after others, as learnt from a reference text.

    Attributes
    ----------
    edges
        Where the table of each order begins in ``cells``, shape (order + 1,), int64.
    cells
        Open-addressing tables, shape (m, 2), uint64: the key of an n-gram (0 where the place is empty), and two
        float32: the log10 chance of its last word after the others, and the log10 of the backoff where it is a history.
    """

    edges: Counts
    cells: npt.NDArray[np.uint64]

    @property
    def order(self) -> int:
        """Words in the longest n-gram."""
        return len(self.edges) - 1

    def log10(self, texts: pa.LargeStringArray) -> tuple[Floats, Counts]:
        """The log10 chance of each text, its end included, shape (n,), and how many words that is of, shape (n,).

        Each text is judged by itself, whatever stands beside it; null is an empty text. Memory does not grow with the
        texts.
        """
        logs, counts = np.zeros(len(texts)), np.zeros(len(texts), np.int64)
        if len(texts):
            data, offsets = buffers_of(texts)
            held = (kinds(), lower(), self.cells, self.cells.view(np.float32), self.edges)
            over_rows(lambda a, b: score(data, offsets, *held, logs, counts, a, b), len(texts), least=256)
        return logs, counts

    def perplexity(self, texts: pa.LargeStringArray) -> Floats:
        """The perplexity of each text, shape (n,), at least 1: 10 to the mean of -log10 over its words and its end.

        >>> model = fit(pa.array(["the cat sat", "the cat ran", "a dog sat"], pa.large_string()), order=3)
        >>> one, other = model.perplexity(pa.array(["the cat sat", "sat dog the"], pa.large_string()))
        >>> bool(one < other)
        True
        """
        logs, counts = self.log10(texts)
        return np.asarray(10.0 ** (-logs / np.maximum(counts, 1)))

    def save(self, folder: str | Path) -> None:
        """Write it to a new folder, which appears at once or not at all. Raises DrossError where it is there."""
        target = expanded(folder)
        if target.exists():
            raise DrossError("there is something already", where=str(target), fix="name a new folder")
        temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            temporary.mkdir(parents=True)
            np.save(temporary / "edges.npy", self.edges, allow_pickle=False)
            np.save(temporary / "cells.npy", self.cells, allow_pickle=False)
            (temporary / "model.json").write_text(json.dumps({"format": FORMAT, "order": self.order}))
            temporary.rename(target)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise DrossError(f"cannot write: {error.strerror}", where=str(target)) from error


def load(folder: str | Path) -> NgramModel:
    """What :meth:`NgramModel.save` wrote, memory-mapped: processes share it. Raises DrossError where it is damaged."""
    place = expanded(folder)
    try:
        about = json.loads((place / "model.json").read_text())
        edges = np.load(place / "edges.npy", allow_pickle=False)
        cells = np.load(place / "cells.npy", mmap_mode="r", allow_pickle=False)
        whole = len(edges) == about["order"] + 1 and cells.shape == (edges[-1], 2) and cells.dtype == np.uint64
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise DrossError("no n-gram model stands there, or it is damaged", where=str(place)) from error
    if about["format"] > FORMAT:
        raise DrossError("the model was written by a newer dross", where=str(place), fix="pip install -U dross")
    if not whole:
        raise DrossError("the n-gram model is damaged", where=str(place), fix="train it again")
    return _model(edges, cells.view(np.ndarray))


def fit(texts: pa.LargeStringArray, *, order: int = 5) -> NgramModel:
    """Learn a model of ``order`` words from a reference text; see :func:`fit_batches`."""
    return fit_batches([texts], order=order)


def fit_batches(batches: Iterable[pa.LargeStringArray], *, order: int = 5) -> NgramModel:
    """Learn a model from a reference text that comes in batches; how it is cut does not change the model.

    Interpolated modified Kneser-Ney smoothing (Chen and Goodman, 1999): the longest n-grams are counted by how often
    they stand in the text, shorter ones by how many different words stand before them, and what is taken off the
    counts goes to the next shorter history. The words of the reference text, the end of a text and one unknown word
    make the vocabulary, whose chances after any history add up to 1. Time O(w log w) in the words of the reference,
    memory in its distinct n-grams. 64-bit hashes stand for n-grams: two of ten million are taken for one with a chance
    of one in 400,000.

    Raises
    ------
    DrossError
        For an order below 1 or above 5, and for a text without a word.
    """
    if not 1 <= order <= LONGEST_ORDER:
        raise DrossError(f"the order is {order}", fix=f"give 1 to {LONGEST_ORDER} words")
    levels = counted(batches, order)
    if not levels or len(levels[0]) < 2:
        raise DrossError("the reference text holds no word", fix="give a reference text to learn from")
    return _tables([level for level in smoothed(levels) if len(level.keys)])


def _tables(levels: list[Smoothed]) -> NgramModel:
    """Open-addressing tables, at most half full."""
    sizes = [1 << (2 * len(level.keys) - 1).bit_length() for level in levels]
    edges = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    cells = np.zeros((edges[-1], 2), np.uint64)
    numbers = cells.view(np.float32)
    for n, level in enumerate(levels):
        places = np.empty(len(level.keys), np.int64)
        fill(cells, int(edges[n]), int(edges[n + 1]), level.keys, places)
        with np.errstate(divide="ignore"):
            numbers[places, 2] = np.maximum(np.log10(level.chances), NEVER)
            numbers[places, 3] = np.log10(level.backoffs)
    return _model(edges, cells)


def _model(edges: Counts, cells: npt.NDArray[np.uint64]) -> NgramModel:
    edges.flags.writeable = cells.flags.writeable = False  # in memory as from disk, so that the kernels compile once
    return NgramModel(edges, cells)
