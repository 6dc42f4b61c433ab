"""What a row looks like: its text, picture or features, short and harmless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.io.images import root_of
from dross.report.pictures import BUDGET, Thumbnails
from dross.report.text import clipped, cut, number, visible

LONG, SHORT, READ = 560, 130, 20_000
LINES = 10
SAMPLED = 5_000
MOST_FEATURES = 8
MOST_COLUMNS = 300
_TEXTS = (Role.TEXT, Role.PROMPT, Role.RESPONSE, Role.CHOSEN, Role.REJECTED, Role.QUERY, Role.PASSAGE, Role.SEQUENCE)


@dataclass(frozen=True)
class Feature:
    """One column's value at a row and where it stands among the other rows: a percentile, or the share that has it."""

    name: str
    value: str
    place: float
    says: str


@dataclass(frozen=True)
class Shown:
    """One row as the report shows it."""

    row: int
    key: str
    label: str | None = None
    split: str | None = None
    texts: list[tuple[str, str]] = field(default_factory=list)
    picture: str | None = None
    unreadable: bool = False
    features: list[Feature] = field(default_factory=list)
    more: int = 0
    """Features that are not shown."""

    @property
    def alt(self) -> str:
        """What to say instead of the picture."""
        return f"picture of row {self.row:,}" + (f", labelled {self.label}" if self.label else "")


class Contents:
    """Shows the rows of one dataset."""

    def __init__(self, data: Dataset, picture_bytes: float = BUDGET) -> None:
        self.data = data
        self.texts = [c for role in _TEXTS for c in data.roles.get(role, ())]
        self.image = data.roles.get(Role.IMAGE, (None,))[0]
        self.features = list(data.roles.get(Role.FEATURES, ()))[:MOST_COLUMNS]
        self.thumbnails = Thumbnails(root_of(data.source), picture_bytes)

    def show(self, row: int, *, beside: Shown | None = None, size: int = 112) -> Shown:
        """One row; in short, and with the same columns, where it stands ``beside`` another one as its neighbour."""
        data, long = self.data, beside is None
        texts = [(name, self.text(name, row, LONG if long else SHORT)) for name in self.texts]
        picture = unreadable = None
        if self.image is not None:
            cell = data.table.column(self.image)[row].as_py()
            picture = self.thumbnails.of(cell, size)
            unreadable = picture is None and self.thumbnails.left > 0
        features = self._unusual(row) if not texts and picture is None else []
        kept = features[:MOST_FEATURES]
        if beside is not None:
            named = {one.name: one for one in features}
            kept = [named[one.name] for one in beside.features[:3] if one.name in named]
        return Shown(
            row=row,
            key=cut(data.key(row), 40) if data.has(Role.ID) else "",
            label=self.label(row),
            split=self._cell(Role.SPLIT, row),
            texts=[(visible(name), words) for name, words in texts],
            picture=picture,
            unreadable=bool(unreadable),
            features=kept,
            more=len(features) - len(kept) + max(0, len(data.roles.get(Role.FEATURES, ())) - len(self.features)),
        )

    def label(self, row: int) -> str | None:
        """The row's label, labels or target in words; None where the data has none."""
        if self.data.has(Role.TARGET) and not self.data.has(Role.LABEL):
            return number(float(self.data.target[row]), 6)
        return self._cell(Role.LABEL, row) or self._cell(Role.LABELS, row)

    def _cell(self, role: Role, row: int) -> str | None:
        if not self.data.has(role):
            return None
        value = self.data.column(role)[row].as_py()
        if isinstance(value, list):
            return cut(", ".join(str(v) for v in value), 120)
        return "missing" if value is None else cut(str(value), 60)

    def text(self, column: str, row: int, limit: int) -> str:
        """The beginning of one cell; a cell of a megabyte costs no more than it shows."""
        beginning, length = self.beginning(column, row, limit)
        return clipped(beginning, limit, LINES, length) if length else "(empty)"

    def beginning(self, column: str, row: int, limit: int) -> tuple[str, int]:
        """The first ``limit`` characters of one cell as they are, and how many there are."""
        cell = self.data.table.column(column).slice(row, 1)
        if pa.types.is_dictionary(cell.type):
            cell = cell.cast(cell.type.value_type)
        if not (pa.types.is_string(cell.type) or pa.types.is_large_string(cell.type)):
            value = cell[0].as_py()
            words = "" if value is None else str(value)
            return words[:limit], len(words)
        words = pc.utf8_slice_codeunits(cell, 0, limit)[0].as_py() or ""
        return words, pc.utf8_length(cell)[0].as_py() or 0

    # ---- features ---------------------------------------------------------------------------------------------------

    @cached_property
    def _columns(self) -> list[tuple[str, npt.NDArray[np.float64] | dict[Any, float]]]:
        """The sorted numbers, or the shares of the values, of each feature column in a sample of the rows."""
        n = len(self.data)
        rows = pa.array(np.unique(np.linspace(0, max(n - 1, 0), min(n, SAMPLED)).astype(np.int64)))
        out: list[tuple[str, npt.NDArray[np.float64] | dict[Any, float]]] = []
        for name in self.features:
            column = self.data.table.column(name).take(rows)
            if _numeric(column.type):
                values = np.asarray(pc.cast(column.drop_null(), pa.float64(), safe=False).to_numpy())
                out.append((name, np.sort(values[np.isfinite(values)])))
            else:
                counts = pc.value_counts(column.combine_chunks()).to_pylist() if len(rows) else []
                out.append((name, {str(c["values"]): c["counts"] / len(rows) for c in counts}))
        return out

    def _unusual(self, row: int) -> list[Feature]:
        """The row's features, the most unusual first."""
        ranked = []
        for position, (name, known) in enumerate(self._columns):
            value = self.data.table.column(name)[row].as_py()
            if isinstance(known, dict):
                share = known.get(str(value), 0.0)
                words = "missing" if value is None else cut(str(value), 60)
                one = Feature(visible(name), words, share, f"{100 * share:.0f} % of rows have it")
                ranked.append((share, position, one))
                continue
            if value is None or not np.isfinite(float(value)) or not len(known):
                ranked.append((0.0, position, Feature(visible(name), "missing", 0.0, "")))
                continue
            ends = np.searchsorted(known, float(value), "left"), np.searchsorted(known, float(value), "right")
            place = float(sum(ends)) / 2 / len(known)
            one = Feature(visible(name), number(float(value), 4), place, f"higher than {100 * place:.0f} % of rows")
            ranked.append((0.5 - abs(place - 0.5), position, one))
        return [one for _, _, one in sorted(ranked, key=lambda item: item[:2])]


