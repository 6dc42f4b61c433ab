"""What methods return: findings, and the two ways of not returning any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.errors import DrossError

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


class Issue(StrEnum):
    """A kind of defect."""

    LABEL = "label"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    SEMANTIC_DUPLICATE = "semantic_duplicate"
    CONFLICT = "conflict"
    LEAKAGE = "leakage"
    TARGET_LEAKAGE = "target_leakage"
    OUTLIER = "outlier"
    VALUE = "value"
    DRIFT = "drift"
    ORDER = "order"
    IMBALANCE = "imbalance"
    SLICE = "slice"
    SPURIOUS = "spurious"
    FORM = "form"
    ANNOTATOR = "annotator"

    @property
    def meaning(self) -> str:
        """One plain phrase for the report."""
        return _MEANINGS[self]


_MEANINGS = {
    Issue.LABEL: "the given label (or target) is probably wrong",
    Issue.DUPLICATE: "the same content as another row",
    Issue.NEAR_DUPLICATE: "nearly the same content as another row",
    Issue.SEMANTIC_DUPLICATE: "says or shows the same as another row",
    Issue.CONFLICT: "copies of one row carry different labels",
    Issue.LEAKAGE: "a copy of the row stands in another split",
    Issue.TARGET_LEAKAGE: "a feature gives the label away",
    Issue.OUTLIER: "unlike the other rows",
    Issue.VALUE: "the row makes a model worse",
    Issue.DRIFT: "the splits are not drawn from the same source",
    Issue.ORDER: "the order of the rows carries information",
    Issue.IMBALANCE: "the class is rare",
    Issue.SLICE: "a group of rows that a model serves badly",
    Issue.SPURIOUS: "a property that should not matter predicts the label",
    Issue.FORM: "the row is malformed",
    Issue.ANNOTATOR: "the annotators do not support the label",
}


@dataclass(frozen=True)
class Findings:
    """What a detector found: one entry per suspicious row, and a summary of the whole dataset.

    Attributes
    ----------
    issue
        The kind of defect.
    rows
        Positions of the rows, shape (m,), int64, ascending, each at most once. A row that is absent scores 0.
    scores
        How suspicious each is, shape (m,), float32 in [0, 1]; higher is worse.
    suggestion
        What to put in place, shape (m,): a class code (label), a row position (the twin), a number (target);
        None where the detector has none to give. -1 or NaN stand for "no suggestion for this row".
    evidence
        Named columns of length m (arrays of shape (m,) or (m, j)) that explain the score to a person.
    summary
        Facts about the dataset as a whole; plain JSON values.

    Examples
    --------
    >>> f = Findings(Issue.OUTLIER, rows=np.array([2, 5]), scores=np.array([0.5, 0.25], np.float32))
    >>> f.dense(7).tolist()
    [0.0, 0.0, 0.5, 0.0, 0.0, 0.25, 0.0]
    """

    issue: Issue
    rows: Rows
    scores: Scores
    suggestion: npt.NDArray[Any] | None = None
    evidence: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        m = len(self.rows)
        columns = {"scores": self.scores, **self.evidence}
        if self.suggestion is not None:
            columns["suggestion"] = self.suggestion
        for name, column in columns.items():
            if len(column) != m:
                raise DrossError(f"findings of {self.issue}: {name} has {len(column)} entries for {m} rows")
        if m and not (np.isfinite(self.scores).all() and self.scores.min() >= 0 and self.scores.max() <= 1):
            raise DrossError(f"findings of {self.issue}: scores must be numbers in [0, 1]")
        if m and (np.diff(self.rows) <= 0).any():
            raise DrossError(f"findings of {self.issue}: rows must be ascending and unique")

    def __len__(self) -> int:
        return len(self.rows)

    def dense(self, n: int) -> Scores:
        """The score of every row, shape (n,); 0 where nothing was found."""
        out = np.zeros(n, np.float32)
        out[self.rows] = self.scores
        return out

    @classmethod
    def none(cls, issue: Issue, **summary: Any) -> Findings:
        """Nothing found."""
        return cls(issue, np.empty(0, np.int64), np.empty(0, np.float32), summary=summary)


@dataclass(frozen=True)
class NotApplicable:
    """The method has nothing to say about this dataset, and why."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """The method raised; the run goes on and exits non-zero."""

    error: str
    where: str = ""
