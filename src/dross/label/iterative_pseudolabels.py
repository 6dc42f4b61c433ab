"""Iterative pseudolabels: growing, class-balanced sets of a weak scorer's surest rows teach a better model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Codes, Dataset
from dross.core.errors import DrossError
from dross.core.method import Labeler
from dross.core.paper import Paper
from dross.core.results import Labels, NotApplicable, Rows
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.classifiers import Logistic
from dross.models.learner import Target, batches
from dross.signals.principal import Principal

Probs = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.float32]

STRENGTH = 0.1
"""Inverse of the L2 penalty of the model that learns from pseudolabels, some of which are wrong."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def surest_per_class(probs: Probs, count: int) -> tuple[Rows, Codes]:
    """The ``count`` rows that each class is surest of, ascending, (m,), and the class each teaches, (m,).

    A row that several classes claim goes to the class in whose list it stands highest: lists are compared by rank, so
    a class to which the scorer gives low chances throughout still gets rows. O(n k).

    >>> rows, labels = surest_per_class(np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]], np.float32), 1)
    >>> rows.tolist(), labels.tolist()
    ([0, 2], [0, 1])
    """
    n, k = probs.shape
    count = min(count, n)
    best, label = np.full(n, n, np.int64), np.full(n, -1, np.int32)
    for c in range(k):
        order = np.argsort(-probs[:, c], kind="stable")[:count]
        rank = np.arange(len(order))
        tie = (rank == best[order]) & (label[order] >= 0)
        surer = tie & (probs[order, c] > probs[order, np.maximum(label[order], 0)])
        won = (rank < best[order]) | surer
        best[order[won]], label[order[won]] = rank[won], c
    rows = np.flatnonzero(label >= 0)
    return rows, label[rows]


