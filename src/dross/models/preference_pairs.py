"""Pairs of texts of which one is better: read from a file, drawn for a judge, parted so that held-out texts are new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.errors import DrossError

Sides = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_ORDERED = (("chosen", "rejected"), ("better", "worse"))
_NAMED = (("a", "b"), ("text_a", "text_b"), ("first", "second"))
_VERDICTS = ("better", "winner", "preference", "answer", "label", "chance")
_WORDS = {"a": 1.0, "first": 1.0, "text_a": 1.0, "b": 0.0, "second": 0.0, "text_b": 0.0, "tie": 0.5, "equal": 0.5}
_FORM = (
    "give the columns chosen and rejected, or a and b with a column better that says a, b or tie, or how likely a is "
    "the better one (a number from 0 to 1)"
)


@dataclass(frozen=True)
class Pairs:
    """m comparisons of t texts.

    Attributes
    ----------
    texts
        Each text once, shape (t,).
    sides
        Positions of the two texts of each pair, shape (m, 2), int64.
    chance
        How likely the first is the better one, shape (m,), float64 in [0, 1].

    Examples
    --------
    >>> pairs = Pairs.of(["x", "y"], ["y", "z"], [1.0, 0.5])
    >>> pairs.texts.to_pylist(), pairs.sides.tolist()
    (['x', 'y', 'z'], [[0, 1], [1, 2]])
    """

    texts: pa.LargeStringArray
    sides: Sides
    chance: Floats

    def __post_init__(self) -> None:
        if self.sides.shape != (len(self.chance), 2):
            raise DrossError(f"{len(self.chance)} judgments of pairs of shape {self.sides.shape}")
        if not ((self.chance >= 0) & (self.chance <= 1)).all():
            raise DrossError("how likely the first of a pair is better must be a number from 0 to 1")

    def __len__(self) -> int:
        return len(self.chance)

    @classmethod
    def of(cls, first: Sequence[str] | pa.Array, second: Sequence[str] | pa.Array, chance: Any) -> Pairs:
        """Pairs of texts, equal ones kept once."""
        sides = [pa.array(one, pa.large_string()) for one in (first, second)]
        coded = pa.chunked_array(sides, pa.large_string()).dictionary_encode().unify_dictionaries()
        codes = [np.asarray(part.indices, np.int64) for part in coded.chunks]
        texts = coded.chunk(0).dictionary if coded.num_chunks else pa.array([], pa.large_string())
        joined = np.concatenate(codes) if codes else np.empty(0, np.int64)
        return cls(texts, joined.reshape(2, -1).T.copy(), np.asarray(chance, np.float64))


def read_pairs(path: str | Path) -> Pairs:
    """Pairs from a file in any format that :func:`dross.load` reads.

    Columns ``chosen`` and ``rejected`` (or ``better`` and ``worse``); or two texts ``a`` and ``b`` (``text_a``,
    ``first``) with ``better`` (``winner``, ``preference``): a, b or tie, or the chance that a is the better one.

    Raises DrossError for other columns, for a text that is missing and for a verdict that cannot be read.
    """
    from dross.io.load import load

    table, where = load(str(path), label=None, text=None).table, str(path)
    names = {name.strip().lower(): name for name in reversed(table.column_names)}
    found = next((p for p in _ORDERED if set(p) <= set(names)), None)
    said = "" if found else next((name for name in _VERDICTS if name in names), "")
    two = found or next((p for p in _NAMED if set(p) <= set(names)), None)
    if two is None or not (found or said):
        raise DrossError(f"no pairs of texts among the columns {', '.join(table.column_names)}", where=where, fix=_FORM)
    sides = []
    for name in two:
        column = table.column(names[name])
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)) or column.null_count:
            row = int(np.argmax(np.asarray(pc.is_null(column)))) if column.null_count else 0
            raise DrossError("a text of a pair is missing", where=f"{where}, column {names[name]!r}, row {row}")
        sides.append(column.cast(pa.large_string()).combine_chunks())
    first, second = sides
    if found:
        return Pairs.of(first, second, np.ones(table.num_rows))
    verdicts = table.column(names[said]).to_pylist()
    place = f"{where}, column {names[said]!r}"
    return Pairs.of(first, second, [_chance(verdict, f"{place}, row {i}") for i, verdict in enumerate(verdicts)])


def _chance(verdict: Any, where: str) -> float:
    word = str(verdict).strip().lower()
    if word in _WORDS:
        return _WORDS[word]
    try:
        number = float(verdict)
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 <= number <= 1:
        raise DrossError(f"{verdict!r} does not say which text is better", where=where, fix=_FORM)
    return number


def drawn(n: int, most: int) -> Sides:
    """Which of n texts in random order to compare, at most ``most`` pairs, shape (m, 2).

    Texts stand in groups that are compared only within, as small ones as give enough pairs: of two where there are
    texts enough. So a pair can be held out with both its texts.

    >>> drawn(5, 2).tolist(), drawn(4, 9).tolist()
    ([[0, 1], [2, 3]], [[0, 1], [1, 2], [2, 3], [0, 2], [1, 3], [0, 3]])
    """
    size = 2
    while size < n and len(_within(n, size)) < most:
        size += max(1, size // 4)
    return _within(n, min(size, max(n, 1)))[:most]


def _within(n: int, size: int) -> Sides:
    found = []
    for away in range(1, size):
        first = np.arange(max(n - away, 0))
        first = first[first // size == (first + away) // size]
        found.append(np.stack([first, first + away], axis=1))
    return np.concatenate(found).astype(np.int64) if found else np.empty((0, 2), np.int64)


def parted(sides: Sides, texts: int, folds: int, seed: int) -> tuple[npt.NDArray[np.int64], bool]:
    """A fold for each pair, shape (m,), and whether no text stands in two folds.

    Pairs that share a text, also by way of others, are kept together. Where nearly all hang together (one group holds
    more than half of the pairs) pairs are parted one by one, and a text may be known from other pairs.

    >>> fold, apart = parted(np.array([[0, 1], [1, 2], [3, 4], [5, 6]]), 7, 2, 0)
    >>> bool(fold[0] == fold[1]), apart
    (True, True)
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rng, m = np.random.default_rng(seed), len(sides)
    links = coo_matrix((np.ones(m), (sides[:, 0], sides[:, 1])), shape=(texts, texts))
    _, member = connected_components(links, directed=False)
    groups, own, sizes = np.unique(member[sides[:, 0]], return_inverse=True, return_counts=True)
    if len(groups) < folds or sizes.max(initial=0) > m / 2:
        return rng.permutation(np.arange(m) % folds).astype(np.int64), False
    filled, fold = np.zeros(folds, np.int64), np.empty(len(groups), np.int64)
    order = rng.permutation(len(groups))
    for g in order[np.argsort(-sizes[order], kind="stable")]:  # the largest first, each to the emptiest fold
        fold[g] = filled.argmin()
        filled[fold[g]] += sizes[g]
    return fold[own], True
