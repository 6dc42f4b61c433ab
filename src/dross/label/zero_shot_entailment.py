"""Zero-shot entailment: a label becomes a sentence, and a text gets the label whose sentence it entails most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Labeler
from dross.core.paper import Paper
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.text_pairs import bilinear, entailed, overlap, stand_ins, standing
from dross.signals.ngrams import texts_of
from dross.signals.text_projection import TextProjection, project

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]

CLASSICAL = "auto"
FOLDS = 5
MOST_TAUGHT = 20_000
"""Labelled texts that the pair classifier learns from."""
HANDICAPS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
TEMPERATURES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)


# ---- what a pair looks like ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairs:
    """All texts beside all hypotheses.

    Attributes
    ----------
    texts, hypotheses
        Their vectors, shape (n, d) and (k, d), float32, of unit length.
    alike
        What is known of each pair whatever was learnt: similarities, shape (n, k, f), float32, each feature centred by
        hypothesis (a hypothesis that is like every text gains nothing by it) and of spread 1.
    """

    texts: Vectors
    hypotheses: Vectors
    alike: Vectors


def features(pairs: Pairs, rows: Codes, labels: Codes, V: Floats | None) -> Floats:
    """What the pair classifier sees, shape (r, c, f): the similarities, and what the learnt matrix says."""
    alike = pairs.alike[np.ix_(rows, labels)].astype(np.float64)
    if V is None:
        return alike
    learnt = pairs.texts[rows] @ V @ pairs.hypotheses[labels].T
    away = learnt - (pairs.texts.mean(axis=0) @ V @ pairs.hypotheses[labels].T)
    return np.concatenate([alike, (away / max(float(away.std()), 1e-9))[:, :, None]], axis=2)


# ---- what is learnt from seen labels ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entailment:
    """The pair classifier: how much a text entails a hypothesis, and what to make of it.

    Attributes
    ----------
    weights, offset
        Of the logistic regression on a pair's features.
    V
        The learnt matrix of :func:`bilinear`; None where there was nothing to learn it from.
    handicap
        What is taken off the score of a label that was seen in training, where unseen ones stand beside it.
    temperature
        Scores are divided by it before they become chances.
    """

    weights: Floats
    offset: float
    V: Floats | None
    handicap: float = 0.0
    temperature: float = 1.0

    def scores(self, pairs: Pairs, rows: Codes, labels: Codes) -> Floats:
        """The log-odds of entailment, shape (r, c)."""
        return np.asarray(features(pairs, rows, labels, self.V) @ self.weights + self.offset)


def untaught(pairs: Pairs) -> Entailment:
    """Every similarity counts alike: what can be said without a labelled text."""
    f = pairs.alike.shape[2]
    return Entailment(np.full(f, 1 / f), 0.0, None)


def hidden_folds(labels: Codes, folds: int, rng: np.random.Generator) -> list[Codes]:
    """The labels in random groups, each hidden in turn; a group has at least two labels."""
    count = max(2, min(folds, len(labels) // 2))
    return [np.sort(part) for part in np.array_split(rng.permutation(labels), count)]


def teach(
    pairs: Pairs, rows: Codes, codes: Codes, seen: Codes, rng: np.random.Generator, *, mapped: bool = True
) -> Entailment:
    """Learn from texts ``rows`` whose labels are ``codes``, all of them among ``seen``.

    With ``mapped`` a matrix is learnt besides the weights of the similarities. The weights are learnt from pairs whose
    label was hidden from the matrix, so that they fit labels never seen.
    """
    from sklearn.linear_model import LogisticRegression

    parts, answers = [], []
    for hidden in hidden_folds(seen, FOLDS, rng):
        kept, left = ~np.isin(codes, hidden), np.flatnonzero(np.isin(codes, hidden))
        if not kept.any() or not len(left):
            continue
        V = _matrix(pairs, rows[kept], codes[kept], np.setdiff1d(seen, hidden)) if mapped else None
        parts.append(features(pairs, rows[left], hidden, V).reshape(len(left) * len(hidden), -1))
        answers.append((codes[left][:, None] == hidden).ravel())
    if not parts:
        return untaught(pairs)
    model = LogisticRegression(class_weight="balanced").fit(np.concatenate(parts), np.concatenate(answers))
    V = _matrix(pairs, rows, codes, seen) if mapped else None
    return Entailment(model.coef_[0], float(model.intercept_[0]), V)


def _matrix(pairs: Pairs, rows: Codes, codes: Codes, seen: Codes) -> Floats:
    return bilinear(pairs.texts[rows], pairs.hypotheses[seen], np.searchsorted(seen, codes), len(seen))


# ---- what it is worth on labels never seen ------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """Scores of texts that took no part in learning, (r, c), beside all labels, with the true label and what was seen.

    ``seen`` (c,) bool says which labels had labelled texts; ``truth`` (r,) points into the columns.
    """

    scores: Floats
    truth: Codes
    seen: npt.NDArray[np.bool_]

    def accuracy(self, handicap: float) -> tuple[float, float]:
        """Label-partially-unseen: of texts of seen labels and of unseen ones, with all labels to choose from."""
        right = (self.scores - handicap * self.seen).argmax(axis=1) == self.truth
        own = self.seen[self.truth]
        return float(right[own].mean()) if own.any() else 0.0, float(right[~own].mean()) if (~own).any() else 0.0

    def fully_unseen(self) -> float:
        """Label-fully-unseen: accuracy on texts of unseen labels with only those to choose from."""
        rows, labels = np.flatnonzero(~self.seen[self.truth]), np.flatnonzero(~self.seen)
        chosen = labels[self.scores[np.ix_(rows, labels)].argmax(axis=1)]
        return float((chosen == self.truth[rows]).mean()) if len(rows) else 0.0


def trials(pairs: Pairs, rows: Codes, codes: Codes, seen: Codes, seed: int) -> dict[str, list[Trial]]:
    """Hide a part of the seen labels (and a fifth of the other texts) in turn, learn from the rest, score what is left.

    By what was learnt: nothing, the weights of the similarities, or these and a matrix.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[Trial]] = {"nothing": [], "weights": [], "weights and matrix": []}
    for hidden in hidden_folds(seen, FOLDS, rng):
        unseen = np.isin(codes, hidden)
        left = unseen | (rng.random(len(codes)) < 0.2)
        known = np.setdiff1d(seen, hidden)
        if left.all() or not unseen.any() or len(np.unique(codes[~left])) < len(known):
            continue
        truth, was = np.searchsorted(seen, codes[left]), ~np.isin(seen, hidden)
        models = {"nothing": untaught(pairs)}
        for name, mapped in (("weights", False), ("weights and matrix", True)):
            models[name] = teach(pairs, rows[~left], codes[~left], known, rng, mapped=mapped)
        for name, model in models.items():
            found[name].append(Trial(model.scores(pairs, rows[left], seen), truth, was))
    return found


