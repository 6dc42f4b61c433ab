"""Mixed prompts: several readings of a text, given and learnt, label the rest together; a model learns from that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Labeler
from dross.core.paper import Paper
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.text_readings import CLASSICAL, Readings, read_texts
from dross.signals.ngrams import texts_of

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

LEAST = 2
"""Labelled rows that each class needs."""
FOLDS = 5
WORDS_WEIGHT = 3.0
"""How many labelled rows a class' own words count for."""
TEMPERATURES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0)
PENALTIES = (0.3, 3.0, 30.0)
END_PENALTY = 0.1
MOST_TAUGHT = 50_000
"""Pseudo-labelled rows that the last model learns from."""


# ---- one template -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """How a template is tuned: its penalty's inverse and temperature, and what it says of labelled rows left out."""

    penalty: float
    temperature: float
    left_out: Floats

    def accuracy(self, codes: Codes) -> float:
        """What it got right of the rows left out."""
        return float((self.left_out.argmax(axis=1) == codes).mean())


def linear(X: Any, codes: Codes, weights: Floats, k: int, penalty: float, rows: Any) -> Floats:
    """The scores that linear support vector machines, one a class, give some rows, (m, k); low for absent classes."""
    from scipy.sparse import issparse
    from sklearn.svm import LinearSVC

    from dross.models.classifiers import complete, quiet

    present = np.unique(codes)
    if len(present) < 2:
        return np.tile(np.where(np.arange(k) == present[0], 0.0, -3.0), (rows.shape[0], 1))
    model = LinearSVC(C=penalty, dual=issparse(X), max_iter=300, random_state=0)
    with quiet():
        model.fit(X, codes, sample_weight=weights)
    return np.asarray(complete(2 * model.decision_function(rows), model.classes_, k), np.float64)


def scores_of(texts: Any, words: Any, rows: Codes, codes: Codes, asked: Any, penalty: float) -> Floats:
    """Learn a template from labelled rows and, as one more example of each class, its words; score the rows asked."""
    from scipy.sparse import issparse, vstack

    k, here = words.shape[0], texts[rows]
    X = vstack([here, words]).tocsr() if issparse(here) else np.concatenate([here, words])
    weights = np.concatenate([np.ones(len(rows)), np.full(k, WORDS_WEIGHT)])
    return linear(X, np.concatenate([codes, np.arange(k)]), weights, k, penalty, texts[asked])


def stratified(codes: Codes, folds: int, seed: int) -> Codes:
    """A fold for each labelled row, each class spread evenly over them.

    >>> np.bincount(stratified(np.array([0, 0, 1, 1]), 2, 0)).tolist()
    [2, 2]
    """
    order = np.random.default_rng(seed).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    fold = np.empty(len(codes), np.int64)
    fold[order] = np.arange(len(codes)) % folds
    return fold


def softened(scores: Floats, temperature: float) -> Floats:
    """Chances from scores, (n, k).

    >>> softened(np.array([[0.0, 1.0]]), 0.1).round(3).tolist()
    [[0.0, 1.0]]
    """
    from scipy.special import softmax

    return np.asarray(softmax(scores / temperature, axis=1))


def best_temperature(scores: Floats, codes: Codes) -> tuple[float, float]:
    """The temperature at which the right classes are likeliest, and their mean log-likelihood."""

    def likelihood(temperature: float) -> float:
        chance = softened(scores, temperature)[np.arange(len(codes)), codes]
        return float(np.log(np.maximum(chance, 1e-9)).mean())

    best = max(TEMPERATURES, key=likelihood)
    return best, likelihood(best)


def tune(texts: Any, words: Any, rows: Codes, codes: Codes, fold: Codes) -> Setting:
    """Choose a template's penalty and temperature on labelled rows left out."""
    found: list[tuple[float, Setting]] = []
    for penalty in PENALTIES:
        scores = np.zeros((len(rows), words.shape[0]))
        for f in np.unique(fold):
            kept, left = fold != f, fold == f
            scores[left] = scores_of(texts, words, rows[kept], codes[kept], rows[left], penalty)
        temperature, likelihood = best_temperature(scores, codes)
        found.append((likelihood, Setting(penalty, temperature, softened(scores, temperature))))
    return max(found, key=lambda each: each[0])[1]