def _numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def nearest(X: npt.NDArray[np.float32], rows: Sequence[int], k: int) -> list[list[int]]:
    """The k rows nearest to each of some rows, the row itself not among them; O(len(rows) n d), in chunks.

    >>> nearest(np.array([[0.0], [1.0], [5.0]], np.float32), [0], 2)
    [[1, 2]]
    """
    n, k = len(X), min(k, len(X) - 1)
    if k < 1 or not rows:
        return [[] for _ in rows]
    Q, few = np.asarray(X[np.asarray(rows)]), min(4 * k, n - 1)  # the product loses digits: take more, then look again
    best = np.full((len(Q), few), np.inf, np.float32)
    where = np.full((len(Q), few), -1, np.int64)
    for start in range(0, n, 16_384):
        block = np.asarray(X[start : start + 16_384])
        distance = (np.sum(Q**2, axis=1)[:, None] + np.sum(block**2, axis=1)[None] - 2 * Q @ block.T).astype(np.float32)
        own = np.asarray(rows) - start
        inside = (own >= 0) & (own < len(block))
        distance[np.flatnonzero(inside), own[inside]] = np.inf
        every = np.concatenate([best, distance], axis=1)
        names = np.concatenate([where, np.broadcast_to(np.arange(start, start + len(block)), distance.shape)], axis=1)
        order = np.argpartition(every, few - 1, axis=1)[:, :few]
        best, where = np.take_along_axis(every, order, 1), np.take_along_axis(names, order, 1)
    exact = np.linalg.norm(np.asarray(X[where]) - Q[:, None], axis=2)
    exact[where < 0] = np.inf
    closest = np.take_along_axis(where, np.lexsort((where, exact), axis=1)[:, :k], 1)
    return [[int(i) for i in line if i >= 0] for line in closest]
