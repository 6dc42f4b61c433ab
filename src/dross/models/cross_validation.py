"""Cross-validation: which model predicts the labels best, and what it predicts for rows it has not seen."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.hashing import Hashes
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signals
from dross.models.calibration import calibrate_classes, calibrate_labels, log_loss
from dross.models.classifiers import BoostedTrees, Logistic
from dross.models.folds import Folds, folds_of
from dross.models.kernel_ridge import KernelRidge
from dross.models.learner import (
    Codes,
    Features,
    Learner,
    Matrix,
    Rows,
    Scores,
    Target,
    out_of_fold,
    score_fold,
)  # fmt: skip
from dross.models.ngram_linear import NgramLinear
from dross.signals.content_hash import ContentHash
from dross.signals.embedding import Embedding
from dross.signals.ngrams import count_ngrams, texts_of, weigh
from dross.signals.sampling import row_keys
from dross.signals.tabular_encoding import TabularEncoding, columns_for_trees
from dross.signals.text_projection import TextProjection

Kind = Literal["class", "labels", "number"]
Make = Callable[[Matrix, Target, Codes], Learner]
NAMES = ("kernel ridge", "logistic", "n-grams", "boosted trees")
TRIAL, TRIAL_PER_CLASS, TRIAL_AT_MOST = 4000, 20, 10_000
"""Rows on which models are compared: 4,000, or 20 per class up to 10,000."""
TRIAL_FOLDS = 3
"""Folds that are predicted in the comparison."""
LEFT_BEHIND, NO_MATTER = 1.25, 0.02
"""A setting whose loss on the first fold is more than so many times the best one's, and more, is tried no further."""
LEAST_PER_CLASS = 20
"""Rows of a class that a sample keeps before it takes more of any other."""


@dataclass(frozen=True)
class Choice:
    """The model that predicts unseen rows best.

    Attributes
    ----------
    model, strength
        Its family and setting.
    losses
        What each family reached on unseen rows at its best setting, lower is better: the log-loss of calibrated
        probabilities, or for numbers the squared error over the variance.
    rows
        How many rows were compared on.
    together
        What the folds did not tear apart: group columns, "copies".
    """

    model: str
    strength: float
    losses: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    together: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        others = ", ".join(f"{name} {loss:.3f}" for name, loss in sorted(self.losses.items(), key=lambda x: x[1]))
        return f"{self.model} ({others})" if others else self.model


@dataclass(frozen=True)
class Candidate:
    """One family of models and the features it takes."""

    learner: type[Learner]
    features: Features
    make: Make

    def capacity(self, rows: Rows, width: int) -> int:
        """How many training rows it may have; 0 where it is not for this problem."""
        return self.learner.most_rows(self.features(rows[:256]), width)


@dataclass
class Trial:
    """One setting of one family in the comparison, with the rows predicted so far and their scores, fold by fold."""

    name: str
    strength: float
    learner: Learner
    X: Matrix
    folds: int
    parts: list[tuple[Rows, Scores]] = field(default_factory=list)

    def loss(self, folds: int) -> float:
        """The loss on that many folds (or all there are); those that were predicted before are not again."""
        for f in range(len(self.parts), min(folds, self.folds)):
            part = np.flatnonzero(self.learner.fold == f)
            self.parts.append((part, self.learner.without(f, self.strength)(self.X[part])))
        judged = np.concatenate([rows for rows, _ in self.parts])
        return loss_of(np.concatenate([s for _, s in self.parts]), self.learner.target[judged]) if len(judged) else 0.0