# ---- templates together -------------------------------------------------------------------------------------------


def ensemble(probs: list[Floats], weights: Floats) -> Floats:
    """What templates say together, (n, k): the weighted sum of their logarithms.

    >>> ensemble([np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]])], np.array([0.9, 0.1])).round(2).tolist()
    [[0.88, 0.12]]
    """
    mixed = sum(w * np.log(np.maximum(p, 1e-9)) for w, p in zip(weights, probs, strict=True))
    return softened(np.asarray(mixed), 1.0)


def weigh_templates(left_out: list[Floats], codes: Codes) -> Floats:
    """How much each template counts: what makes the labels left out likeliest, drawn to counting alike.

    Logarithmic opinion pool; as few labels cannot tell, the penalty is that of one row for each template.

    >>> good, bad = np.array([[0.9, 0.1], [0.1, 0.9]] * 20), np.array([[0.2, 0.8], [0.8, 0.2]] * 20)
    >>> weigh_templates([good, bad], np.array([0, 1] * 20)).round(1).tolist()
    [1.4, 0.0]
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    logs = np.stack([np.log(np.maximum(p, 1e-9)) for p in left_out])
    each, even = np.arange(len(codes)), np.full(len(logs), 1 / len(logs))

    def cost(weights: Floats) -> tuple[float, Floats]:
        said = log_softmax(np.tensordot(weights, logs, 1), axis=1)
        slope = logs[:, each, codes] - (np.exp(said) * logs).sum(axis=2)
        away = weights - even
        total = -said[each, codes].sum() + len(logs) * (away**2).sum()
        return float(total), np.asarray(2 * len(logs) * away - slope.sum(axis=1))

    found = minimize(cost, even, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(logs))
    return np.asarray(found.x)


def pseudo_labels(readings: Readings, settings: list[Setting], weights: Floats, rows: Codes, codes: Codes) -> Floats:
    """The chances that the tuned templates together give to every row, (n, k)."""
    everything = slice(None)
    said = [
        softened(scores_of(texts, words, rows, codes, everything, setting.penalty), setting.temperature)
        for (texts, words), setting in zip(readings.templates.values(), settings, strict=True)
    ]
    return ensemble(said, weights)


def end_features(readings: Readings, rows: Codes, codes: Codes, fold: Codes) -> Any:
    """What the last model sees: words alone, or words and form, whichever tells more labelled rows left out."""

    def right(X: Any) -> int:
        hits = 0
        for f in np.unique(fold):
            kept, left = fold != f, fold == f
            said = linear(X[rows[kept]], codes[kept], np.ones(kept.sum()), len(readings.words), 1.0, X[rows[left]])
            hits += int((said.argmax(axis=1) == codes[left]).sum())
        return hits

    return max((readings.templates["words"][0], readings.all), key=right)


def retrain(X: Any, rows: Codes, codes: Codes, pseudo: Floats, asked: Any, seed: int) -> Floats:
    """Learn from the labelled rows and from all others by their pseudo-labels, weighed by their chance; (m, k) scores.

    The rows asked for are not learnt from by a label they were not given.
    """
    free = np.setdiff1d(np.arange(len(pseudo)), rows)
    free = np.sort(np.random.default_rng(seed).permutation(free)[:MOST_TAUGHT])
    taught = np.concatenate([rows, free])
    labels = np.concatenate([codes, pseudo[free].argmax(axis=1)])
    weights = np.concatenate([np.ones(len(rows)), pseudo[free].max(axis=1)])
    return linear(X[taught], labels, weights, pseudo.shape[1], END_PENALTY, X[asked])


# ---- the labeler --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MixedPrompts(Labeler):
    """Labels for texts from a few labelled ones per class: several templates label the rest, a model learns from it.

    Liu et al., "Low-Resource Multi-Granularity Academic Function Recognition Based on Multiple Prompt Knowledge", 2023:
    a text put in different templates, written by hand or learnt, shows different sides of it; each template is tuned
    on the few labels, the ensemble labels all other texts, and a model learns from these pseudo-labels.

    Here a template is a reading of the text beside the words of the classes, which stand in for a prompt's answer
    words: its n-grams, its meaning (latent semantics of the dataset), its opening, its closing, its form (punctuation,
    case, digits), and, learnt, the directions in which words and form vary together. Each is tuned with the labelled
    rows, the classes' words being one more example. With ``model`` the name of a sentence-transformers model on this
    machine, each of ``templates``, with the text in its place, is one more reading.

    The summary tells the accuracy of each template and of the whole on labelled rows left out, beside that of the last
    model with the labelled rows alone.

    Attributes
    ----------
    words
        Pairs of a class and words for it; a class without is described by its name.
    model
        ``auto``, or a sentence-transformers model; it needs the extra ``text``.
    templates
        For the model: sentences with ``{}`` in the place of the text.
    """

    paper: ClassVar = Paper(
        "Low-Resource Multi-Granularity Academic Function Recognition Based on Multiple Prompt Knowledge",
        2023,
        "2305.03287",
    )
    alias: ClassVar = "mix-prompt-tuning"
    needs: ClassVar = (Role.TEXT, Role.LABEL)

    words: tuple[tuple[str, str], ...] = ()
    model: str = CLASSICAL
    templates: tuple[str, ...] = ("{}", "{} This is about", "The topic of the following is: {}")
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Labels | NotApplicable:
        """Label every row that has no label; a row that has one keeps it."""
        rows = np.flatnonzero(data.codes >= 0)
        codes, k = data.codes[rows].astype(np.int64), len(data.classes)
        counts = np.bincount(codes, minlength=k)
        if k < 2 or counts.min(initial=LEAST) < LEAST:
            return NotApplicable(f"needs two classes or more, each with {LEAST} labelled rows or more")
        if len(rows) == len(data):
            return NotApplicable("every row has a label already")
        unknown = [c for c, _ in self.words if c not in map(str, data.classes)]
        if unknown:
            raise DrossError(f"words for {unknown[0]!r}, which is no class", fix="use the labels of the label column")
        readings = self.readings(data)
        fold = stratified(codes, min(FOLDS, int(counts.min())), self.seed)
        settings = [tune(texts, words, rows, codes, fold) for texts, words in readings.templates.values()]
        weights = weigh_templates([setting.left_out for setting in settings], codes)
        X = end_features(readings, rows, codes, fold)
        pseudo = pseudo_labels(readings, settings, weights, rows, codes)
        left_out, alone = np.zeros((len(rows), k)), np.zeros((len(rows), k))
        for f in np.unique(fold):
            kept, left = fold != f, np.flatnonzero(fold == f)
            said = pseudo_labels(readings, settings, weights, rows[kept], codes[kept])
            left_out[left] = retrain(X, rows[kept], codes[kept], said, rows[left], self.seed)
            alone[left] = linear(X[rows[kept]], codes[kept], np.ones(kept.sum()), k, 1.0, X[rows[left]])
        temperature, _ = best_temperature(left_out, codes)
        probs = softened(retrain(X, rows, codes, pseudo, slice(None), self.seed), temperature)
        probs[rows] = np.eye(k)[codes]
        summary = {
            "labelled": len(rows),
            "pseudo_labelled": len(data) - len(rows),
            "templates": {
                name: {"accuracy": setting.accuracy(codes), "weight": round(float(weight), 4)}
                for name, setting, weight in zip(readings.templates, settings, weights, strict=True)
            },
            "accuracy_on_rows_left_out": float((left_out.argmax(axis=1) == codes).mean()),
            "accuracy_without_pseudo_labels": float((alone.argmax(axis=1) == codes).mean()),
        }
        origin = np.where(data.codes >= 0, 0, 1).astype(np.int32)
        return Labels(data.classes, probs.astype(np.float32), origin, ("given", "templates"), summary)

    def readings(self, data: Dataset) -> Readings:
        """What each template makes of the texts and of the classes' words."""
        given = dict(self.words)
        words = [given.get(str(c), str(c).replace("_", " ").replace("-", " ")) for c in data.classes]
        return read_texts(texts_of(data), words, self.model, self.templates, self.seed)
