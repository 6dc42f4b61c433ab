"""ModelChoice: which model the out-of-fold probabilities come from, and how the others did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals
from dross.models.cross_validation import Choice, Problem, known_classes

MOST_PROBABILITIES = 1 << 32
"""Rows times classes that are computed at most: 16 GiB of probabilities."""


@dataclass(frozen=True)
class ModelChoice(Signal[Choice]):
    """The classifier for this data, chosen by cross-validated log-loss on a sample of at most 10,000 rows.

    ``auto`` compares kernel ridge regression and logistic regression on the embedding, a linear model on n-grams where
    there is text, and boosted trees where there are feature columns, each at several strengths.

    >>> from dross.testing.planted import blobs
    >>> data = blobs(200).data; choice = Signals(data)[ModelChoice()]
    >>> choice.model in choice.losses, sorted(choice.losses)
    (True, ['kernel ridge', 'logistic'])
    """

    model: str = "auto"
    folds: int = 5
    seed: int = 0
    reads: ClassVar[tuple[Role, ...]] = (*CONTENT, Role.LABEL, Role.GROUP)
    value: ClassVar[type] = Choice

    def compute(self, data: Dataset, signals: Signals) -> Choice:
        """Compare the models."""
        return classification(data, signals, self.folds, self.seed).choose(self.model)

    def extend(self, value: Choice, data: Dataset, signals: Signals) -> Choice:
        """New rows do not change the choice."""
        return value


def classification(data: Dataset, signals: Signals, folds: int, seed: int) -> Problem:
    """The problem of predicting the label, one class per row."""
    codes, k = data.codes, len(data.classes)
    if k == 0:
        raise DrossError("no row has a label", where=f"column {data.name_of(Role.LABEL)!r}")
    if len(data) * k > MOST_PROBABILITIES:
        raise DrossError(
            f"{k:,} classes for {len(data):,} rows are too many to predict",
            where=f"column {data.name_of(Role.LABEL)!r}",
            fix="name the column that holds the label; a key or free text is none",
        )
    return Problem(data, signals, known_classes(codes, k), codes >= 0, codes, folds, seed)
