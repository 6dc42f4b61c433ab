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


Estimate = tuple[float, float, float]
"""A number with its 95 % interval: (estimate, low, high)."""


@dataclass(frozen=True)
class Labels:
    """What a labeler says: the chance of each class on each row, or nothing where it abstains.

    Attributes
    ----------
    classes
        The k classes, plain values.
    probs
        Shape (n, k), float32, each row adding up to 1; a row of NaN where the labeler abstains.
    origin
        Where each row's label came from: a position in ``origins``, shape (n,), -1 where it abstains; None when all
        came the same way.
    origins
        The names of the ways.
    summary
        Facts about the sources and the dataset; plain JSON values.

    Examples
    --------
    >>> labels = Labels(["no", "yes"], np.array([[0.25, 0.75], [np.nan, np.nan]], np.float32))
    >>> labels.codes.tolist(), labels.confidence.tolist()
    ([1, -1], [0.75, 0.0])
    """

    classes: list[Any]
    probs: npt.NDArray[np.float32]
    origin: npt.NDArray[np.int32] | None = None
    origins: tuple[str, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.probs.ndim != 2 or self.probs.shape[1] != len(self.classes):
            raise DrossError(f"labels of {len(self.classes)} classes have probabilities of shape {self.probs.shape}")
        known = ~self.abstained
        if known.any() and not np.allclose(self.probs[known].sum(axis=1), 1, atol=1e-3):
            raise DrossError("the probabilities of a row must add up to 1")
        if self.origin is not None and len(self.origin) != len(self.probs):
            raise DrossError(f"labels of {len(self.probs)} rows name the origin of {len(self.origin)}")

    def __len__(self) -> int:
        return len(self.probs)

    @property
    def abstained(self) -> npt.NDArray[np.bool_]:
        """Which rows got no label, shape (n,)."""
        return np.asarray(np.isnan(self.probs).any(axis=1))

    @property
    def codes(self) -> npt.NDArray[np.int32]:
        """The likeliest class of each row, shape (n,), -1 where it abstains."""
        gone = self.abstained
        return np.where(gone, -1, np.where(gone[:, None], 0, self.probs).argmax(axis=1)).astype(np.int32)

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        """The chance of the likeliest class, shape (n,), 0 where it abstains."""
        best: npt.NDArray[np.float32] = np.nan_to_num(self.probs, nan=0.0).max(axis=1, initial=0.0)
        return best


@dataclass(frozen=True)
class Selection:
    """Which rows to take, in which order.

    Attributes
    ----------
    rows
        Positions, shape (m,), int64, each at most once, the first to take first.
    weights
        How much each counts, shape (m,), float32, at least 0; None when all count alike.
    summary
        Plain JSON values.
    """

    rows: Rows
    weights: npt.NDArray[np.float32] | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(np.unique(self.rows)) != len(self.rows):
            raise DrossError("a selection names a row twice")
        if self.weights is not None and (len(self.weights) != len(self.rows) or (self.weights < 0).any()):
            raise DrossError("a selection needs one weight of at least 0 for each row")

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Predictions:
    """What a frozen model, or several together, answer.

    Attributes
    ----------
    classes
        The k possible answers.
    probs
        Shape (n, k), float32, each row adding up to 1.
    sets
        Which answers cannot be ruled out, shape (n, k), bool; None when only single answers are given.
    summary
        Plain JSON values.
    """

    classes: list[Any]
    probs: npt.NDArray[np.float32]
    sets: npt.NDArray[np.bool_] | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.probs)


@dataclass(frozen=True)
class Metrics:
    """Measured numbers, each with its interval (estimate, low, high); ``summary`` holds plain JSON values."""

    values: Mapping[str, Estimate]
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Edits:
    """Proposed changes of one column, one entry per row to change.

    Attributes
    ----------
    rows
        Positions of the rows, shape (m,), int64, ascending, each at most once.
    field
        The column.
    before, after
        The values there and those to put in place, lists of m plain values.
    confidence
        How likely each change is right, shape (m,), float32 in [0, 1].
    reason
        Why, in a phrase that fits all of them.

    Examples
    --------
    >>> edits = Edits(np.array([3]), "label", ["cat"], ["dog"], np.array([0.75], np.float32), "the model disagrees")
    >>> len(edits)
    1
    """

    rows: Rows
    field: str
    before: list[Any]
    after: list[Any]
    confidence: Scores
    reason: str

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.before) == len(self.after) == len(self.confidence):
            raise DrossError(f"edits of {self.field}: rows, values and confidences are of different lengths")
        if len(self.rows) and (np.diff(self.rows) <= 0).any():
            raise DrossError(f"edits of {self.field}: rows must be ascending and unique")

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class NotApplicable:
    """The method has nothing to say about this dataset, and why."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """The method raised; the run goes on and exits non-zero."""

    error: str
    where: str = ""
