"""Confident learning: finds class-conditional label errors, estimates their joint, and pruning them helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dross.claims import Budget, Evidence, claim, interval
from dross.core.results import Findings
from dross.core.signal import Signals
from dross.detect.confident_learning import ConfidentLearning
from dross.testing.planted import table_dataset

PAPER = "Confident Learning: Estimating Uncertainty in Dataset Labels"
TRAIN = 1300


@claim(
    method="confident-learning",
    paper=PAPER,
    says="finds class-conditional label errors, estimates the joint of given and true labels; pruning helps training",
)
def errors_are_found_and_pruning_helps(budget: Budget) -> Evidence:
    """Digits with a fifth of the labels wrong by a class-conditional matrix; logistic regression before and after.

    The baselines: flag every row whose label is not the model's first choice (for F1 and for the joint), and train on
    all rows (for the accuracy on clean test rows).
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, value in _one(seed).items():
            kept.setdefault(name, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    holds = (
        measured["F1"][0] >= 0.8
        and measured["F1"][0] > measured["F1 of disagreement"][0]
        and measured["joint: share of rows misplaced"][0] <= 0.06
        and measured["joint: share of rows misplaced"][0] < measured["joint of disagreement"][0]
        and measured["points gained by pruning"][0] >= 2
        and measured["points gained by pruning"][1] > 0
    )
    note = "Accuracy in points on clean test rows; 'oracle' prunes exactly the wrong rows."
    return Evidence(measured, holds, over=budget.seeds, note=note)


def _one(seed: int) -> dict[str, float]:
    X, truth, labels = noisy_digits(seed)
    data = table_dataset(X[:TRAIN], labels.astype(str))
    found = ConfidentLearning().run(data, Signals(data))
    assert isinstance(found, Findings)
    wrong, flagged = labels != truth[:TRAIN], found.scores >= 0.5
    suggested = np.asarray(found.suggestion)
    likelier = found.evidence["suggested_probability"] > found.evidence["given_probability"]
    model = np.where(likelier, suggested, labels)
    joint = _joint(labels, truth[:TRAIN])
    raw = _accuracy(X, truth, labels, np.ones(TRAIN, bool))
    return {
        "F1": f1(flagged, wrong),
        "F1 of disagreement": f1(likelier, wrong),
        "joint: share of rows misplaced": float(np.abs(np.array(found.summary["joint"]) - joint).sum() / 2),
        "joint of disagreement": float(np.abs(_joint(labels, model) - joint).sum() / 2),
        "accuracy before": raw,
        "points gained by pruning": _accuracy(X, truth, labels, ~flagged) - raw,
        "points gained by the oracle": _accuracy(X, truth, labels, ~wrong) - raw,
    }


def noisy_digits(seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """All digits shuffled, their true classes, and labels of the first ``TRAIN``, where a class goes to two others."""
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(seed)
    X, truth = load_digits(return_X_y=True)
    order = rng.permutation(len(X))
    X, truth = X[order] / 16, truth[order]
    into = np.stack([rng.choice(np.delete(np.arange(10), c), 2, replace=False) for c in range(10)])
    rates = rng.uniform(0.1, 0.3, 10)
    drawn = into[truth, rng.choice(2, len(truth), p=[0.7, 0.3])]
    labels = np.where(rng.random(len(truth)) < rates[truth], drawn, truth)
    return X, truth, labels[:TRAIN]


def _joint(labels: npt.NDArray[Any], truth: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    shares: npt.NDArray[np.float64] = np.bincount(labels * 10 + truth, minlength=100).reshape(10, 10) / len(labels)
    return shares


def _accuracy(X: npt.NDArray[Any], truth: npt.NDArray[Any], labels: npt.NDArray[Any], keep: npt.NDArray[Any]) -> float:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=500).fit(X[:TRAIN][keep], labels[keep])
    return float(100 * model.score(X[TRAIN:], truth[TRAIN:]))


def f1(flagged: npt.NDArray[np.bool_], wrong: npt.NDArray[np.bool_]) -> float:
    """Harmonic mean of precision and recall."""
    return float(2 * (flagged & wrong).sum() / max(1, flagged.sum() + wrong.sum()))
