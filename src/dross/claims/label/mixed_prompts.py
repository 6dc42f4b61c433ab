"""Mixed prompts: with ten labels a class, several templates' pseudo-labels beat one template's and none."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.claims.label._docstrings import stretches
from dross.core.dataset import Dataset
from dross.core.results import Labels
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.mixed_prompts import MixedPrompts, end_features, linear, retrain, scores_of, softened, stratified, tune
from dross.models.sections import sentences
from dross.models.text_readings import Readings

PAPER = "Low-Resource Multi-Granularity Academic Function Recognition Based on Multiple Prompt Knowledge"
WORDS = {
    "Parameters": "parameters arguments input optional default",
    "Returns": "returns output result",
    "Raises": "raises error exception if",
    "See Also": "see also related function",
    "Notes": "notes algorithm method implementation",
    "References": "references vol pp journal",
    "Examples": "examples import plot",
}
LABELLED, PER_CLASS = 10, 150
Codes = npt.NDArray[np.int64]


@claim(
    method="mixed-prompts",
    paper=PAPER,
    says="pseudo-labels of several templates together beat training on the few labels and one template's pseudo-labels",
    fast=False,
)
def templates_together_label_better_than_one(budget: Budget) -> Evidence:
    """What single sentences of scientific docstrings are (a parameter, a note, a reference: seven), 10 labels each.

    The same linear model learns from the labels alone (words and form, its penalty chosen on rows left out), from these
    and one template's pseudo-labels (mean over templates; and the template that was best on labelled rows left out),
    and from the ensemble's. Macro-F1, in points, on the rows without a label.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, value in _one(seed).items():
            kept.setdefault(name, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    for name in ("labels alone", "one template, mean", "one template, chosen by its labels", "self-training"):
        gain = np.array(kept["templates together"]) - np.array(kept[name])
        measured[f"points gained over {name}"] = interval(gain)
    holds = (
        measured["points gained over labels alone"][0] >= 4
        and measured["points gained over labels alone"][1] > 0
        and measured["points gained over one template, chosen by its labels"][0] >= 1
        and measured["points gained over one template, mean"][0] >= 1
    )
    note = "Templates are readings by n-grams, latent semantics and form, not prompts of a language model."
    return Evidence(measured, holds, over=budget.seeds, note=note)


def functions(seed: int) -> tuple[list[str], Codes]:
    """Sentences, and which function each has: a random one of each of 150 stretches of text a class."""
    rng = np.random.default_rng(seed)
    texts: list[str] = []
    codes: list[int] = []
    for c, name in enumerate(WORDS):
        found: dict[str, None] = {}
        under = stretches()[name]
        for i in rng.permutation(len(under)):
            spans = [s for s in sentences(under[i], 0, len(under[i])) if s[1] - s[0] > 15]
            if spans:
                first, last = spans[rng.integers(len(spans))]
                found[under[i][first:last]] = None
            if len(found) == PER_CLASS:
                break
        texts += list(found)
        codes += [c] * len(found)
    return texts, np.array(codes)


def _one(seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    texts, truth = functions(seed)
    k = len(WORDS)
    rows = np.sort(np.concatenate([rng.permutation(np.flatnonzero(truth == c))[:LABELLED] for c in range(k)]))
    free = np.setdiff1d(np.arange(len(truth)), rows)
    names = [f"{c}" for c in range(k)]
    label = pa.array([names[c] for c in truth], mask=~np.isin(np.arange(len(truth)), rows))
    data = Dataset(pa.table({"text": texts, "label": label}), {Role.TEXT: ["text"], Role.LABEL: ["label"]})
    method = MixedPrompts(words=tuple(zip(names, WORDS.values(), strict=True)), seed=seed)
    found = method.run(data, Signals(data))
    assert isinstance(found, Labels)

    def f1(codes: npt.NDArray[Any]) -> float:
        from sklearn.metrics import f1_score

        return 100 * float(f1_score(truth[free], codes[free], average="macro"))

    readings, codes = method.readings(data), truth[rows]
    singles, chosen = _singles(readings, rows, codes, seed)
    alone = _alone(readings, rows, codes, seed)
    X = end_features(readings, rows, codes, stratified(codes, 5, seed))
    own = retrain(X, rows, codes, softened(alone, 0.5), slice(None), seed)
    f1s = [f1(each.argmax(axis=1)) for each in singles]
    return {
        "templates together": f1(found.codes),
        "labels alone": f1(alone.argmax(axis=1)),
        "self-training": f1(own.argmax(axis=1)),
        "one template, mean": float(np.mean(f1s)),
        "one template, chosen by its labels": f1s[chosen],
        "one template, best in hindsight": max(f1s),
    }


def _singles(readings: Readings, rows: Codes, codes: Codes, seed: int) -> tuple[list[Any], int]:
    """The last model's scores by each template's pseudo-labels, and which template did best on labels left out."""
    fold = stratified(codes, 5, seed)
    X = end_features(readings, rows, codes, fold)
    out, accuracy = [], []
    for texts, words in readings.templates.values():
        setting = tune(texts, words, rows, codes, fold)
        said = scores_of(texts, words, rows, codes, slice(None), setting.penalty)
        pseudo = softened(said, setting.temperature)
        out.append(retrain(X, rows, codes, pseudo, slice(None), seed))
        accuracy.append(setting.accuracy(codes))
    return out, int(np.argmax(accuracy))


def _alone(readings: Readings, rows: Codes, codes: Codes, seed: int) -> Any:
    """The scores of the last model taught by the labelled rows only."""
    fold, k = stratified(codes, 5, seed), len(readings.words)
    X = end_features(readings, rows, codes, fold)

    def right(penalty: float) -> float:
        hits = 0
        for f in range(5):
            kept, left = fold != f, fold == f
            said = linear(X[rows[kept]], codes[kept], np.ones(kept.sum()), k, penalty, X[rows[left]])
            hits += int((said.argmax(axis=1) == codes[left]).sum())
        return hits

    best = max((10.0, 1.0, 0.1), key=right)
    return linear(X[rows], codes, np.ones(len(rows)), k, best, X)
