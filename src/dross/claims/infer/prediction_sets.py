"""Prediction sets: coverage as promised on real data over many random splits, and what a plain cut-off does instead."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.claims import Budget, Evidence, claim, interval
from dross.models.conformal import Score, calibrate, safe_answers

PAPER = "Least Ambiguous Set-Valued Classifiers with Bounded Error Levels"
ALPHA, SPLITS, CALIBRATION, LEARNT = 0.05, 200, 500, 200
Floats = npt.NDArray[Any]


@claim(
    method="prediction-sets",
    paper=PAPER,
    says="the true class is missing from the promised share of the sets at most, and as few automatic labels are wrong",
)
def coverage_is_as_promised_over_200_random_splits(budget: Budget) -> Evidence:
    """Digits, a logistic regression of 200 of them (other ones for each seed), 200 splits of the rest, alpha 5 %.

    With n calibration rows a set's chance of being right is known exactly, r / (n + 1); the number of sets that are
    right among the other rows follows a beta-binomial law whose spread is part of the promise. The baseline takes the
    classes by probability until they sum to 95 %, as one would with probabilities that can be trusted. Of the labels
    given automatically at most 5 % may be wrong; labels from sets of one class are shown beside them.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, value in _one(seed).items():
            kept.setdefault(name, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    rank = math.ceil((CALIBRATION + 1) * (1 - ALPHA))
    promised = 100 * rank / (CALIBRATION + 1)
    measured["exact coverage in theory"] = (promised, promised, promised)
    holds = all(
        abs(measured[f"coverage, {score}"][0] - promised) < 0.25
        and measured[f"splits within their 95 % interval, {score}"][0] >= 90
        for score in ("lac", "aps")
    )
    holds = holds and measured["wrong automatic labels"][0] <= 100 * ALPHA + 0.25
    holds = holds and measured["worst class, class-conditional"][0] > measured["worst class, marginal"][0]
    return Evidence(measured, holds, over=budget.seeds)


def _one(seed: int) -> dict[str, float]:
    from scipy import stats

    rng = np.random.default_rng(seed)
    P, y = _digits(rng)
    n, m = CALIBRATION, len(y) - CALIBRATION
    rank = math.ceil((n + 1) * (1 - ALPHA))
    low, high = stats.betabinom(m, rank, n + 1 - rank).interval(0.95)
    scores: tuple[Score, ...] = ("lac", "aps")
    hits: dict[str, list[float]] = {score: [] for score in (*scores, "plain", "one", "one wrong", "safe", "safe wrong")}
    by_class = {"marginal": np.zeros(10), "class-conditional": np.zeros(10)}
    seen = np.zeros(10)
    plain = np.argsort(-P, axis=1)
    before = np.take_along_axis(P, plain, axis=1).cumsum(axis=1) - np.take_along_axis(P, plain, axis=1)
    plain_sets = np.zeros(P.shape, bool)
    np.put_along_axis(plain_sets, plain, before < 1 - ALPHA, axis=1)
    for _ in range(SPLITS):
        order, u = rng.permutation(len(y)), rng.random(len(y))
        known, new = order[:n], order[n:]
        for score in scores:
            found = calibrate(P[known], y[known], ALPHA, score=score, chance=u[known])
            sets = found.sets(P[new], u[new])
            hits[score].append(float(sets[np.arange(m), y[new]].sum()))
            if score == "lac":
                one, wrong = sets.sum(axis=1) == 1, P.argmax(axis=1) != y
                safe = safe_answers(P[known].max(axis=1), wrong[known], P[new].max(axis=1), ALPHA)
                for name, chosen in (("one", one), ("safe", safe)):
                    hits[name].append(float(chosen.mean()))
                    hits[f"{name} wrong"].append(float(wrong[new][chosen].sum() / max(1, chosen.sum())))
                by_class["marginal"] += np.bincount(y[new], sets[np.arange(m), y[new]], 10)
        sets = calibrate(P[known], y[known], ALPHA, kind="class-conditional").sets(P[new])
        by_class["class-conditional"] += np.bincount(y[new], sets[np.arange(m), y[new]], 10)
        seen += np.bincount(y[new], minlength=10)
        hits["plain"].append(float(plain_sets[new, y[new]].sum()))
    out = {f"coverage, {score}": 100 * float(np.mean(hits[score])) / m for score in scores}
    out["coverage, plain cut-off"] = 100 * float(np.mean(hits["plain"])) / m
    for score in scores:
        inside = [low <= h <= high for h in hits[score]]
        out[f"splits within their 95 % interval, {score}"] = 100 * float(np.mean(inside))
    for name, kept in (("sets of one", "one"), ("automatic labels", "safe")):
        out[f"rows with {name}"] = 100 * float(np.mean(hits[kept]))
        out[f"wrong {name}"] = 100 * float(np.mean(hits[f"{kept} wrong"]))
    for kind, right in by_class.items():
        out[f"worst class, {kind}"] = 100 * float((right / seen).min())
    return out


def _digits(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Probabilities of a model that has learnt from some of the digits for all others, and their classes."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    X, y = load_digits(return_X_y=True)
    order = rng.permutation(len(y))
    X, y = X[order] / 16, y[order]
    model = LogisticRegression(C=0.1, max_iter=300).fit(X[:LEARNT], y[:LEARNT])
    return model.predict_proba(X[LEARNT:]), y[LEARNT:]
