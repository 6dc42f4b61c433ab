"""Agreement between people who decide on the same rows: Cohen's kappa, Krippendorff's alpha with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.calibrate.assessment import Estimate
from dross.core.errors import DrossError

Codes = npt.NDArray[np.int32]
Vector = npt.NDArray[np.float64]

REPLICATES = 1000
"""Times that the items are drawn anew for an interval."""


@dataclass(frozen=True)
class Opinions:
    """What several people said about the same items.

    Attributes
    ----------
    items
        Who or what was judged, n of them, ascending.
    raters
        Who judged, m of them, sorted.
    values
        What was said, k different things, sorted as text.
    codes
        Shape (n, m), int32: a position in ``values``, -1 where that person did not judge that item.
    """

    items: npt.NDArray[np.int64]
    raters: list[str]
    values: list[Any]
    codes: Codes


def gather(items: Sequence[int], raters: Sequence[str], values: Sequence[Any]) -> Opinions:
    """Single opinions, one item, one person and one value each, as a matrix; of several by one person the last holds.

    >>> said = gather([7, 7, 9, 7], ["ann", "bob", "ann", "ann"], ["cat", "dog", "cat", "dog"])
    >>> said.items.tolist(), said.raters, said.values, said.codes.tolist()
    ([7, 9], ['ann', 'bob'], ['cat', 'dog'], [[1, 1], [0, -1]])
    """
    if not len(items) == len(raters) == len(values):
        raise DrossError(f"there are {len(items)} items, {len(raters)} raters and {len(values)} values")
    unique, rows = np.unique(np.asarray(items, np.int64), return_inverse=True)
    people = sorted(set(raters))
    said = sorted(set(values), key=lambda value: (str(value), type(value).__name__))
    column, code = ({name: i for i, name in enumerate(names)} for names in (people, said))
    codes = np.full((len(unique), len(people)), -1, np.int32)
    columns = np.array([column[rater] for rater in raters], np.int64)
    cells = rows * len(people) + columns
    _, last = np.unique(cells[::-1], return_index=True)
    last = len(cells) - 1 - last
    codes.reshape(-1)[cells[last]] = np.array([code[value] for value in values], np.int32)[last]
    return Opinions(unique, people, said, codes)


def cohen_kappa(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Cohen's kappa of two people, each shape (n,), codes, -1 for an item not judged; in [-1, 1].

    The share of items on which they agree, beyond what two people with their habits agree on by chance, as a share of
    what is possible beyond it. Items that only one of them judged are left out. NaN where it is undefined: no item in
    common, or both said one and the same thing throughout, so that chance alone explains all agreement.

    Cohen, "A coefficient of agreement for nominal scales", 1960.

    >>> round(cohen_kappa([0, 0, 1, 1, 0], [0, 1, 1, 1, -1]), 3)
    0.5
    """
    one, two = np.asarray(a), np.asarray(b)
    if one.shape != two.shape or one.ndim != 1:
        raise DrossError(f"kappa compares two lists of one length, not {one.shape} and {two.shape}")
    both = (one >= 0) & (two >= 0)
    one, two = one[both], two[both]
    n = len(one)
    if not n:
        return float("nan")
    k = int(max(one.max(), two.max())) + 1
    chance = float(np.bincount(one, minlength=k).astype(float) @ np.bincount(two, minlength=k)) / n**2
    agreed = float((one == two).mean())
    return float("nan") if chance == 1 else (agreed - chance) / (1 - chance)


