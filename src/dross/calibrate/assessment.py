"""Assessment: the findings of one issue with the error rates to expect of them on this data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.results import Estimate as Estimate
from dross.core.results import Findings, Issue


@dataclass(frozen=True)
class Curve:
    """Precision and recall to expect at each score threshold, read from planted defects.

    Attributes
    ----------
    thresholds
        Shape (t,), ascending: rows that score at least this are flagged.
    precision, recall
        Shape (t, 3): estimate, low, high of the 95 % interval.
    """

    thresholds: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Assessment:
    """All findings of one issue, combined over its methods, and what they are worth.

    Attributes
    ----------
    issue
        The kind of defect.
    findings
        One entry per row; the score is the combined one.
    methods
        The methods that had a say, and per entry which of them (an index) spoke loudest: ``method`` shape (m,), int8.
    flagged
        Whether the entry is in the set chosen for the false-discovery rate asked for, shape (m,), bool.
    expected_precision
        The chance that the entry is a true defect, shape (m,), float32 in [0, 1]; NaN where nothing could be planted.
    share
        The estimated share of defective rows in the data.
    precision, recall
        What to expect of the flagged set.
    curve
        The same at every threshold; None where nothing could be planted.
    note
        What planting cannot know here, or why there is no calibration.
    """

    issue: Issue
    findings: Findings
    methods: tuple[str, ...]
    method: npt.NDArray[np.int8]
    flagged: npt.NDArray[np.bool_]
    expected_precision: npt.NDArray[np.float32]
    share: Estimate | None = None
    precision: Estimate | None = None
    recall: Estimate | None = None
    curve: Curve | None = None
    note: str = ""
    summaries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The dataset-level summary of each method, by method name."""
