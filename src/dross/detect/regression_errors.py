"""Regression errors: targets that a model of the other rows cannot account for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.neighbours import Neighbours
from dross.signals.predictions import Predictions

Numbers = npt.NDArray[np.float64]
VERDICT = 3.5
"""A residual of this many of its own deviations is called an error (Iglewicz and Hoaglin, 1993)."""


def residual_scale(residuals: Numbers, neighbours: npt.NDArray[np.int32]) -> Numbers:
    """How far residuals usually stray around each row, shape (n,), positive.

    The aleatoric uncertainty of the paper's section 3, estimated robustly: 1.4826 times the median absolute residual of
    the row's neighbours (shape (n, k), -1 for none), half shrunk towards that of all rows because k is small. A row's
    own residual is not among them, so an error does not hide itself. NaN residuals are left out.

    >>> residual_scale(np.array([1.0, -1.0, 9.0]), np.array([[1], [0], [1]], np.int32)).round(2).tolist()
    [1.48, 1.48, 1.48]
    """
    size = np.abs(residuals)
    known = np.isfinite(size)
    overall = 1.4826 * float(np.median(size[known])) if known.any() else 1.0
    around = np.where(neighbours >= 0, size[neighbours], np.nan)
    enough = np.isfinite(around).sum(axis=1) >= 1
    local = np.full(len(size), overall)
    if enough.any():
        local[enough] = 1.4826 * np.nanmedian(around[enough], axis=1)
    scale: Numbers = np.sqrt(np.maximum(local, 0)) * np.sqrt(overall)
    return np.maximum(scale, max(0.1 * overall, 1e-12))


def error_scores(residuals: Numbers, scale: Numbers) -> npt.NDArray[np.float32]:
    """How suspicious each residual is, shape (n,), in [0, 1]: 0.5 at :data:`VERDICT` deviations.

    >>> error_scores(np.array([0.0, 3.5, -35.0]), np.ones(3)).round(2).tolist()
    [0.0, 0.5, 0.9100000262260437]
    """
    strayed = np.abs(residuals) / scale
    return np.asarray(strayed / (strayed + VERDICT), np.float32)


@dataclass(frozen=True)
class RegressionErrors(Detector):
    """Targets far from their out-of-fold prediction, measured by how far residuals stray around the row.

    Zhou, Mueller, Kumar, Wang, Lei, "Detecting Errors in a Numerical Response via any Regression Model", 2023: the
    residual over the uncertainty of the prediction. The uncertainty is the local spread of residuals; the epistemic
    part, which the paper gets from bootstrapped models, is left out: it asks for many fits and mattered little there.
    """

    paper: ClassVar[Paper | None] = Paper(
        "Detecting Errors in a Numerical Response via any Regression Model", 2023, "2305.16583"
    )
    finds: ClassVar[Issue] = Issue.LABEL
    needs: ClassVar = (Role.TARGET, Predictions, Neighbours)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Score every row that has a target; the suggestion is the prediction."""
        known = np.isfinite(data.target)
        if known.sum() < 20 or np.ptp(data.target[known]) == 0:
            return NotApplicable("too few rows have different targets to learn from")
        predicted = np.asarray(signals[Predictions()], np.float64)
        residuals = data.target - predicted
        scale = residual_scale(residuals, signals[Neighbours()].indices)
        rows = np.flatnonzero(np.isfinite(residuals))
        evidence = {
            "predicted": predicted[rows].astype(np.float32),
            "deviations": (residuals[rows] / scale[rows]).astype(np.float32),
        }
        unit = float(np.abs(data.target[rows]).max()) or 1.0  # the largest of doubles cannot be squared
        varied = float(np.var(data.target[rows] / unit))
        explained = 1 - float(np.var(residuals[rows] / unit)) / max(varied, 1e-300)
        return Findings(
            Issue.LABEL,
            rows,
            error_scores(residuals[rows], scale[rows]),
            suggestion=predicted[rows],
            evidence=evidence,
            summary={"explained variance (out of fold)": round(explained, 4)},
        )
