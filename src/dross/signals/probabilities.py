"""Probabilities: out-of-fold class probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals
from dross.models.calibration import calibrate_classes, judging_rows
from dross.signals.model_choice import ModelChoice, classification

Probs = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Probabilities(Signal[Probs]):
    """Out-of-fold class probabilities, shape (n, k), float32, rows summing to one; columns follow ``data.classes``.

    Each row is predicted by a model that has seen neither it, nor a copy of it, nor a row of its group; rows without a
    label by the mean of all models. The model is the one that :class:`ModelChoice` names; its scores are calibrated
    (:func:`~dross.models.calibration.calibrate_classes`) on the out-of-fold rows. Rows of all splits take part.

    Very many rows are predicted by models of a sample of them: see each learner's ``most_rows``.

    >>> from dross.testing.planted import blobs
    >>> planted = blobs(300, flipped=0.0); P = Signals(planted.data)[Probabilities()]
    >>> P.shape, bool((P.argmax(1) == planted.truth).mean() > 0.9), bool(np.allclose(P.sum(1), 1))
    ((300, 4), True, True)
    """

    model: str = "auto"
    folds: int = 5
    seed: int = 0
    reads: ClassVar[tuple[Role, ...]] = (*CONTENT, Role.LABEL, Role.PROBS, Role.GROUP)
    version: ClassVar[int] = 2

    def given(self, data: Dataset) -> Probs | None:
        """The user's own ``pred_probs``."""
        return data.matrix(Role.PROBS) if data.has(Role.PROBS) else None

    def compute(self, data: Dataset, signals: Signals) -> Probs:
        """Cross-validate the chosen model and calibrate what it says of the rows it had not seen."""
        problem = classification(data, signals, self.folds, self.seed)
        if len(data.classes) == 1:
            return np.ones((len(data), 1), np.float32)
        scores = problem.scores(signals[ModelChoice(self.model, self.folds, self.seed)], self.title())
        rows = judging_rows(np.flatnonzero(problem.known), scores.shape[1])
        return calibrate_classes(scores[rows], data.codes[rows]).classes(scores)

    def extend(self, value: Probs, data: Dataset, signals: Signals) -> Probs:
        """New rows are predicted by the model that left out the first fold, calibrated on that fold."""
        n = len(value)
        first = data.slice(0, n)
        if first.classes != data.classes or value.shape[1] != len(data.classes):
            return self.compute(data, signals)
        if value.shape[1] == 1:
            return np.ones((len(data), 1), np.float32)
        problem = classification(first, signals, self.folds, self.seed)
        choice = signals[ModelChoice(self.model, self.folds, self.seed)]
        held, scores, added = problem.scores_of_added(choice, data)
        return np.concatenate([value, calibrate_classes(scores, first.codes[held]).classes(added)])