@dataclass(frozen=True)
class _Parts:
    """What alpha is made of: per item the values paired and those that agree; per item and value the frequency."""

    paired: Vector
    agreeing: Vector
    items: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]
    counts: Vector

    @classmethod
    def of(cls, units: npt.ArrayLike) -> _Parts:
        codes = np.asarray(units)
        if codes.ndim != 2:
            raise DrossError(f"alpha takes a matrix of items by raters, not one of shape {codes.shape}")
        codes = codes[(codes >= 0).sum(1) >= 2]  # a value that stands alone has nothing to agree with
        rows, columns = np.nonzero(codes >= 0)
        k = int(codes.max(initial=0)) + 1
        cells, counts = np.unique(rows * k + codes[rows, columns], return_counts=True)
        paired = (codes >= 0).sum(1).astype(float)
        items, values = np.divmod(cells, k)
        agreeing = np.bincount(items, counts * (counts - 1.0), minlength=len(codes)) / np.maximum(paired - 1, 1)
        return cls(paired, agreeing, items, values, counts.astype(float))

    def alpha(self, weights: Vector | None = None) -> float:
        """Alpha where each item is there ``weights`` times."""
        w = np.ones(len(self.paired)) if weights is None else weights
        n = float(w @ self.paired)
        totals = np.bincount(self.values, w[self.items] * self.counts)
        expected = n * n - float(totals @ totals)
        return float("nan") if expected <= 0 else 1 - (n - 1) * (n - float(w @ self.agreeing)) / expected


def krippendorff_alpha(units: npt.ArrayLike) -> float:
    """Krippendorff's alpha for values without order, from codes of shape (n items, m raters), -1 where missing.

    1 is full agreement, 0 what chance gives, below it they avoid each other's answers. Any number of raters, each of
    whom may have judged some items only; items with fewer than two values have no say. NaN where it is undefined:
    nothing was judged twice, or only one value occurs, so that nobody could have disagreed. O(n m log(n m)).

    Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, section C.

    >>> round(krippendorff_alpha([[0, 0], [1, 0], [1, 1], [0, -1]]), 3)
    0.444
    """
    return _Parts.of(units).alpha()


def alpha_interval(units: npt.ArrayLike, level: float = 0.95, replicates: int = REPLICATES, seed: int = 0) -> Estimate:
    """Krippendorff's alpha and its bootstrap interval: (alpha, low, high), each NaN where alpha is undefined.

    The items are drawn anew with replacement, ``replicates`` times, and the quantiles of the alphas taken. Draws in
    which a single value occurs leave alpha undefined and are not counted. With few items the interval is too short.

    >>> alpha, low, high = alpha_interval([[0, 0], [1, 0], [1, 1], [0, 0]] * 20)
    >>> 0 < low < alpha < high < 1
    True
    """
    parts = _Parts.of(units)
    alpha, n = parts.alpha(), len(parts.paired)
    if np.isnan(alpha):
        return (alpha, alpha, alpha)
    rng = np.random.default_rng(seed)
    draws = (np.bincount(rng.integers(0, n, n), minlength=n).astype(float) for _ in range(replicates))
    alphas = np.array([parts.alpha(weights) for weights in draws])
    low, high = np.nanquantile(np.append(alphas, alpha), [(1 - level) / 2, (1 + level) / 2]).tolist()
    return (alpha, low, high)


def pairwise(opinions: Opinions) -> pa.Table:
    """How each two people agree who judged some item both: columns ``first``, ``second``, ``items`` (judged by both),
    ``agreement`` (the share on which they said the same) and ``kappa`` (null where it is undefined).

    >>> pairwise(gather([1, 1, 2, 2], ["ann", "bob"] * 2, ["x", "x", "y", "x"])).to_pylist()
    [{'first': 'ann', 'second': 'bob', 'items': 2, 'agreement': 0.5, 'kappa': 0.0}]
    """
    codes = opinions.codes
    judged = (codes >= 0).astype(np.float32)
    together = np.triu(judged.T @ judged, 1)
    columns: dict[str, list[Any]] = {"first": [], "second": [], "items": [], "agreement": [], "kappa": []}
    for i, j in np.argwhere(together > 0).tolist():
        both = (codes[:, i] >= 0) & (codes[:, j] >= 0)
        kappa = cohen_kappa(codes[:, i], codes[:, j])
        row = (
            opinions.raters[i], opinions.raters[j], int(both.sum()),
            float((codes[both, i] == codes[both, j]).mean()), None if np.isnan(kappa) else kappa,
        )  # fmt: skip
        for values, value in zip(columns.values(), row, strict=True):
            values.append(value)
    kinds = (pa.string(), pa.string(), pa.int64(), pa.float64(), pa.float64())
    arrays = (pa.array(values, kind) for values, kind in zip(columns.values(), kinds, strict=True))
    return pa.table(dict(zip(columns, arrays, strict=True)))
