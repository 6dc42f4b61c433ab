"""TabularEncoding: how numbers, categories, dates and vectors become coordinates in which distance means something."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signal, Signals
from dross.signals.sampling import row_keys, smallest

Numbers = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]
MOST_ROWS, LEAST_ROWS, MOST_CELLS = 1 << 18, 1 << 13, 1 << 24
"""Rows that the encoding is fitted on: at most 2**24 cells, but not fewer than 8,192 rows."""
TOGETHER = 1 << 21
"""Cells that are encoded at a time."""
SHOWN = 32
"""Categories of a column that get a coordinate each; the others share :data:`HASHED` of them by their hash."""
KNOWN = 200
"""Categories of a column that are told apart at all."""
HASHED = 16
LINEAR, FARTHEST = 3.0, 30.0
"""Robust deviations up to which a number counts in full, and what the most extreme one comes to."""
_DAY = 86_400.0
_CYCLES = (("second", _DAY), ("weekday", 7 * _DAY), ("year", 365.2425 * _DAY))


@dataclass(frozen=True)
class Coded:
    """One column: what kind it is and where its part of the fitted arrays begins.

    ``kind`` is number, moment, vector or category; ``slots`` its numbers; ``known`` its categories; ``gaps`` whether
    some were missing.
    """

    name: str
    kind: str
    slots: int
    known: int
    gaps: bool


@dataclass(frozen=True)
class TableCode:
    """The fitted encoding of a table.

    Attributes
    ----------
    columns
        One mapping per column; the fields of :class:`Coded`.
    centre, scale
        Median and robust standard deviation of each number, shape (s,), float64.
    categories, counts
        Hashes and counts of the known categories of each column in turn, most frequent first, shape (c,).
    size
        The root mean square length of an encoded row.
    """

    columns: list[dict[str, Any]]
    centre: Numbers
    scale: Numbers
    categories: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.int64]
    size: float = 1.0

    def parts(self) -> list[tuple[Coded, slice, slice]]:
        """Each column with its ranges in ``centre`` and in ``categories``."""
        found, a, b = [], 0, 0
        for entry in self.columns:
            one = Coded(**entry)
            found.append((one, slice(a, a + one.slots), slice(b, b + one.known)))
            a, b = a + one.slots, b + one.known
        return found


@dataclass(frozen=True)
class TabularEncoding(Signal[TableCode]):
    """The encoding of the feature columns, fitted on a sample that does not depend on the order of the rows.

    Rows that are added later are encoded with the same fit.
    """

    reads: ClassVar[tuple[Role, ...]] = (Role.FEATURES,)
    value: ClassVar[type] = TableCode

    def compute(self, data: Dataset, signals: Signals) -> TableCode:
        """Measure the columns of a sample."""
        names = list(data.roles[Role.FEATURES])
        width = sum(_width(data.table.column(name)) or 1 for name in names)
        most = min(MOST_ROWS, max(LEAST_ROWS, MOST_CELLS // width))
        chosen = smallest(row_keys(data, [Role.FEATURES]), most)
        sample = data.table.select(names)
        if len(chosen) < len(data):
            sample = sample.take(pa.array(chosen))
        return fit_code(Dataset(sample, {Role.FEATURES: names}))

    def extend(self, value: TableCode, data: Dataset, signals: Signals) -> TableCode:
        """New rows do not change the fit."""
        return value


# ---- fitting --------------------------------------------------------------------------------------------------------


def kind_of(column: pa.ChunkedArray) -> str:
    """What a column is to the encoding: ``number``, ``moment``, ``vector`` or ``category``.

    >>> [kind_of(pa.chunked_array([x])) for x in ([1, None], ["a", "b"], [[1.0, 2.0], [3.0, 4.0]], [True])]
    ['number', 'category', 'vector', 'category']
    """
    kind, types = column.type, pa.types
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_duration(kind) or types.is_time(kind):
        return "number"
    if types.is_date(kind) or types.is_timestamp(kind):
        return "moment"
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        plain = types.is_integer(kind.value_type) or types.is_floating(kind.value_type)
        return "vector" if plain and _width(column) else "category"
    return "category"


def _width(column: pa.ChunkedArray) -> int:
    """The length of the vectors of a column; 0 where they are not all of one length, or it holds none."""
    if not any(check(column.type) for check in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)):
        return 0
    if pa.types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    lengths = pc.min_max(pc.list_value_length(column))
    return int(lengths["min"].as_py() or 0) if lengths["min"] == lengths["max"] else 0


def numbers_of(column: pa.ChunkedArray, kind: str, slots: int) -> Numbers:
    """The numbers of a column, shape (n, slots), float64: NaN where missing or infinite; dates in seconds."""
    if kind == "vector":
        values = vectors_of(column, slots)
    else:
        if kind == "moment":
            column = pc.cast(column, pa.timestamp("us"), safe=False).cast(pa.int64())
        elif not pa.types.is_floating(column.type) and not pa.types.is_decimal(column.type):
            column = pc.cast(column, pa.int64(), safe=False)
        values = np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(), np.float64)[:, None]
        values = values / 1e6 if kind == "moment" else values
    finite = np.isfinite(values)
    return values if finite.all() else np.where(finite, values, np.nan)


def vectors_of(column: pa.ChunkedArray, width: int) -> Numbers:
    """The vectors of a column, shape (n, width), float64; a row of NaN where there is none or its length is another.

    >>> vectors_of(pa.chunked_array([[[1, 2], None, [3]]]), 2).tolist()
    [[1.0, 2.0], [nan, nan], [nan, nan]]
    """
    whole = pa.concat_arrays(column.chunks or [pa.array([], column.type)])
    fits = pc.equal(pc.list_value_length(whole), width).fill_null(False)
    values = pc.cast(whole.filter(fits).flatten(), pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    out = np.full((len(whole), width), np.nan)
    out[fits.to_numpy(zero_copy_only=False)] = values.reshape(-1, width)
    return out


def fit_code(data: Dataset) -> TableCode:
    """Fit the encoding on the feature columns.

    >>> table = pa.table({"x": [1.0, 2.0, None], "c": ["a", "b", "a"]})
    >>> code = fit_code(Dataset(table, {Role.FEATURES: ["x", "c"]}))
    >>> [(c["name"], c["kind"], c["gaps"]) for c in code.columns], code.centre.tolist(), code.counts.tolist()
    ([('x', 'number', True), ('c', 'category', False)], [1.5], [2, 1])
    """
    columns, centres, scales = [], [np.empty(0)], [np.empty(0)]
    categories, counts = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for name in data.roles[Role.FEATURES]:
        column = data.table.column(name)
        kind = kind_of(column)
        if kind == "category":
            hashes, found = np.unique(data.hashes(name), return_counts=True)
            order = np.argsort(-found, kind="stable")[:KNOWN]
            categories.append(hashes[order])
            counts.append(found[order])
            columns.append(Coded(name, kind, 0, len(order), False))
            continue
        slots = _width(column) if kind == "vector" else 1
        values = numbers_of(column, kind, slots)
        centre, scale = robust_scale(values)
        centres.append(centre)
        scales.append(scale)
        columns.append(Coded(name, kind, slots, 0, bool(np.isnan(values).any())))
    code = TableCode(
        [vars(one) for one in columns],
        np.concatenate(centres),
        np.concatenate(scales),
        np.concatenate(categories),
        np.concatenate(counts),
    )
    squares = np.square(encode(data, code)).sum(dtype=np.float64)
    return replace(code, size=float(np.sqrt(squares / max(len(data), 1))) or 1.0)


def robust_scale(values: Numbers) -> tuple[Numbers, Numbers]:
    """Median and robust standard deviation of each column, shape (s,) each; NaN are left out.

    The deviation is the interquartile range / 1.349, the ordinary one where that is 0, and 1 for a constant.

    >>> [v.round(3).tolist() for v in robust_scale(np.array([[0.0, 5.0], [1.349, 5.0], [2.698, 5.0]]))]
    [[1.349, 5.0], [1.0, 1.0]]
    """
    centre, scale = np.zeros(values.shape[1]), np.ones(values.shape[1])
    for j in range(values.shape[1]):
        known = values[:, j][~np.isnan(values[:, j])]
        largest = np.abs(known).max(initial=0.0)
        if largest == 0:
            continue
        # between -1 and 1, so that nothing overflows on the way
        known = known / largest
        low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
        spread = (high - low) / 1.349
        spread = spread if spread > 1e-12 else float(known.std())
        centre[j] = middle * largest
        scale[j] = spread * largest if spread > 1e-12 else 1.0
    return centre, scale


# ---- applying -------------------------------------------------------------------------------------------------------


def encode(data: Dataset, code: TableCode) -> Matrix:
    """The feature columns as coordinates, shape (n, d), float32, finite; each row depends on itself and the fit alone.

    A number is measured in robust deviations from the median, in full up to three and by its logarithm beyond, so that
    order is kept and no cell outweighs the rest; a missing or infinite one stands at the median and sets a flag. A
    category has a coordinate of its own, a rare one shares 16 by its hash; dates add where in the day, the week and
    the year they lie.

    >>> table = pa.table({"x": [1.0, 2.0, None], "c": ["a", "b", "a"]})
    >>> data = Dataset(table, {Role.FEATURES: ["x", "c"]}); encode(data, fit_code(data)).round().tolist()
    [[-1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]]
    """
    together = max(1, TOGETHER // max(1, len(code.centre)))
    if len(data) > together:
        starts = range(0, len(data), together)
        return np.concatenate([encode(data.slice(a, min(a + together, len(data))), code) for a in starts])
    blocks = [np.zeros((len(data), 0), np.float32)]
    for one, slots, known in code.parts():
        if one.kind == "category":
            blocks += _category(data.hashes(one.name), code.categories[known], code.counts[known])
            continue
        values = numbers_of(data.table.column(one.name), one.kind, one.slots)
        gaps = np.isnan(values)
        with np.errstate(over="ignore"):
            z = np.where(gaps, 0.0, (values - code.centre[slots]) / code.scale[slots])
        blocks.append(soften(z))
        if one.gaps:
            blocks.append(np.asarray(gaps.sum(axis=1, keepdims=True) > 0, np.float32))
        if one.kind == "moment":
            blocks.append(_cycles(values[:, 0]))
    encoded = np.concatenate(blocks, axis=1)
    return encoded if encoded.shape[1] else np.zeros((len(data), 1), np.float32)


def soften(z: Numbers) -> Matrix:
    """Standardised numbers with the extremes drawn in: linear to 3, then ``3 + 3 log(z / 3)``, at most 30.

    On the outlier benchmarks of ADBench (Han et al., 2022) distances in these coordinates find outliers better than in
    plain standard scores and than with hard limits.

    >>> soften(np.array([1.0, -3.0, 3 * np.e, 1e300])).tolist()
    [1.0, -3.0, 6.0, 30.0]
    """
    size = np.abs(z)
    beyond = LINEAR * (1 + np.log(np.maximum(size, LINEAR) / LINEAR))
    soft: Matrix = (np.sign(z) * np.minimum(np.where(size <= LINEAR, size, beyond), FARTHEST)).astype(np.float32)
    return soft


def rank_of(hashes: npt.NDArray[np.uint64], categories: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """The position of each hash among the categories, shape (n,); their number where it is none of them.

    >>> rank_of(np.array([5, 9, 7], np.uint64), np.array([7, 5], np.uint64)).tolist()
    [1, 2, 0]
    """
    order = np.argsort(categories)
    if not len(order):
        return np.zeros(len(hashes), np.int64)
    place = np.minimum(np.searchsorted(categories, hashes, sorter=order), len(order) - 1)
    ranks = order[place]
    return np.where(categories[ranks] == hashes, ranks, len(order))


def _category(
    hashes: npt.NDArray[np.uint64], categories: npt.NDArray[np.uint64], counts: npt.NDArray[np.int64]
) -> list[Matrix]:
    rank, shown = rank_of(hashes, categories), min(len(categories), SHOWN)
    hot = np.zeros((len(hashes), shown), np.float32)
    row = np.flatnonzero(rank < shown)
    hot[row, rank[row]] = 1
    if len(categories) <= SHOWN:
        return [hot]
    rare = np.flatnonzero(rank >= shown)
    shared = np.zeros((len(hashes), HASHED + 1), np.float32)
    sign = np.where(hashes[rare] >> np.uint64(63), 1, -1)
    shared[rare, (hashes[rare] % np.uint64(HASHED)).astype(np.int64)] = sign
    # how common the category is, 0 for the most common: rare ones lie apart
    common = np.log(counts.max() / np.append(counts, 1))
    shared[:, -1] = common[rank] / max(float(common.max()), 1e-9)
    return [hot, shared]


def _cycles(seconds: Numbers) -> Matrix:
    angles = 2 * np.pi * np.nan_to_num(seconds)[:, None] / np.array([length for _, length in _CYCLES])
    waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    waves[np.isnan(seconds)] = 0
    return waves.astype(np.float32)


def columns_for_trees(data: Dataset, code: TableCode) -> tuple[Matrix, npt.NDArray[np.bool_]]:
    """The feature columns as trees like them: numbers scaled, NaN where missing; categories as their rank.

    Returns a matrix (n, s + number of category columns), float32, and which columns are categories.

    >>> data = Dataset(pa.table({"x": [1.0, 2.0, None], "c": ["a", "b", "a"]}), {Role.FEATURES: ["x", "c"]})
    >>> X, is_category = columns_for_trees(data, fit_code(data)); X[:, 1].tolist(), is_category.tolist()
    ([0.0, 1.0, 0.0], [False, True])
    """
    blocks, category = [np.zeros((len(data), 0), np.float32)], []
    for one, slots, known in code.parts():
        if one.kind == "category":
            blocks.append(rank_of(data.hashes(one.name), code.categories[known])[:, None].astype(np.float32))
        else:
            values = numbers_of(data.table.column(one.name), one.kind, one.slots)
            with np.errstate(over="ignore"):
                blocks.append(((values - code.centre[slots]) / code.scale[slots]).astype(np.float32))
        category += [one.kind == "category"] * blocks[-1].shape[1]
    return np.concatenate(blocks, axis=1), np.array(category, bool)
