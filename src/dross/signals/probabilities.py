"""Probabilities: out-of-fold class probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals
from dross.signals.embedding import Embedding

Probs = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Probabilities(Signal[Probs]):
    """Out-of-fold class probabilities, shape (n, k), float32, rows summing to one; columns follow ``data.classes``."""

    model: str = "auto"
    folds: int = 5
    seed: int = 0
    reads: ClassVar[tuple[Role, ...]] = (*CONTENT, Role.LABEL, Role.PROBS, Role.GROUP)

    def given(self, data: Dataset) -> Probs | None:
        """The user's own ``pred_probs``."""
        return data.matrix(Role.PROBS) if data.has(Role.PROBS) else None

    def compute(self, data: Dataset, signals: Signals) -> Probs:
        """Cross-validate a logistic regression (model choice, grouping and calibration: under construction)."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict

        folds = StratifiedKFold(self.folds, shuffle=True, random_state=self.seed)
        model = LogisticRegression(max_iter=500)
        probs = cross_val_predict(model, signals[Embedding()], data.codes, cv=folds, method="predict_proba")
        return np.asarray(probs, np.float32)