def softmax(logits: npt.NDArray[Any]) -> Probs:
    """Exponentials that add up to one along the last axis, float32.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def train(X: Vectors, rows: Rows, labels: Codes, k: int) -> Probs:
    """What a logistic regression taught by some rows says of all, shape (n, k)."""
    learner = Logistic(X[rows], Target.classes(labels, k), np.zeros(len(rows), np.int32))
    scorer = learner.without(1, STRENGTH)  # no row is in fold 1: all take part
    return np.concatenate([softmax(scorer(X[some])) for some in batches(np.arange(len(X)))])


def grow(X: Vectors, probs: Probs, given: Codes, rounds: int) -> tuple[Probs, list[dict[str, Any]]]:
    """The model's class chances after all rounds, shape (n, k), and what happened in each round.

    In round i of I each class teaches with its i/I share of an equal part of the unlabelled rows; all pseudolabels are
    made afresh from the round before. Rows with a label (``given`` at least 0) teach it in every round.
    """
    k = probs.shape[1]
    labelled, free = np.flatnonzero(given >= 0), np.flatnonzero(given < 0)
    history = []
    before = probs.argmax(axis=1)
    for i in range(1, rounds + 1):
        count = -(-i * len(free) // (rounds * k))
        chosen, labels = surest_per_class(probs[free], count)
        rows = np.concatenate([labelled, free[chosen]])
        probs = train(X, rows, np.concatenate([given[labelled], labels]).astype(np.int32), k)
        now = probs.argmax(axis=1)
        history.append(
            {"per_class": int(count), "pseudolabels": len(chosen), "changed": round(float((now != before).mean()), 4)}
        )
        before = now
    return probs, history


# ---- the labeler -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class IterativePseudolabels(Labeler):
    """Labels from a weak scorer, sharpened by training on growing class-balanced sets of its own surest rows.

    Menghini, Delworth, Bach, "Enhancing CLIP with CLIP: Exploring Pseudolabeling for Limited-Label Prompt Tuning",
    2023 (their strategy GRIP). The scorer's probabilities come with the data (role ``probs``): a zero-shot model's, a
    rule's. A threshold on confidence would take rows of the classes that the scorer favours and so favour them more;
    an equal number of rows per class does not. Rows that have a label keep it and teach from the first round (the
    paper's semi-supervised and transductive settings; without any, its unsupervised one).

    The paper tunes a prompt of a vision-language model; here the tuned part is a logistic regression on the
    embedding. It assumes classes of about equal size: with rows very unequally spread over the classes the last rounds
    force wrong labels on the small ones' neighbours.

    Attributes
    ----------
    rounds
        How often pseudolabels are made and the model is trained.
    names
        The classes that the columns of ``probs`` stand for. May be left out where each has a labelled row (then they
        are the sorted labels) or where there are no labels (then they are numbered).
    """

    paper: ClassVar = Paper(
        "Enhancing CLIP with CLIP: Exploring Pseudolabeling for Limited-Label Prompt Tuning", 2023, "2306.01669"
    )
    alias: ClassVar = "grip"
    needs: ClassVar = (Role.PROBS, Principal)

    rounds: int = 10
    names: tuple[str, ...] = ()

    def run(self, data: Dataset, signals: Signals) -> Labels | NotApplicable:
        """The class chances of every row; labelled rows are certain."""
        probs = scores_of(data)
        k = probs.shape[1]
        classes, given = classes_of(data, k, self.names)
        if self.rounds < 1:
            raise DrossError(f"rounds must be at least 1, not {self.rounds}")
        if k < 2 or int((given < 0).sum()) < k:
            return NotApplicable(f"{int((given < 0).sum())} unlabelled rows and {k} classes leave nothing to spread")
        first = probs.argmax(axis=1)
        final, history = grow(signals[Principal()], probs, given, self.rounds)
        known = given >= 0
        final[known] = np.eye(k, dtype=np.float32)[given[known]]
        summary = {
            "rounds": history,
            "changed_from_scorer": round(float((final.argmax(axis=1) != first)[~known].mean()), 4),
            "rows_per_class": np.bincount(final.argmax(axis=1), minlength=k).tolist(),
        }
        return Labels(classes, final, np.where(known, 0, 1).astype(np.int32), ("given", "pseudolabels"), summary)


def scores_of(data: Dataset) -> Probs:
    """The scorer's probabilities, rows adding up to one, shape (n, k). Raises DrossError where they are none."""
    probs = data.matrix(Role.PROBS)
    total = probs.sum(axis=1, keepdims=True) if len(probs) else np.ones((0, 1), np.float32)
    bad = np.flatnonzero(~(np.isfinite(total[:, 0]) & (total[:, 0] > 0) & (probs.min(axis=1, initial=0.0) >= 0)))
    if len(bad):
        raise DrossError(
            f"{len(bad)} rows have no usable class probabilities",
            where=f"column {data.name_of(Role.PROBS)!r}, row {int(bad[0])}",
            fix="every row needs numbers of at least 0 that do not all vanish",
        )
    return np.asarray(probs / total, np.float32)


def classes_of(data: Dataset, k: int, names: tuple[str, ...]) -> tuple[list[Any], Codes]:
    """The k classes that the scorer's columns stand for, and each row's class among them or -1, shape (n,)."""
    unlabelled = np.full(len(data), -1, np.int32)
    present = data.classes if data.has(Role.LABEL) else []
    if not names and (not present or len(present) == k):
        return (present or list(range(k))), (data.codes if present else unlabelled)
    if len(names) != k:
        raise DrossError(
            f"the probabilities have {k} columns; {len(names) or len(present)} classes are known",
            where=f"column {data.name_of(Role.PROBS)!r}",
            fix="name the class of each column with names",
        )
    position = {name: i for i, name in enumerate(names)}
    strange = [value for value in present if str(value) not in position]
    if strange:
        raise DrossError(f"the label {strange[0]!r} is none of the names", fix=f"the names are: {', '.join(names)}")
    lookup = np.array([position[str(value)] for value in present] + [-1], np.int32)
    return list(names), lookup[data.codes] if present else unlabelled
