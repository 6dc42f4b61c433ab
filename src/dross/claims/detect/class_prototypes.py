"""Class prototypes: a class-aware split of clean and noisy rows beats one mixture of losses for all classes."""

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
from dross.detect.class_prototypes import ClassPrototypes
from dross.models.small_loss import small_loss_chance
from dross.testing.planted import table_dataset

PAPER = "Class Prototype-based Cleaner for Label Noise Learning"
TRAIN = 1300


@claim(
    method="class-prototypes",
    paper=PAPER,
    says="separates clean from noisy labels better than a class-agnostic mixture of losses, and training gains by it",
)
def classes_of_unequal_noise_are_told_apart(budget: Budget) -> Evidence:
    """Digits whose classes are mislabelled at 10 to 60 %, half as one confusable class, the rest as two others.

    The baseline is a two-component Gaussian mixture of all out-of-fold losses (as DivideMix has it), with the same
    probabilities; both splits then train a logistic regression on the rows they keep. The losses are those of a plain
    logistic regression, as the paper's are those of a network warmed up on the noisy labels. Measured beside it: noise
    that goes to all classes alike, where the mixture is near perfect and less is left to gain.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for noise in ("", ", uniform noise"):
            for name, value in _one(seed, uniform=bool(noise)).items():
                kept.setdefault(name + noise, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    holds = (
        measured["AUC points gained"][0] >= 3
        and measured["AUC points gained"][1] > 0
        and measured["points of test accuracy over the mixture"][1] > 0
        and measured["AUC points gained, uniform noise"][1] > -0.5
    )
    note = "The paper's joint training of encoder and prototypes is not part of this."
    return Evidence(measured, holds, over=budget.seeds, note=note)


@claim(
    method="class-prototypes",
    paper=PAPER,
    says="separates better than a class-agnostic mixture with dross's own probabilities too",
    fast=False,
)
def unequal_noise_is_told_apart_with_the_own_model(budget: Budget) -> Evidence:
    """The same noise with the losses of dross's own model, chosen to withstand noise: less is left to gain."""
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for noise in ("", ", uniform noise"):
            X, truth, labels = noisy_digits(seed, uniform=bool(noise))
            gain = _compare(table_dataset(X[:TRAIN], labels.astype(str)), labels != truth[:TRAIN])[2]
            kept.setdefault("AUC points gained" + noise, []).append(gain)
    measured = {name: interval(values) for name, values in kept.items()}
    holds = measured["AUC points gained"][1] > 0 and measured["AUC points gained, uniform noise"][1] > -0.5
    return Evidence(measured, holds, over=budget.seeds)


def _one(seed: int, *, uniform: bool) -> dict[str, float]:
    X, truth, labels = noisy_digits(seed, uniform=uniform)
    own = table_dataset(X[:TRAIN], labels.astype(str))
    flat = pa.array(_out_of_fold(X[:TRAIN], labels, seed).ravel())
    table = own.table.append_column("p", pa.FixedSizeListArray.from_arrays(flat, 10))
    plain = Dataset(table, {**own.roles, Role.PROBS: ["p"]})
    wrong = labels != truth[:TRAIN]
    ours, mixture, gain = _compare(plain, wrong)
    accuracy, split = (_accuracy(X, truth, labels, score < 0.5) for score in (ours, mixture))
    return {
        "AUC of the mixture": 100 * auc(wrong, mixture),
        "AUC points gained": gain,
        "test accuracy with the mixture": split,
        "points of test accuracy over the mixture": accuracy - split,
        "points of test accuracy over raw": accuracy - _accuracy(X, truth, labels, np.ones(TRAIN, bool)),
    }


def _compare(data: Dataset, wrong: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[Any], npt.NDArray[Any], float]:
    """The two scores of each row, and by how many points of AUC the first is better."""
    found = ClassPrototypes().run(data, Signals(data))
    assert isinstance(found, Findings)
    mixture = 1 - small_loss_chance(-np.log(np.maximum(found.evidence["given_probability"], 1e-6)))
    return found.scores, mixture, 100 * (auc(wrong, found.scores) - auc(wrong, mixture))


def auc(wrong: npt.NDArray[np.bool_], scores: npt.NDArray[Any]) -> float:
    """Area under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(wrong, scores))


def _out_of_fold(X: npt.NDArray[Any], labels: npt.NDArray[Any], seed: int) -> npt.NDArray[np.float32]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    model = LogisticRegression(max_iter=500)
    return np.asarray(cross_val_predict(model, X, labels, cv=folds, method="predict_proba"), np.float32)


def noisy_digits(seed: int, *, uniform: bool) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """All digits shuffled, their true classes, and labels of the first ``TRAIN`` with noise that differs by class."""
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(seed)
    X, truth = load_digits(return_X_y=True)
    order = rng.permutation(len(X))
    X, truth = X[order] / 16, truth[order]
    rates = rng.permutation(np.linspace(0.1, 0.6, 10))
    into = np.stack([rng.permutation(np.delete(np.arange(10), c)) for c in range(10)])
    chances = np.full(9, 1 / 9) if uniform else np.array([0.5, 0.3, 0.2, 0, 0, 0, 0, 0, 0])
    drawn = into[truth, rng.choice(9, len(truth), p=chances)]
    labels = np.where(rng.random(len(truth)) < rates[truth], drawn, truth)
    return X, truth, labels[:TRAIN]


def _accuracy(X: npt.NDArray[Any], truth: npt.NDArray[Any], labels: npt.NDArray[Any], keep: npt.NDArray[Any]) -> float:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=500).fit(X[:TRAIN][keep], labels[keep])
    return float(100 * model.score(X[TRAIN:], truth[TRAIN:]))
