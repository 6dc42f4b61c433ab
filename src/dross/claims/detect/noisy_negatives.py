"""Noisy negatives: positives hidden in a dominant "no relation" class are found, and eliminating them helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.noisy_negatives import NoisyNegatives

PAPER = "Noise in Relation Classification Dataset TACRED: Characterization and Reduction"
NEGATIVE = "no_relation"
TRAIN, TEST = 2400, 2400

RELATIONS = {
    "born_in": ("was born in", "comes from the town of", "grew up in", "is a native of"),
    "works_for": ("works for", "is employed by", "joined the staff of", "serves as manager at"),
    "founded": ("founded", "is the founder of", "set up", "created the firm"),
    "married_to": ("married", "is the wife of", "is the husband of", "wed"),
    "lives_in": ("lives in", "resides in", "moved to", "has a house in"),
}
OTHERWISE = tuple(
    """visited|criticised|spoke about|passed by|mentioned|wrote to|phoned|beat|met with|travelled through|heard of|left
    |praised|sued|played against|looked at|rejected|joined the talk on|works were shown in|house stands near
    |town lies beside|wife was seen in|was found in|firm sold to""".replace("\n    |", "|").split("|")
)
PHRASES = {**RELATIONS, NEGATIVE: OTHERWISE}
ALIKE = 0.02
"""Share of the negatives that read like a relation, which no method can tell from hidden positives."""
FILLER = (
    "the a of on for with this that report said year today also after before people city group time week many some "
    "other new first last area office"
).split()
NAMES = [
    a + b for a in "al be ca do er fa go hu iv jo ka lu mo ne or pa qi ro su ta".split() for b in "n ra le vin".split()
]

Texts = list[str]
Labels = npt.NDArray[Any]


@claim(
    method="noisy-negatives",
    paper=PAPER,
    says="neighbour strategies find positives labelled no-relation; retraining without them raises F1",
)
def hidden_positives_are_found_and_eliminated(budget: Budget) -> Evidence:
    """Generated sentences of five relations and a dominant negative class that takes a fifth of the positives.

    F1 is that of the positive classes together (micro, as TACRED is scored) on clean test sentences, by a logistic
    regression on TF-IDF; the baselines are training on all rows and dropping as many random negatives. The extrinsic
    strategy has the truth of a fifth of the rows as its clean subset.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, value in _one(seed).items():
            kept.setdefault(name, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    holds = (
        measured["precision, intrinsic"][0] >= 0.7
        and measured["precision, extrinsic"][0] >= 0.7
        and measured["points of F1 gained, intrinsic elimination"][0] >= 3
        and measured["points of F1 gained, intrinsic elimination"][1] > max(0.0, measured["points, random"][2])
    )
    return Evidence(measured, holds, over=budget.seeds, note="Sentences are generated; TACRED itself is not free.")


def _one(seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    texts, truth = sentences(TRAIN, rng)
    test, wanted = sentences(TEST, rng)
    labels = truth.copy()
    positives = np.flatnonzero(truth != NEGATIVE)
    labels[rng.choice(positives, len(positives) // 5, replace=False)] = NEGATIVE
    clean = rng.random(TRAIN) < 0.2
    f1 = Trial(texts, test, wanted)
    raw = f1(np.ones(TRAIN, bool), labels)
    measured = {"F1 before": raw}
    for strategy, trusted, given in (
        ("intrinsic", None, labels),
        ("extrinsic", "gold", np.where(clean, truth, labels)),
    ):
        split = np.where(clean & (trusted is not None), "gold", "train")
        flagged, suggested = _flag(texts, given, split, trusted)
        hidden = (given == NEGATIVE) & (truth != NEGATIVE)
        start = raw if trusted is None else f1(np.ones(TRAIN, bool), given)
        among = flagged & (given == NEGATIVE)
        measured |= {
            f"precision, {strategy}": float(hidden[among].mean()) if among.any() else 0.0,
            f"recall, {strategy}": float(flagged[hidden].mean()),
            f"points of F1 gained, {strategy} elimination": f1(~flagged, given) - start,
            f"points of F1 gained, {strategy} reannotation": f1(
                np.ones(TRAIN, bool), np.where(flagged, suggested, given)
            )
            - start,
        }
        if trusted is None:
            drop = rng.choice(np.flatnonzero(labels == NEGATIVE), int(flagged.sum()), replace=False)
            measured["points, random"] = f1(~np.isin(np.arange(TRAIN), drop), labels) - raw
    return measured


def _flag(texts: Texts, labels: Labels, split: Labels, trusted: str | None) -> tuple[npt.NDArray[np.bool_], Labels]:
    roles = {Role.TEXT: ["text"], Role.LABEL: ["label"], Role.SPLIT: ["split"]}
    data = Dataset(pa.table({"text": texts, "label": labels, "split": split}), roles)
    found = NoisyNegatives(trusted=trusted).run(data, Signals(data))
    assert isinstance(found, Findings)
    flagged, suggested = np.zeros(len(texts), bool), labels.copy()
    flagged[found.rows] = found.scores >= 0.5
    suggested[found.rows] = np.array(data.classes)[np.asarray(found.suggestion)]
    return flagged, suggested


class Trial:
    """Training on chosen rows and labels, scored by F1 of the positives on the same test sentences."""

    def __init__(self, texts: Texts, test: Texts, wanted: Labels) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
        self.rows, self.test, self.wanted = words.fit_transform(texts), words.transform(test), wanted

    def __call__(self, keep: npt.NDArray[np.bool_], labels: Labels) -> float:
        """F1 in points."""
        from sklearn.linear_model import LogisticRegression

        told = LogisticRegression(C=10, max_iter=500).fit(self.rows[keep], labels[keep]).predict(self.test)
        right = ((told == self.wanted) & (told != NEGATIVE)).sum()
        return float(200 * right / ((told != NEGATIVE).sum() + (self.wanted != NEGATIVE).sum()))


def sentences(n: int, rng: np.random.Generator) -> tuple[Texts, Labels]:
    """Sentences with two names and what stands between them, 70 % of them without a relation, and their classes."""
    texts, classes, relations = [], [], list(RELATIONS)
    for _ in range(n):
        one, other = rng.choice(NAMES, 2, replace=False)
        words = [FILLER[i] for i in rng.integers(0, len(FILLER), 9)]
        name = NEGATIVE if rng.random() < 0.7 else relations[rng.integers(len(relations))]
        alike = name == NEGATIVE and rng.random() < ALIKE
        phrases = RELATIONS[relations[rng.integers(len(relations))]] if alike else PHRASES[name]
        a, b = rng.integers(2, 6), rng.integers(6, 9)
        texts.append(" ".join([*words[:a], str(one), phrases[rng.integers(len(phrases))], str(other), *words[a:b]]))
        classes.append(name)
    return texts, np.array(classes)
