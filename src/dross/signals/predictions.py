"""Predictions: out-of-fold predictions of a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals
from dross.models.cross_validation import Choice, Problem
from dross.models.learner import Target

LIMIT = 10.0
"""Robust standard deviations from the median at which a target is cut off for training: typing errors reach farther."""
PARTS = 10


@dataclass(frozen=True)
class RegressorChoice(Signal[Choice]):
    """The regression model for this data, chosen by cross-validated squared error on a sample."""

    model: str = "auto"
    folds: int = 5
    seed: int = 0
    reads: ClassVar[tuple[Role, ...]] = (*CONTENT, Role.TARGET, Role.GROUP)
    value: ClassVar[type] = Choice

    def compute(self, data: Dataset, signals: Signals) -> Choice:
        """Compare the models."""
        return regression(data, signals, self.folds, self.seed)[0].choose(self.model)

    def extend(self, value: Choice, data: Dataset, signals: Signals) -> Choice:
        """New rows do not change the choice."""
        return value


@dataclass(frozen=True)
class Predictions(Signal[npt.NDArray[np.float32]]):
    """The target of each row as predicted by a model that has not seen it, shape (n,), float32, in the target's unit.

    Folds are as for :class:`~dross.signals.probabilities.Probabilities`; the model is kernel ridge regression on the
    embedding or, where there are feature columns, boosted trees (:class:`RegressorChoice`). Rows without a target get
    the mean of all models.

    >>> import pyarrow as pa
    >>> x = np.linspace(-1, 1, 200)
    >>> data = Dataset(pa.table({"x": x, "y": 3 * x}), {Role.FEATURES: ["x"], Role.TARGET: ["y"]})
    >>> bool(np.abs(Signals(data)[Predictions()] - 3 * x).mean() < 0.1)
    True
    """

    model: str = "auto"
    folds: int = 5
    seed: int = 0
    reads: ClassVar[tuple[Role, ...]] = (*CONTENT, Role.TARGET, Role.GROUP)

    def compute(self, data: Dataset, signals: Signals) -> npt.NDArray[np.float32]:
        """Cross-validate the chosen model."""
        problem, centre, scale = regression(data, signals, self.folds, self.seed)
        choice = signals[RegressorChoice(self.model, self.folds, self.seed)]
        return in_units(problem.scores(choice, self.title()), centre, scale)

    def extend(self, value: npt.NDArray[np.float32], data: Dataset, signals: Signals) -> npt.NDArray[np.float32]:
        """New rows are predicted by the model that left out the first fold."""
        problem, centre, scale = regression(data.slice(0, len(value)), signals, self.folds, self.seed)
        choice = signals[RegressorChoice(self.model, self.folds, self.seed)]
        _, _, added = problem.scores_of_added(choice, data)
        return np.concatenate([value, in_units(added, centre, scale)])


def regression(data: Dataset, signals: Signals, folds: int, seed: int) -> tuple[Problem, float, float]:
    """The problem of predicting the target, which is centred, scaled and cut off at ten robust deviations.

    Returns the problem, the centre and the scale. Folds are spread evenly over tenths of the target.
    """
    from dross.signals.tabular_encoding import robust_scale

    target = data.target
    known = np.isfinite(target)
    if not known.any():
        raise DrossError("no row has a target", where=f"column {data.name_of(Role.TARGET)!r}")
    centre, scale = (float(v[0]) for v in robust_scale(target[known][:, None]))
    z = np.zeros(len(target))
    z[known] = np.clip((target[known] - centre) / scale, -LIMIT, LIMIT)
    parts = np.full(len(target), -1, np.int32)
    edges = np.unique(np.quantile(z[known], np.arange(1, PARTS) / PARTS))
    parts[known] = np.searchsorted(edges, z[known])
    problem = Problem(data, signals, Target(z.astype(np.float32)[:, None], "number"), known, parts, folds, seed)
    return problem, centre, scale


def in_units(scores: npt.NDArray[np.float32], centre: float, scale: float) -> npt.NDArray[np.float32]:
    """Scaled predictions, shape (m, 1), in the unit of the target, shape (m,)."""
    largest = float(np.finfo(np.float32).max)
    return np.clip(scores[:, 0].astype(np.float64) * scale + centre, -largest, largest).astype(np.float32)