def unseen_accuracy(tests: list[Trial]) -> float:
    """The mean accuracy in the setting label-fully-unseen."""
    return float(np.mean([t.fully_unseen() for t in tests]))


def report(taught: list[Trial], plain: list[Trial], handicap: float) -> dict[str, Any]:
    """The two settings apart, as means over the parts hidden: plain JSON values."""
    seen, unseen = np.mean([t.accuracy(handicap) for t in taught], axis=0)
    hidden = [int((~t.seen).sum()) for t in taught]
    return {
        "label_fully_unseen": {
            "accuracy": unseen_accuracy(taught),
            "accuracy_without_training": unseen_accuracy(plain),
            "chance": float(np.mean([1 / h for h in hidden])),
            "labels_hidden_at_a_time": hidden,
        },
        "label_partially_unseen": {
            "accuracy_on_seen": float(seen),
            "accuracy_on_unseen": float(unseen),
            "harmonic_mean": float(2 * seen * unseen / max(seen + unseen, 1e-9)),
            "labels": len(taught[0].seen),
        },
    }


def choose_handicap(tests: list[Trial]) -> float:
    """What to take off seen labels so that the harmonic mean of both accuracies is greatest.

    Chao et al., "An Empirical Study and Analysis of Generalized Zero-Shot Learning", 2016: a model prefers what it saw.
    """

    def harmonic(handicap: float) -> float:
        both = np.array([t.accuracy(handicap) for t in tests])
        return float((2 * both.prod(axis=1) / np.maximum(both.sum(axis=1), 1e-9)).mean())

    return max(HANDICAPS, key=harmonic)


def choose_temperature(tests: list[Trial], handicap: float) -> float:
    """The temperature at which the chances of the true labels are likeliest."""
    from scipy.special import log_softmax

    def likelihood(temperature: float) -> float:
        each = [log_softmax((t.scores - handicap * t.seen) / temperature, axis=1) for t in tests]
        return float(np.mean([p[np.arange(len(p)), t.truth].mean() for p, t in zip(each, tests, strict=True)]))

    return max(TEMPERATURES, key=likelihood)


