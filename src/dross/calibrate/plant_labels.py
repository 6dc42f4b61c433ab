"""Planted wrong label sets: one label of a row taken away, or one added that it does not have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dross.calibrate.plant_label import ROUNDS, model_outputs, rounds_for, spread
from dross.calibrate.planting import Planting, Rows
from dross.core.dataset import Dataset
from dross.core.results import Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals

ISSUES = (Issue.LABEL,)


def plant(
    data: Dataset, signals: Signals, issue: Issue, rng: np.random.Generator
) -> Iterator[Planting] | NotApplicable:
    """Toggle one label of a random sample of the rows: half lose one, half gain one."""
    if not data.has(Role.LABELS):
        return NotApplicable("the rows have no labels to change")
    column = data.column(Role.LABELS)
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return NotApplicable("the labels are no lists")
    known = np.flatnonzero(column.is_valid().to_numpy())
    counts = pc.value_counts(pc.list_flatten(column))
    names = [name for name in counts.field(0).to_pylist() if name is not None]
    if len(known) < 20 or len(names) < 2:
        return NotApplicable("too few rows or labels to plant defects among")
    often = {
        name for name, count in zip(counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True) if count > 2
    }
    return _rounds(data, signals, known, names, often, ROUNDS[issue], rng)


def toggle(labels: list[Any], names: list[Any], removable: set[Any], rng: np.random.Generator) -> list[Any] | None:
    """The labels with one taken away or one added, evenly; None where neither is possible.

    >>> toggle(["a"], ["a", "b"], set(), np.random.default_rng(0))
    ['a', 'b']
    """
    may_go = [name for name in labels if name in removable]
    missing = [name for name in names if name not in labels] if len(names) <= 1000 else names
    if may_go and (rng.random() < 0.5 or not missing):
        gone = may_go[int(rng.integers(len(may_go)))]
        return [name for name in labels if name != gone]
    if not missing:
        return None
    new = missing[int(rng.integers(len(missing)))]
    return [*labels, new] if new not in labels else None


def _rounds(
    data: Dataset,
    signals: Signals,
    known: Rows,
    names: list[Any],
    removable: set[Any],
    most: int,
    rng: np.random.Generator,
) -> Iterator[Planting]:
    column = data.column(Role.LABELS)
    at_once, rounds = rounds_for(len(known), most)
    carry = model_outputs(signals)
    for _ in range(rounds):
        rows = spread(np.sort(rng.choice(known, at_once, replace=False)), signals, len(data))
        changed = [toggle(labels, names, removable, rng) for labels in column.take(pa.array(rows)).to_pylist()]
        rows = rows[[labels is not None for labels in changed]]
        new = pa.array([labels for labels in changed if labels is not None], column.type)
        place = np.arange(len(data))
        place[rows] = len(data) + np.arange(len(rows))
        both = pa.chunked_array([*column.chunks, new], column.type)
        planted = data.with_column(data.name_of(Role.LABELS), both.take(pa.array(place)))
        yield Planting(planted, signals.derive(planted, carry=carry), rows, rows, np.empty(0, np.int64))