@dataclass(frozen=True)
class Problem:
    """Rows to predict, what is known about them, and how they are cut into folds.

    Attributes
    ----------
    target
        What to predict, one row for each row of the data; rows that are not ``known`` are empty.
    known
        Where it is given, shape (n,).
    classes
        What folds and samples are spread evenly over, shape (n,), int32; -1 where it is missing.
    """

    data: Dataset
    signals: Signals
    target: Target
    known: npt.NDArray[np.bool_]
    classes: Codes
    count: int
    seed: int

    @functools.cached_property
    def folds(self) -> Folds:
        """The folds, the same for every model."""
        hashes = self.signals[ContentHash()][: len(self.data)]
        return folds_of(self.data, hashes, self.classes, self.count, self.seed)

    @functools.cached_property
    def keys(self) -> Hashes:
        """A random number per row: the order in which models see the rows."""
        return row_keys(self.data, CONTENT, self.seed + 1)

    @functools.cached_property
    def candidates(self) -> dict[str, Candidate]:
        """The families of models that fit the data, by name."""
        data, signals, kind = self.data, self.signals, self.target.kind
        vectors = signals[Embedding()]
        found = {"kernel ridge": Candidate(KernelRidge, lambda rows: vectors[rows], KernelRidge)}
        if kind == "class":
            found["logistic"] = Candidate(Logistic, lambda rows: vectors[rows], Logistic)
        if data.has(Role.TEXT) and kind != "number":
            texts, terms = texts_of(data), signals[TextProjection()].terms
            found["n-grams"] = Candidate(
                NgramLinear, lambda rows: weigh(count_ngrams(texts.take(rows)), terms), NgramLinear
            )
        if data.has(Role.FEATURES) and kind != "labels":
            columns, categories = columns_for_trees(data, signals[TabularEncoding()])
            make = functools.partial(BoostedTrees, categories=categories)
            found["boosted trees"] = Candidate(BoostedTrees, lambda rows: columns[rows], make)
        return found

    def sample(self, most: int) -> Rows:
        """At most so many known rows in random order, the rarest classes first."""
        rows = np.flatnonzero(self.known)
        if len(rows) > most:
            order = np.lexsort((self.keys[rows], self.classes[rows]))
            sizes = np.bincount(self.classes[rows])
            rank = np.empty(len(rows), np.int64)
            rank[order] = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            rows = rows[np.lexsort((self.keys[rows], rank >= LEAST_PER_CLASS))[:most]]
        return rows[np.argsort(self.keys[rows])]

    def learner(self, one: Candidate) -> Learner:
        """A learner of one family on as many of the known rows as it may have."""
        rows = self.sample(max(1, one.capacity(np.flatnonzero(self.known), self.target.width)))
        return one.make(one.features(rows), self.target[rows], self.folds.of[rows])

    # ---- choosing ---------------------------------------------------------------------------------------------------

    def choose(self, model: str = "auto") -> Choice:
        """Compare the families (or the settings of one) by their loss on unseen rows of a sample."""
        if model != "auto" and model not in self.candidates:
            raise DrossError(
                f"the model {model!r} is not one for this data",
                fix=nearest(model, ["auto", *self.candidates]),
            )
        width = self.target.width
        sample = self.sample(min(TRIAL_AT_MOST, max(TRIAL, TRIAL_PER_CLASS * width)))
        together = list(self.folds.kept_together)
        trials = [
            trial
            for name, one in self.candidates.items()
            if model in ("auto", name) and (model != "auto" or one.capacity(sample, width))
            for trial in self._trials(name, one, sample)
        ]
        heats = [trial.loss(1) for trial in trials]
        bar = LEFT_BEHIND * min(heats, default=0.0) + NO_MATTER
        losses: dict[str, float] = {}
        best = ("", 0.0, np.inf)
        for trial, heat in zip(trials, heats, strict=True):
            loss = trial.loss(TRIAL_FOLDS) if heat <= bar else heat
            losses[trial.name] = min(loss, losses.get(trial.name, np.inf))
            if heat <= bar:
                best = min(best, (trial.name, trial.strength, loss), key=lambda tried: tried[2])
        return Choice(best[0], best[1], losses, len(sample), together)

    def _trials(self, name: str, one: Candidate, rows: Rows) -> list[Trial]:
        fold, target, X = self.folds.of[rows], self.target[rows], one.features(rows)
        learner, folds = one.make(X, target, fold), min(TRIAL_FOLDS, self.folds.count)
        return [Trial(name, strength, learner, X, folds) for strength in learner.strengths]

    # ---- predicting -------------------------------------------------------------------------------------------------

    def scores(self, choice: Choice, title: str) -> Scores:
        """The out-of-fold scores of all rows, shape (n, k); rows that are not known get the mean of all models."""
        one, count = self.candidates[choice.model], self.folds.count
        report = functools.partial(self.signals.progress, title)
        return out_of_fold(
            self.learner(one),
            choice.strength,
            one.features,
            self.folds.of,
            count,
            ~self.known,
            lambda done: report(done, count),
        )

    def scores_of_added(self, choice: Choice, whole: Dataset) -> tuple[Rows, Scores, Scores]:
        """How the model that left fold 0 out scores rows added after those of this problem.

        ``whole`` are this problem's rows and the added ones, and the signals are those of ``whole``. Returns the known
        rows of fold 0, their scores, and the scores of the added rows, shape (added, k).
        """
        one = replace(self, data=whole).candidates[choice.model]
        learner = self.learner(one)
        held = np.flatnonzero((self.folds.of == 0) & self.known)
        added = np.arange(len(self.data), len(whole))
        found = score_fold(learner, choice.strength, one.features, 0, np.concatenate([held, added]))
        return held, found[: len(held)], found[len(held) :]


def loss_of(scores: Scores, target: Target) -> float:
    """The loss of scores on unseen rows: log-loss once calibrated, or squared error over the variance."""
    if target.kind == "class":
        return log_loss(calibrate_classes(scores, target.codes).classes(scores), target.codes)
    if target.kind == "labels":
        probs = calibrate_labels(scores, target.matrix).labels(scores).astype(np.float64)
        given = target.matrix.toarray() > 0
        return float(-np.log(np.where(given, probs, 1 - probs)).mean())
    wrong = np.square(scores - target.matrix).mean()
    return float(wrong / max(float(np.var(target.matrix)), 1e-12))


def known_classes(codes: Codes, k: int) -> Target:
    """One class per row, shape (n,); rows of code -1 are empty.

    >>> known_classes(np.array([1, -1], np.int32), 2).matrix.toarray().tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    from scipy.sparse import csr_matrix

    known = codes >= 0
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(known)])
    matrix: Any = csr_matrix((np.ones(known.sum(), np.float32), codes[known], starts), shape=(len(codes), k))
    return Target(matrix, "class")
