"""Planted wrong numbers: the target of another row, or the row's own moved away."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.calibrate.plant_label import ROUNDS, model_outputs, rounds_for, spread
from dross.calibrate.planting import Planting, Rows
from dross.core.dataset import Dataset
from dross.core.results import Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals

ISSUES = (Issue.LABEL,)
SHIFT = (0.5, 2.0)
"""How far targets are moved, in standard deviations of the target: from, to."""


def plant(
    data: Dataset, signals: Signals, issue: Issue, rng: np.random.Generator
) -> Iterator[Planting] | NotApplicable:
    """Change the target of a random sample of the rows that have one."""
    if not data.has(Role.TARGET):
        return NotApplicable("the rows have no target to change")
    known = np.flatnonzero(np.isfinite(data.target))
    if len(known) < 20 or np.ptp(data.target[known]) == 0:
        return NotApplicable("too few rows with different targets to plant defects among")
    return _rounds(data, signals, known, ROUNDS[issue], rng)


def wrong_targets(
    target: npt.NDArray[np.float64], others: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Another number for each, shape (m,): half are drawn from the others', half are moved by :data:`SHIFT`.

    >>> bool((wrong_targets(np.zeros(4), np.arange(5.0), np.random.default_rng(0)) != 0).any())
    True
    """
    m = len(target)
    unit = float(np.abs(others).max()) or 1.0  # the largest of doubles cannot be squared
    moved = target + (others / unit).std() * unit * rng.uniform(*SHIFT, m) * rng.choice([-1.0, 1.0], m)
    drawn = rng.choice(others, m)
    wrong: npt.NDArray[np.float64] = np.where(rng.random(m) < 0.5, drawn, moved)
    return wrong


def _rounds(data: Dataset, signals: Signals, known: Rows, most: int, rng: np.random.Generator) -> Iterator[Planting]:
    target = data.target
    kind = data.column(Role.TARGET).type
    at_once, rounds = rounds_for(len(known), most)
    carry = model_outputs(signals)
    for _ in range(rounds):
        rows = spread(np.sort(rng.choice(known, at_once, replace=False)), signals, len(data))
        changed = target.copy()
        changed[rows] = wrong_targets(target[rows], target[known], rng)
        if not pa.types.is_floating(kind):
            changed[rows] = np.rint(changed[rows])
        rows = rows[changed[rows] != target[rows]]
        values = pc.cast(pa.array(changed, mask=np.isnan(changed)), kind, safe=False)
        planted = data.with_column(data.name_of(Role.TARGET), values)
        yield Planting(planted, signals.derive(planted, carry=carry), rows, rows, np.empty(0, np.int64))
