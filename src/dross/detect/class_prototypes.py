"""Class prototypes: which labels are wrong, judged class by class from the loss and the nearness to the prototype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Codes, Dataset
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.given_labels import Probs, labels_and_probs, row_chunks
from dross.models.small_loss import loss_mixture, mixture_step, standardised
from dross.signals.principal import Principal
from dross.signals.probabilities import Probabilities

Vectors = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

SAMPLE = 10_000
"""Rows from which spreads are taken."""
LEAST_PER_CLASS = 5
_LEAST_PROBABILITY = 1e-6
_FLOOR = 0.4
"""Least standard deviation of a component within a class, in units of the whole."""
_SHRINKAGE = 0.1


# ---- the mathematics ---------------------------------------------------------------------------------------------


def prototypes(X: Vectors, labels: Codes, k: int, clean: Values) -> tuple[Vectors, Vectors]:
    """The class prototypes as linear scores ``X @ directions - offsets``: (d, k) and (k,).

    A prototype is the mean of the rows labelled so, weighted by their chance of being clean. The score is, up to a
    constant of the row, the log-odds of the class when clean rows spread about their prototypes alike (the spread is
    measured, and shrunk towards a sphere). O(n d + d³).

    >>> X = np.array([[0.0, 0.1], [0.1, 0.0], [1.0, 0.9], [0.9, 1.0]], np.float32)
    >>> directions, offsets = prototypes(X, np.array([0, 0, 1, 1]), 2, np.ones(4))
    >>> (X @ directions - offsets).argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """
    from scipy.sparse import csr_array

    n, d = X.shape
    members = csr_array((clean.astype(np.float32), (labels, np.arange(n))), shape=(k, n))
    weight = np.maximum(np.bincount(labels, clean, k), 1e-9)[:, None]
    centres = (members @ X).astype(np.float64) / weight
    some = slice(None, None, -(-n // SAMPLE) or 1)
    away = X[some] - centres.astype(np.float32)[labels[some]]
    spread = (away.T @ (away * clean[some, None].astype(np.float32))).astype(np.float64) / max(clean[some].sum(), 1e-9)
    spread += (_SHRINKAGE * np.trace(spread) / d + 1e-9) * np.eye(d)
    directions = np.linalg.solve(spread, centres.T)
    return directions.astype(np.float32), (0.5 * (centres.T * directions).sum(axis=0)).astype(np.float32)


def consistency(X: Vectors, labels: Codes, directions: Vectors, offsets: Vectors) -> tuple[Vectors, Codes]:
    """By how much the own prototype scores above the best other one, shape (n,), and which other that is, (n,).

    >>> X, directions = np.array([[2.0], [0.0]], np.float32), np.array([[1.0, 3.0]], np.float32)
    >>> margin, other = consistency(X, np.array([0, 1], np.int32), directions, np.zeros(2, np.float32))
    >>> margin.tolist(), other.tolist()
    ([-4.0, 0.0], [1, 0])
    """
    margin, other = np.empty(len(X), np.float32), np.empty(len(X), np.int32)

    for rows in row_chunks(len(X), 16_384):
        scores, each = X[rows] @ directions - offsets, np.arange(rows.stop - rows.start)
        own = scores[each, labels[rows]]
        scores[each, labels[rows]] = -np.inf
        other[rows] = scores.argmax(axis=1)
        margin[rows] = own - scores[each, other[rows]]
    return margin, other


def clean_chances(X: Vectors, labels: Codes, losses: Values, k: int, rounds: int) -> tuple[Values, Codes]:
    """The chance that each label is right, shape (n,), and the class of the best other prototype, shape (n,).

    Starts from the class-agnostic mixture of the losses; each round refits the prototypes to the rows thought clean
    (M-step) and judges every row within its class by its loss and its consistency together (E-step). A row whose own
    prototype is the nearest of all is in the end no worse than even: a mixture always finds two parts, even where all
    labels are right.
    """
    clean = loss_mixture(losses)
    loss, other, margin = standardised(losses), labels, np.zeros(len(labels), np.float32)
    for _ in range(rounds):
        margin, other = consistency(X, labels, *prototypes(X, labels, k, clean))
        clean = mixture_step(np.stack([loss, -standardised(margin)], axis=1), labels, k, clean, _FLOOR)
    return np.where(margin > 0, (1 + clean) / 2, clean), other


# ---- the detector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassPrototypes(Detector):
    """Labels that are far from their class prototype and dear to the model, judged class by class.

    Huang, Chen, Feng, Wu, "Class Prototype-based Cleaner for Label Noise Learning", 2022: a mixture of losses alone
    treats all classes alike, though some are harder and some noisier; prototypes, learnt from the rows that the
    mixture thinks clean, make the split class-aware, and expectation-maximisation refines both.

    Here losses are those of the out-of-fold probabilities, prototypes are weighted class means in the embedding,
    compared in the metric of the clean rows' spread, and the E-step is a two-component mixture per class over loss and
    consistency. The paper learns prototypes and encoder by gradient descent between the two steps and then trains on
    the split; that half belongs to training.

    Attributes
    ----------
    rounds
        EM rounds.
    """

    paper: ClassVar = Paper("Class Prototype-based Cleaner for Label Noise Learning", 2022, "2212.10766")
    alias: ClassVar = "cpc"
    finds: ClassVar[Issue] = Issue.LABEL
    needs: ClassVar = (Role.LABEL, Probabilities, Principal)

    rounds: int = 3

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Score every labelled row by its chance of being noisy; the suggestion is the best other prototype."""
        k, rows = len(data.classes), np.flatnonzero(data.codes >= 0)
        if len(rows) < LEAST_PER_CLASS * k:
            return NotApplicable(
                f"{len(rows)} labelled rows are too few for {k} classes: prototypes need {LEAST_PER_CLASS} each"
            )
        if not data.content:
            return NotApplicable("no column holds content to embed: no text, image, feature or embedding")
        found = labels_and_probs(data, signals)
        if isinstance(found, NotApplicable):
            return found
        given, P = found
        labels, own = given[rows], _own(P, given, rows)
        X = signals[Principal()][rows] if len(rows) < len(given) else signals[Principal()]
        clean, other = clean_chances(X, labels, -np.log(np.maximum(own, _LEAST_PROBABILITY)), k, self.rounds)
        sizes = np.bincount(labels, minlength=k)
        if not sizes.all():  # a class that no row has yet has no prototype; the user's own model may know it
            likeliest = P[rows].argmax(axis=1)
            other = np.where(sizes[likeliest] == 0, likeliest, other).astype(other.dtype)
        noisy = np.bincount(labels, 1 - clean, k) / np.maximum(sizes, 1)
        return Findings(
            Issue.LABEL,
            rows,
            (1 - clean).astype(np.float32),
            suggestion=other,
            evidence={"given_probability": own},
            summary={
                "estimated_errors": round(float((1 - clean).sum())),
                "error_rate_per_label": np.round(noisy, 6).tolist(),
            },
        )


def _own(P: Probs, given: Codes, rows: npt.NDArray[np.int64]) -> Vectors:
    own: Vectors = P[rows, given[rows]].astype(np.float32)
    return own
