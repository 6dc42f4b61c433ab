"""What planting cannot know about each kind of defect, in a sentence or two for the report."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dross.core.dataset import Dataset
from dross.core.results import Issue
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.probabilities import Probabilities


def label_note(data: Dataset, signals: Signals) -> str:
    """How many labels the model doubts at all, and which mistakes planting cannot speak for."""
    note = (
        "Wrong labels were planted as often on doubtful rows as on clear ones. Where mistakes gather on doubtful "
        "rows, more labels are wrong than said here; where the model repeats a systematic mistake, or is sure of "
        "wrong answers, fewer of the flagged ones are."
    )
    if not data.has(Role.LABEL) or Probabilities() not in signals:
        return note
    probs, codes = signals[Probabilities()], data.codes
    rows = np.flatnonzero(codes >= 0)
    if probs.ndim != 2 or not len(rows) or probs.shape[1] != len(data.classes):
        return note
    agrees = float((probs[rows].argmax(axis=1) == codes[rows]).mean())
    return f"{note} The model agrees with {agrees:.0%} of the given labels."


def pairs_note(data: Dataset, signals: Signals) -> str:
    """What counts as a copy."""
    return (
        "Edited copies were planted for the recall, and new rows mixed from two others for the false alarms. Copies "
        "edited in other ways may be found less often, and rows that are alike by the nature of the data count as "
        "copies."
    )


def outlier_note(data: Dataset, signals: Signals) -> str:
    """What counts as an outlier."""
    return (
        "Outliers were planted by mixing rows that do not belong together; expected precision is the chance that a row "
        "is as far out of place as those. Outliers of other kinds may be found less often."
    )


NOTES: dict[Issue, Callable[[Dataset, Signals], str]] = {
    Issue.LABEL: label_note,
    Issue.VALUE: label_note,
    Issue.OUTLIER: outlier_note,
    Issue.DUPLICATE: pairs_note,
    Issue.NEAR_DUPLICATE: pairs_note,
    Issue.SEMANTIC_DUPLICATE: pairs_note,
    Issue.CONFLICT: pairs_note,
    Issue.LEAKAGE: pairs_note,
}
