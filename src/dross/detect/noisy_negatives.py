"""Noisy negatives: rows of a dominant "no relation"-like class that look like missed positives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from dross.core.dataset import Codes, Dataset
from dross.core.errors import DrossError
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable, Rows
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.given_labels import kernel_weights, labels_and_probs, likeliest_other, row_chunks
from dross.signals.embedding import Embedding
from dross.signals.neighbours import Neighbours
from dross.signals.probabilities import Probabilities

Shares = npt.NDArray[np.float32]

NAMES = frozenset(
    "no relation|norelation|na|n a|none|nothing|negative|neg|no|not|other|others|o|0|0.0|false|-1|outside|background|"
    "out of scope|oos|unrelated|irrelevant|normal|benign|null|no match|nonmatch|not a match|no entity|unknown".split(
        "|"
    )
)
"""What a class is called that holds all the rest, in small letters, with spaces for dashes, slashes and underscores."""
DOMINANT = 0.5
"""The share of the labelled rows from which a class so named is taken to hold all the rest."""
TRUSTED_NEIGHBOURS = 10


# ---- the mathematics ---------------------------------------------------------------------------------------------


def negative_class(classes: list[Any], counts: npt.NDArray[np.int64]) -> int:
    """The class that is named like a negative and holds at least half of the rows; -1 where there is none.

    >>> negative_class(["born in", "No_Relation"], np.array([20, 80]))
    1
    >>> negative_class(["0", "1"], np.array([20, 80])), negative_class(["cat", "dog"], np.array([20, 80]))
    (-1, -1)
    """
    largest = int(counts.argmax())
    name = str(classes[largest]).strip().casefold()
    named = name in NAMES or " ".join(re.split(r"[\s_/-]+", name)) in NAMES
    return largest if named and counts[largest] >= DOMINANT * counts.sum() else -1


def positive_share(
    labels: Codes, missed: npt.NDArray[np.bool_], negative: int, indices: npt.NDArray[Any], weights: Shares
) -> Shares:
    """The share of positives in the neighbourhood of each of m rows, shape (m,), from neighbours (m, j) and weights.

    Positives are taken to be clean. Those the model took for negatives (``missed``, shape (n,)) count double: it is
    the wrong negatives around them that made it miss. Neighbours without a label do not vote.

    >>> labels, missed = np.array([0, 1, 1, 0], np.int32), np.array([False, True, False, False])
    >>> positive_share(labels, missed, 0, np.array([[1, 2, 3]]), np.ones((1, 3), np.float32)).tolist()
    [0.75]
    """
    votes = np.where((indices >= 0) & (labels[indices] >= 0), weights * (1 + missed[indices]), 0.0)
    positive = np.where(labels[indices] != negative, votes, 0.0)
    share: Shares = (positive.sum(axis=1) / np.maximum(votes.sum(axis=1), 1e-12)).astype(np.float32)
    return share


def nearest_trusted(X: Shares, trusted: Shares, j: int) -> tuple[npt.NDArray[np.int64], Shares]:
    """The j trusted rows nearest to each row, nearest first, and their distances: (m, j) each. O(m t d), chunked.

    >>> nearest_trusted(np.array([[0.0], [3.0]]), np.array([[1.0], [3.0]]), 1)[0].tolist()
    [[0], [1]]
    """
    half = np.square(trusted).sum(axis=1) / 2
    indices, distances = np.empty((len(X), j), np.int64), np.empty((len(X), j), np.float32)
    for rows in row_chunks(len(X), 1024):
        gap = half - X[rows] @ trusted.T  # half the squared distance, less the same for the whole row
        near = np.argpartition(gap, j - 1, axis=1)[:, :j]
        near = np.take_along_axis(near, np.argsort(np.take_along_axis(gap, near, 1), axis=1, kind="stable"), 1)
        squared = 2 * np.take_along_axis(gap, near, 1) + np.square(X[rows]).sum(axis=1, keepdims=True)
        indices[rows], distances[rows] = near, np.sqrt(np.maximum(squared, 0.0))
    return indices, distances


# ---- the detector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NoisyNegatives(Detector):
    """Rows of the dominant negative class (no relation, none, other, O, 0) that are really missed positives.

    Parekh, Anand, Awekar, "Noise in Relation Classification Dataset TACRED: Characterization and Reduction", 2023.
    Intrinsic strategy (the default): positives are taken to be clean, and negatives that lie near them, above all near
    those the model misses, are suspects. Extrinsic strategy (``trusted`` given): negatives are compared with the
    nearest rows of a clean subset. Both are averaged with the model's own doubt, so that a row is flagged when
    neighbours and model together say so; the paper takes the neighbours' word alone. Eliminating the flagged rows or
    writing the suggestion are the paper's two remedies. Its extension to wrong positives is left out: where positives
    are rare, few trusted ones are near, and it flags right labels.

    Attributes
    ----------
    negative
        The name of the negative class; by default the class that is named like one and holds at least half the rows.
    trusted
        The value of the split column whose rows have clean labels; they are not scored.
    """

    paper: ClassVar = Paper(
        "Noise in Relation Classification Dataset TACRED: Characterization and Reduction", 2023, "2311.12298"
    )
    alias: ClassVar = "tacred-denoise"
    finds: ClassVar[Issue] = Issue.LABEL
    needs: ClassVar = (Role.LABEL, Probabilities, Neighbours, Embedding)

    negative: str | None = None
    trusted: str | None = None

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Score the negatives (those that are not trusted); the suggestion is the likeliest positive class."""
        labelled = data.codes >= 0
        counts = np.bincount(data.codes[labelled], minlength=len(data.classes))
        if len(counts) < 2:
            return NotApplicable("the labels have fewer than two classes")
        negative = self._negative(data, counts)
        if negative < 0:
            return NotApplicable(
                "no class is named like a negative (none, other, no relation, 0) and holds half the rows"
            )
        if not data.content:
            return NotApplicable("no column holds content to find neighbours by: no text, image, feature or embedding")
        found = labels_and_probs(data, signals)
        if isinstance(found, NotApplicable):
            return found
        given, P = found
        rows, indices, distances = self._neighbours(data, given, negative, signals)
        missed = labelled & (given != negative) & (P[:, negative] >= P.max(axis=1))
        doubt = positive_share(given, missed, negative, indices, kernel_weights(distances))
        own, suggestion = P[rows, given[rows]], likeliest_other(given[rows], P[rows])
        score = np.clip((doubt + 1 - own) / 2, 0, 1).astype(np.float32)
        return Findings(
            Issue.LABEL,
            rows,
            score,
            suggestion=suggestion,
            evidence={"positive_neighbours": doubt, "given_probability": own},
            summary={
                "negative_class": str(data.classes[negative]),
                "negative_share": float(counts[negative] / counts.sum()),
                "strategy": "intrinsic" if self.trusted is None else "extrinsic",
                "flagged": int((score >= 0.5).sum()),
            },
        )

    def _neighbours(
        self, data: Dataset, given: Codes, negative: int, signals: Signals
    ) -> tuple[Rows, npt.NDArray[Any], Shares]:
        """The negatives to score, and their nearest rows (of the clean subset where there is one)."""
        rows = np.flatnonzero(given == negative)
        if self.trusted is None:
            hood = signals[Neighbours()]
            return rows, hood.indices[rows], hood.distances[rows]
        clean = _in_split(data, self.trusted)
        rows, sure = rows[~clean[rows]], np.flatnonzero((given >= 0) & clean)
        X = signals[Embedding()]
        nearest, distances = nearest_trusted(X[rows], X[sure], min(TRUSTED_NEIGHBOURS, len(sure)))
        return rows, sure[nearest], distances

    def _negative(self, data: Dataset, counts: npt.NDArray[np.int64]) -> int:
        if self.negative is None:
            return negative_class(data.classes, counts)
        names = [str(value) for value in data.classes]
        if self.negative not in names:
            raise DrossError(f"no class is called {self.negative!r}", fix=f"choose one of: {', '.join(names[:20])}")
        return names.index(self.negative)


def _in_split(data: Dataset, value: str) -> npt.NDArray[np.bool_]:
    """Which rows stand in the trusted split."""
    named = data.column(Role.SPLIT).cast("string")
    inside = pc.fill_null(pc.equal(named, value), False).to_numpy()
    if not (inside & (data.codes >= 0)).any():
        raise DrossError(f"no labelled row stands in the split {value!r}", where=f"column {data.name_of(Role.SPLIT)!r}")
    return np.asarray(inside, np.bool_)
