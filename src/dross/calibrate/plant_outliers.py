"""Planted outliers: rows mixed from others that have nothing to do with each other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dross.calibrate.editing import misplaced
from dross.calibrate.plant_label import model_outputs
from dross.calibrate.planting import Planting, Rows
from dross.core.dataset import Dataset
from dross.core.results import Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals

ISSUES = (Issue.OUTLIER,)
SHARE = 0.02
FEWEST, MOST = 60, 400


def plant(
    data: Dataset, signals: Signals, issue: Issue, rng: np.random.Generator
) -> Iterator[Planting] | NotApplicable:
    """Append mixtures of rows of different classes."""
    if not data.content:
        return NotApplicable("no column holds content that could be mixed")
    if len(data) < 20:
        return NotApplicable(f"{len(data)} rows are too few to plant outliers among")
    return _variant(data, signals, rng)


def _variant(data: Dataset, signals: Signals, rng: np.random.Generator) -> Iterator[Planting]:
    n = len(data)
    m = min(n, int(np.clip(SHARE * n, FEWEST, MOST)))
    one = rng.choice(n, m, replace=False)
    other = _strangers(data, one, rng)
    with tempfile.TemporaryDirectory() as folder:
        variant = data.append(misplaced(data, [one, other], rng, Path(folder)))
        signals_of_variant = signals.derive(variant, carry=model_outputs(signals))
        yield Planting(variant, signals_of_variant, n + np.arange(m), one, decoys=np.empty(0, np.int64))


def _strangers(data: Dataset, one: Rows, rng: np.random.Generator) -> Rows:
    """A row of another class for each row where there are classes, any other row else; the likeliest of ten draws."""
    other = (one + rng.integers(1, len(data), len(one))) % len(data)
    if not data.has(Role.LABEL):
        return other
    for _ in range(10):
        same = data.codes[other] == data.codes[one]
        other = np.where(same, rng.integers(len(data), size=len(one)), other)
    return other
