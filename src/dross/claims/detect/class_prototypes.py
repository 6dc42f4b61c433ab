"""Class prototypes: a class-aware split of clean and noisy rows beats one mixture of losses for all classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dross.claims import Budget, Evidence, claim, interval
from dross.core.results import Findings
from dross.core.signal import Signals
from dross.detect.class_prototypes import ClassPrototypes
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
    probabilities; both splits then train a logistic regression on the rows they keep. Noise that goes to all classes
    alike is measured beside it, where the mixture is near perfect and nothing is left to gain.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        structured, uniform = _one(seed, uniform=False), _one(seed, uniform=True)
        for name, value in (*structured.items(), *((f"{name}, uniform noise", v) for name, v in uniform.items())):
            kept.setdefault(name, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    holds = (
        measured["AUC points gained"][0] >= 3
        and measured["AUC points gained"][1] > 0
        and measured["points of test accuracy over the mixture"][1] > 0
        and measured["AUC points gained, uniform noise"][1] > -0.5
    )
    note = "Losses are out of fold; the paper's joint training of encoder and prototypes is not part of this."
    return Evidence(measured, holds, over=budget.seeds, note=note)


def _one(seed: int, *, uniform: bool) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    X, truth, labels = noisy_digits(seed, uniform=uniform)
    data = table_dataset(X[:TRAIN], labels.astype(str))
    found = ClassPrototypes().run(data, Signals(data))
    assert isinstance(found, Findings)
    wrong = labels != truth[:TRAIN]
    mixture = loss_mixture(-np.log(np.maximum(found.evidence["given_probability"], 1e-6)))
    ours, theirs = (100 * float(roc_auc_score(wrong, score)) for score in (found.scores, mixture))
    accuracy, split = (_accuracy(X, truth, labels, score < 0.5) for score in (found.scores, mixture))
    return {
        "AUC of the mixture": theirs,
        "AUC points gained": ours - theirs,
        "test accuracy with the mixture": split,
        "points of test accuracy over the mixture": accuracy - split,
        "points of test accuracy over raw": accuracy - _accuracy(X, truth, labels, np.ones(TRAIN, bool)),
    }


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


def loss_mixture(losses: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The chance of the component of larger losses, scikit-learn's mixture on losses scaled to [0, 1] (DivideMix)."""
    from sklearn.mixture import GaussianMixture

    scaled = ((losses - losses.min()) / np.ptp(losses))[:, None].astype(np.float64)
    model = GaussianMixture(2, max_iter=100, tol=1e-3, reg_covar=5e-4, random_state=0).fit(scaled)
    chance: npt.NDArray[Any] = model.predict_proba(scaled)[:, model.means_[:, 0].argmax()]
    return chance


def _accuracy(X: npt.NDArray[Any], truth: npt.NDArray[Any], labels: npt.NDArray[Any], keep: npt.NDArray[Any]) -> float:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=500).fit(X[:TRAIN][keep], labels[keep])
    return float(100 * model.score(X[TRAIN:], truth[TRAIN:]))
