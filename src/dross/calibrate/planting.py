"""Planting: variants of the data with defects put in, one file ``plant_*.py`` for each family of defects."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.results import Issue, NotApplicable
from dross.core.signal import Signals

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Planting:
    """A variant of the data with known defects, and the signals to score it by.

    Attributes
    ----------
    data, signals
        The variant: labels changed in place, or rows appended.
    rows
        Positions of the planted defects in the variant, shape (m,).
    sources
        The row of the data each was made from, shape (m,); the row itself where its label was changed.
    decoys
        Positions of rows that were put in without the defect, shape (d,): what a sound new row scores.
    pairs
        Whether a planted row is a copy of its source, so that either of the two may be the one that is found.
    strata
        The label each planted defect carries (a class code), shape (m,), and that of each row of the data, shape (n,);
        None where there are none.
    frequencies
        How frequent the mistake is that each planted defect makes, shape (m,), and the one that each row of the data
        would make, shape (n,), infinite for rows that seem to make none; None where nothing is known of that.
    """

    data: Dataset
    signals: Signals
    rows: Rows
    sources: Rows
    decoys: Rows
    pairs: bool = False
    strata: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]] | None = None
    frequencies: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None


class Planter(Protocol):
    """A module that plants: ``ISSUES``, the defects it knows, and ``plant``."""

    ISSUES: tuple[Issue, ...]

    def plant(
        self, data: Dataset, signals: Signals, issue: Issue, rng: np.random.Generator
    ) -> Iterator[Planting] | NotApplicable:
        """The variants, one after the other; or why nothing can be planted here."""


@cache
def planters() -> dict[Issue, list[Planter]]:
    """Every planter by issue, found by file name; the first that applies to the data is used.

    >>> sorted(planters())[:2]
    [<Issue.CONFLICT: 'conflict'>, <Issue.DUPLICATE: 'duplicate'>]
    """
    found: dict[Issue, list[Planter]] = {}
    for file in sorted(Path(__file__).parent.glob("plant_*.py")):
        module: Any = importlib.import_module(f"dross.calibrate.{file.stem}")
        for issue in module.ISSUES:
            found.setdefault(issue, []).append(module)
    return found
