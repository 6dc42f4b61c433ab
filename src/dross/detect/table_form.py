"""Table form: cells that do not look like their column, read from the table itself.

Every check works on the distinct values of a column and their counts, so its cost does not grow with the rows but for
one pass that encodes them. The checks, each a pure function, are those of pattern-, vocabulary- and dependency-based
error detection (Abedjan et al., "Detecting Data Errors: Where are we and what needs to be done?", 2016, section 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals

MARKS = frozenset(
    ["", "?", "-", "--", ".", "n/a", "na", "nan", "nil", "none", "null", "unknown", "missing", "tbd", "#n/a", "empty"]
)
"""What people write where they have nothing to write."""
MOST_VALUES = 20_000
"""Vocabulary checks leave columns with more distinct values alone: names and free text have no vocabulary."""
MOST_COLUMNS = 40
"""Dependencies are looked for among this many columns at most: every pair is tried."""


@dataclass(frozen=True)
class Column:
    """A column as codes into its distinct values (as text); code -1 is a null."""

    name: str
    codes: npt.NDArray[np.int64]
    values: list[str]

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """How often each distinct value occurs."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))

    @property
    def is_vocabulary(self) -> bool:
        """Whether values come back often enough for the rare ones to be suspicious."""
        return 1 < len(self.values) <= min(MOST_VALUES, max(2, int(self.counts.sum()) // 3))


@dataclass(frozen=True)
class Cells:
    """Suspicious values of one column: positions in ``Column.values`` (or rows), scores, why, what to write instead."""

    at: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    reason: str
    repair: list[str | None]
    by_row: bool = False


def encode(name: str, column: pa.ChunkedArray) -> Column:
    """A column's distinct values as text and the code of each row.

    >>> encode("c", pa.chunked_array([["a", None, "a"]])).codes.tolist()
    [0, -1, 0]
    """
    encoded = column.cast(pa.large_string()).combine_chunks().dictionary_encode()
    encoded = pa.concat_arrays(encoded.chunks) if isinstance(encoded, pa.ChunkedArray) else encoded
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Column(name, codes, encoded.dictionary.to_pylist())


def patterns(values: list[str]) -> list[str]:
    """The shape of each text: runs of digits, capitals and small letters as ``0``, ``A`` and ``a``.

    >>> patterns(["12-AB", "3-X", "7,5 kg"])
    ['0-A', '0-A', '0,0 a']
    """
    shapes = pa.array(values, pa.large_string())
    for pattern, mark in ((r"\p{N}+", "0"), (r"\p{Lu}+", "A"), (r"[\p{Ll}\p{Lo}\p{Lt}\p{Lm}]+", "a"), (r"\s+", " ")):
        shapes = pc.replace_substring_regex(shapes, pattern=pattern, replacement=mark)
    return [str(s) for s in shapes.to_pylist()]


def missing_marks(column: Column) -> Cells:
    """Values that stand for "nothing" beside real values: ``?``, ``N/A``, an empty text, a far-off -999."""
    numbers = _numbers(column.values)
    far = np.zeros(len(numbers), bool)
    known = np.isfinite(numbers)
    if known.sum() > 3:
        weights = np.repeat(numbers[known], np.minimum(column.counts[known], 100))
        low, high = np.quantile(weights, [0.25, 0.75])
        off = np.abs(numbers - (low / 2 + high / 2)) / 10 > max(high - low, 1e-9)
        nines = np.array([set(v.strip().lstrip("-").removesuffix(".0")) == {"9"} and len(v) > 2 for v in column.values])
        far = known & off & nines & (column.counts > 1)
    marks = np.array([v.strip().lower() in MARKS for v in column.values]) | far
    if marks.all():
        marks[:] = False
    at = np.flatnonzero(marks)
    return Cells(at, np.full(len(at), 0.9, np.float32), "stands for a missing value", [None] * len(at))


def wrong_kind(column: Column) -> Cells:
    """Texts in a column that otherwise holds numbers."""
    numbers = np.isfinite(_numbers(column.values))
    total = column.counts.sum()
    share = column.counts[numbers].sum() / max(1, total)
    if not 0.9 <= share < 1:
        return _nothing()
    at = np.flatnonzero(~numbers)
    return Cells(
        at, np.full(len(at), share, np.float32), "is no number, as the rest of the column is", [None] * len(at)
    )


def rare_shapes(column: Column, *, most: float = 0.02) -> Cells:
    """Values whose shape is rare in a column in which a few shapes cover nearly everything."""
    shapes = np.array(patterns(column.values), dtype=object)
    names, kind = np.unique(shapes.astype(str), return_inverse=True)
    mass = np.bincount(kind, weights=column.counts, minlength=len(names)) / max(1, column.counts.sum())
    usual = mass > 0.05
    if not usual.any() or mass[usual].sum() < 0.9 or len(names) > 50 + 0.01 * column.counts.sum():
        return _nothing()
    # names are written in many ways: among letters alone only a new kind of character is odd
    allowed = set().union(*names[usual]) | set("Aa ")
    plain = "0" not in allowed
    odd = (mass < most) & np.array([not plain or not set(name) <= allowed for name in names])
    at = np.flatnonzero(odd[kind])
    score = 0.5 + 0.5 * (mass[usual].sum() - mass[kind[at]])
    reason = f"is not written like the rest of the column (usually {names[mass.argmax()]!r})"
    return Cells(at, np.clip(score, 0, 1).astype(np.float32), reason, [None] * len(at))


def misspellings(column: Column, *, ratio: float = 8.0) -> Cells:
    """Rare values one edit (insert, delete, replace, swap) from a value that is at least ``ratio`` times as frequent.

    Candidates meet at a common deletion variant (the symmetric-delete index of spelling correctors), so the cost is
    linear in the number of distinct values.
    """
    if not column.is_vocabulary:
        return _nothing()
    meeting: dict[str, list[int]] = {}
    for code, value in enumerate(column.values):
        if 3 <= len(value) <= 60:
            for variant in {value, value.strip().lower(), *(value[:i] + value[i + 1 :] for i in range(len(value)))}:
                meeting.setdefault(variant, []).append(code)
    best: dict[int, int] = {}
    counts = column.counts
    for codes in meeting.values():
        top = max(codes, key=lambda c: int(counts[c]))
        for code in codes:
            frequent = counts[top] >= ratio * counts[code] and counts[top] > counts[best.get(code, code)]
            if frequent and _is_typo(column.values[code], column.values[top]):
                best[code] = top
    at = np.array(sorted(best), np.int64)
    score = np.array([1 - counts[c] / counts[best[c]] for c in at.tolist()], np.float32)
    return Cells(at, score, "is one letter away from a frequent value", [column.values[best[c]] for c in at.tolist()])


def broken_dependencies(determinant: Column, dependent: Column, *, least: float = 0.93) -> Cells:
    """Rows where ``determinant`` nearly always goes with one value of ``dependent``, and here goes with another."""
    n, k = len(determinant.codes), len(dependent.values)
    known = (determinant.codes >= 0) & (dependent.codes >= 0)
    if not known.any():
        return _nothing()
    pairs = determinant.codes * k + dependent.codes
    names, counts = np.unique(pairs[known], return_counts=True)
    left, right = names // k, names % k
    sizes = np.bincount(left, weights=counts, minlength=len(determinant.values))
    order = np.lexsort((counts, left))
    last = np.append(left[order][1:] != left[order][:-1], True)
    top, most = np.full(len(sizes), -1), np.zeros(len(sizes))
    top[left[order][last]], most[left[order][last]] = right[order][last], counts[order][last]
    repeated = sizes >= 3
    covered = sizes[repeated].sum()
    if covered < 0.5 * n:
        return _nothing()
    agree = most[repeated].sum() / covered
    chance = dependent.counts.max() / max(1, dependent.counts.sum())
    if agree < least or agree - chance < 0.5 * (1 - chance):
        return _nothing()
    share = np.where(repeated, (most + 0.5) / (sizes + 1), 0.0)
    mine = determinant.codes
    rows = np.flatnonzero(known & repeated[mine] & (top[mine] != dependent.codes) & (share[mine] > 0.6))
    reason = f"does not follow from {determinant.name!r} as it does elsewhere"
    repair = [dependent.values[c] for c in top[mine[rows]].tolist()]
    return Cells(rows, (agree * share[mine[rows]]).astype(np.float32), reason, list(repair), by_row=True)


def suspicious_cells(table: pa.Table) -> Iterator[tuple[str, npt.NDArray[np.int64], Cells]]:
    """All suspicious cells of a table: ``(column, rows, cells)`` where ``cells`` has one entry per row.

    >>> table = pa.table({"city": ["Ulm"] * 20 + ["Ulmm"]})
    >>> [(name, rows.tolist(), cells.repair) for name, rows, cells in suspicious_cells(table)]
    [('city', [20], ['Ulm'])]
    """
    columns = [encode(name, table.column(name)) for name in table.column_names]
    for column in columns:
        if len(column.values) > 1:
            for cells in _of_values(column, table.schema.field(column.name).type):
                if len(cells.at):
                    yield column.name, *_rows_of(column, cells)
    keyed = [c for c in columns if c.is_vocabulary][:MOST_COLUMNS]
    for dependent in keyed:
        for determinant in keyed:
            if determinant is not dependent:
                cells = broken_dependencies(determinant, dependent)
                if len(cells.at):
                    yield dependent.name, cells.at, cells


@dataclass(frozen=True)
class TableForm(Detector):
    """Cells of a table that are malformed: missing marks, wrong kinds, odd shapes, misspellings, broken dependencies.

    Abedjan et al., "Detecting Data Errors: Where are we and what needs to be done?", 2016. A row scores as its worst
    cell; the evidence names the column, the value, the reason and, where there is one, the repair. Rows whose features
    are all null, and columns that are constant or all null, are reported too.
    """

    paper: ClassVar[Paper | None] = Paper(
        "Detecting Data Errors: Where are we and what needs to be done?",
        2016,
        address="https://doi.org/10.14778/2994509.2994518",
    )
    finds: ClassVar[Issue] = Issue.FORM
    needs: ClassVar = (Role.FEATURES,)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Check every feature column that is not a vector."""
        names = [name for name in data.roles[Role.FEATURES] if _is_cell(data.table.schema.field(name).type)]
        if not names or len(data) == 0:
            return NotApplicable("no feature column holds single values")
        table = data.table.select(names)
        score = np.zeros(len(data), np.float32)
        said = np.full((3, len(data)), "", dtype=object)
        counted: dict[str, int] = {}
        for name, rows, cells in suspicious_cells(table):
            better = cells.score > score[rows]
            chosen = rows[better]
            score[chosen] = cells.score[better]
            said[0, chosen], said[1, chosen] = name, cells.reason
            said[2, chosen] = np.array([r or "" for r in cells.repair], dtype=object)[better]
            counted[f"{name}: {cells.reason}"] = len(rows)
        empty = _all_null(table)
        score[empty], said[0, empty], said[1, empty] = 1.0, "", "every feature is missing"
        rows = np.flatnonzero(score)
        evidence = dict(zip(("column", "reason", "repair"), (s[rows] for s in said), strict=True))
        constant = [name for name in names if pc.count_distinct(table.column(name)).as_py() <= 1 < len(data)]
        return Findings(
            Issue.FORM, rows, score[rows], evidence=evidence, summary={"cells": counted, "constant columns": constant}
        )


def _of_values(column: Column, kind: pa.DataType) -> Iterator[Cells]:
    yield missing_marks(column)
    if pa.types.is_large_string(kind) or pa.types.is_string(kind):
        yield wrong_kind(column)
        yield rare_shapes(column)
        yield misspellings(column)


def _rows_of(column: Column, cells: Cells) -> tuple[npt.NDArray[np.int64], Cells]:
    """The rows that hold the suspicious values, and the cells with one entry per row."""
    place = np.full(len(column.values) + 1, -1)
    place[cells.at] = np.arange(len(cells.at))
    rows = np.flatnonzero(place[column.codes] >= 0)
    mine = place[column.codes[rows]]
    return rows, Cells(rows, cells.score[mine], cells.reason, [cells.repair[i] for i in mine.tolist()], by_row=True)


def _numbers(values: list[str]) -> npt.NDArray[np.float64]:
    """The texts as numbers, NaN for those that are none."""
    texts = pc.utf8_trim_whitespace(pa.array(values, pa.large_string()))
    fits = pc.match_substring_regex(texts, pattern=r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    return np.asarray(pc.cast(pc.if_else(fits, texts, None), pa.float64()).fill_null(np.nan), np.float64)


def _is_typo(rare: str, frequent: str) -> bool:
    """Whether the texts differ by one edit in a letter, or by case and spaces alone; digits are data, not spelling."""
    if rare.strip().lower() == frequent.strip().lower():
        return True
    if abs(len(rare) - len(frequent)) > 1:
        return False
    a = next((i for i, (x, y) in enumerate(zip(rare, frequent, strict=False)) if x != y), min(len(rare), len(frequent)))
    x, y = rare[a:], frequent[a:]
    single = x[1:] == y or x == y[1:] or x[1:] == y[1:]
    swapped = len(x) > 1 and len(y) > 1 and (x[1], x[0]) == (y[0], y[1]) and x[2:] == y[2:]
    return (single or swapped) and not (x[:1] + y[:1]).isdigit()


def _all_null(table: pa.Table) -> npt.NDArray[np.bool_]:
    empty = np.ones(table.num_rows, bool)
    for column in table.columns:
        empty &= column.is_null(nan_is_null=True).to_numpy()
    return empty


def _is_cell(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _nothing() -> Cells:
    return Cells(np.empty(0, np.int64), np.empty(0, np.float32), "", [])
