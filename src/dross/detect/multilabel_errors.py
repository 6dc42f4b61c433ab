"""Multi-label errors: rows with a label too many or one too few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.multilabel_probabilities import MultilabelProbabilities, given_labels

Given = npt.NDArray[np.bool_]
Probs = npt.NDArray[np.float32]
DECAY = 0.8
"""Weight of the worst class in the exponential moving average; the paper's choice."""


def quality(given: Given, probs: Probs) -> Probs:
    """The self-confidence of each label decision, shape (n, k): p where the class is given, 1 - p where it is not."""
    return np.where(given, probs, 1 - probs)


def pooled_quality(quality: Probs, decay: float = DECAY) -> Probs:
    """One quality per row, shape (n,): the exponential moving average of its sorted qualities, the worst weighing most.

    Thyagarajan et al. 2022, equation 2: S = decay · worst + (1 - decay) · (decay · next + …).

    >>> pooled_quality(np.array([[0.9, 0.1, 1.0]], np.float32)).tolist()
    [0.26...]
    """
    ordered = np.sort(quality, axis=1)[:, ::-1]
    pooled = ordered[:, 0].copy()
    for j in range(1, ordered.shape[1]):
        pooled = decay * ordered[:, j] + (1 - decay) * pooled
    return pooled


def unlikely_decisions(given: Given, probs: Probs) -> Given:
    """Decisions contradicted by confident learning in each class on its own, shape (n, k).

    A class is confidently present where its probability reaches the mean over the rows that have it, confidently absent
    where 1 - p reaches the mean over the rows that have it not (the thresholds of confident learning for two classes);
    a decision is contradicted where the opposite is confident and the likelier one.
    """
    inside, outside = np.maximum(given.sum(axis=0), 1), np.maximum((~given).sum(axis=0), 1)
    present = (probs * given).sum(axis=0) / inside
    absent = ((1 - probs) * ~given).sum(axis=0) / outside
    too_few = ~given & (probs >= present) & (probs > 0.5)
    too_many = given & (1 - probs >= absent) & (probs < 0.5)
    return np.asarray(too_few | too_many)


def as_text(chosen: Given, classes: list[Any]) -> npt.NDArray[Any]:
    """The names of the chosen classes of each row, shape (n,), joined by commas.

    >>> as_text(np.array([[True, True], [False, False]]), ["a", "b"]).tolist()
    ['a, b', '']
    """
    names = np.array([str(c) for c in classes], dtype=object)
    return np.array([", ".join(names[row]) for row in chosen], dtype=object)


@dataclass(frozen=True)
class MultilabelErrors(Detector):
    """Rows one of whose labels is probably wrong, or which probably lack one.

    Thyagarajan, Snorrason, Northcutt, Mueller, "Identifying Incorrect Annotations in Multi-Label Classification Data",
    2022: self-confidence of every class, pooled by an exponential moving average; flagged where confident learning
    contradicts a class. The suggestion turns round the contradicted classes.
    """

    paper: ClassVar[Paper | None] = Paper(
        "Identifying Incorrect Annotations in Multi-Label Classification Data", 2022, "2211.13895"
    )
    finds: ClassVar[Issue] = Issue.LABEL
    needs: ClassVar = (Role.LABELS, MultilabelProbabilities)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Score every row that has a list of labels, were it an empty one."""
        labels = given_labels(data)
        given, classes, rows = labels.matrix, labels.names, np.flatnonzero(labels.known)
        if len(classes) == 0 or len(rows) < 20:
            return NotApplicable("too few rows or labels to learn from")
        given = given[rows]
        probs = np.asarray(signals[MultilabelProbabilities()], np.float32)[rows]
        each = quality(given, probs)
        wrong = unlikely_decisions(given, probs)
        flagged = wrong.any(axis=1)
        badness = 1 - pooled_quality(each)
        score = np.where(flagged, 0.5 + badness / 2, badness * 0.4999)
        worst = each.argmin(axis=1)
        names = np.array([str(c) for c in classes], dtype=object)
        evidence = {
            "class": names[worst],
            "given_probability": each[np.arange(len(rows)), worst],
            "missing": (~given[np.arange(len(rows)), worst]).astype(np.int8),
        }
        return Findings(
            Issue.LABEL,
            rows,
            np.clip(score, 0, 1).astype(np.float32),
            suggestion=as_text(given ^ wrong, classes),
            evidence=evidence,
            summary={"classes": len(classes), "contradicted": _by_class(wrong, classes)},
        )


def _by_class(wrong: Given, classes: list[Any]) -> dict[str, int]:
    counts = wrong.sum(axis=0)
    return {str(classes[c]): int(counts[c]) for c in np.argsort(-counts)[:20] if counts[c]}