# ---- the labeler --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ZeroShotEntailment(Labeler):
    """Labels for texts, among them labels that no labelled text has, from what the labels are called.

    Yin, Hay, Roth, "Benchmarking Zero-shot Text Classification: Datasets, Evaluation and Entailment Approach", 2019:
    each label becomes a hypothesis sentence; a classifier of pairs says how much the text entails it; the label whose
    hypothesis is entailed most is chosen. The classifier is taught with the labels that were seen and applied to
    those that were not. The summary measures it in both of the paper's settings by hiding seen labels in turn:
    label-fully-unseen (only hidden labels to choose from) and label-partially-unseen (all labels).

    The pair classifier is a logistic regression on similarities of text and hypothesis (n-grams, latent semantics, the
    texts nearest to the hypothesis) and on a bilinear form learnt from the seen labels. With ``model`` the name of a
    cross-encoder for natural language inference that is on this machine, its judgement of the pair is one more.

    Attributes
    ----------
    labels
        Labels to choose from besides those in the label column.
    descriptions
        Pairs of a label and what it means, in words; a label without is described by its name.
    hypothesis
        The sentence; ``{}`` stands for the description.
    model
        ``auto``, or a sentence-transformers cross-encoder for entailment; it needs the extra ``text``.
    """

    paper: ClassVar = Paper(
        "Benchmarking Zero-shot Text Classification: Datasets, Evaluation and Entailment Approach", 2019, "1909.00161"
    )
    alias: ClassVar = "zero-shot-tc"
    needs: ClassVar = (Role.TEXT, TextProjection)

    labels: tuple[str, ...] = ()
    descriptions: tuple[tuple[str, str], ...] = ()
    hypothesis: str = "this text is about {}"
    model: str = CLASSICAL
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Labels | NotApplicable:
        """Label every row that has no label; a row that has one keeps it."""
        if "{}" not in self.hypothesis:
            raise DrossError(f"the hypothesis {self.hypothesis!r} has no place for the label", fix="put {} in it")
        given = data.classes if data.has(Role.LABEL) else []
        codes = data.codes.astype(np.int64) if data.has(Role.LABEL) else np.full(len(data), -1)
        named = {str(label) for label in given}
        classes = [*given, *sorted({*self.labels, *dict(self.descriptions)} - named)]
        if len(classes) < 2:
            return NotApplicable("needs two labels or more to choose from: in a label column or as labels=(...)")
        if not len(data):
            return NotApplicable("no rows")
        pairs = self.pairs(data, signals, classes)
        rng = np.random.default_rng(self.seed)
        known = np.flatnonzero(codes >= 0)
        some = np.sort(rng.permutation(known)[:MOST_TAUGHT])
        model, summary = self._learn(pairs, some, codes[some], len(given), len(classes))
        return _labels(model, pairs, codes, len(given), classes, summary)

    def sentences(self, classes: list[Any]) -> list[str]:
        """The hypothesis of each label.

        >>> ZeroShotEntailment(descriptions=(("fin", "money and banks"),)).sentences(["fin", "sports_news"])
        ['this text is about money and banks', 'this text is about sports news']
        """
        meaning: Mapping[str, str] = dict(self.descriptions)
        names = [meaning.get(str(label), str(label).replace("_", " ").replace("-", " ")) for label in classes]
        return [self.hypothesis.replace("{}", name) for name in names]

    def pairs(self, data: Dataset, signals: Signals, classes: list[Any]) -> Pairs:
        """All texts beside the hypotheses of all classes."""
        fit = signals[TextProjection()]
        texts = texts_of(data)
        said = self.sentences(classes)
        about = [each.removeprefix(self.hypothesis.partition("{}")[0]) for each in said]
        X, S = project(texts, fit), project(pa.array(about, pa.large_string()), fit)
        alike = [overlap(texts, about), X @ S.T, X @ stand_ins(X, S).T]
        if self.model != CLASSICAL:
            alike.append(entailed(self.model, texts, said))
        return Pairs(X, S, np.stack([standing(each) for each in alike], axis=2).astype(np.float32))

    def _learn(
        self, pairs: Pairs, rows: Codes, codes: Codes, seen: int, classes: int
    ) -> tuple[Entailment, dict[str, Any]]:
        labels = np.arange(seen)
        if seen < 4 or len(rows) < 2 * seen:
            note = "too few labelled texts to learn from: similarity alone, not calibrated"
            return untaught(pairs), {"trained": False, "note": note}
        tried = trials(pairs, rows, codes, labels, self.seed)
        if not tried["nothing"]:
            return untaught(pairs), {"trained": False, "note": "too few texts of some labels: similarity alone"}
        learnt = max(("weights and matrix", "weights"), key=lambda name: unseen_accuracy(tried[name]))
        tests = tried[learnt]
        rng = np.random.default_rng(self.seed)
        model = teach(pairs, rows, codes, labels, rng, mapped=learnt != "weights")
        handicap = choose_handicap(tests) if classes > seen else 0.0
        temperature = choose_temperature(tests, handicap)
        summary = {"trained": True, "learnt": learnt, "seen_labels": seen, "unseen_labels": classes - seen}
        summary |= {"handicap": handicap, **report(tests, tried["nothing"], choose_handicap(tests))}
        return Entailment(model.weights, model.offset, model.V, handicap, temperature), summary


def _labels(
    model: Entailment, pairs: Pairs, codes: Codes, seen: int, classes: list[Any], summary: dict[str, Any]
) -> Labels:
    from scipy.special import softmax

    n, k = len(codes), len(classes)
    handicap = model.handicap * (np.arange(k) < seen)
    probs = np.zeros((n, k), np.float32)
    free = np.flatnonzero(codes < 0)
    for start in range(0, len(free), 8192):
        rows = free[start : start + 8192]
        scores = model.scores(pairs, rows, np.arange(k)) - handicap
        probs[rows] = softmax(scores / model.temperature, axis=1)
    told = np.flatnonzero(codes >= 0)
    probs[told, codes[told]] = 1
    origin = np.where(codes >= 0, 0, 1).astype(np.int32)
    return Labels(classes, probs, origin, ("given", "entailment"), summary)
