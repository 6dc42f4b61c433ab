"""KNN-Shapley: the values are Shapley's, and the rows of lowest value are the ones that harm."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any

import numpy as np

from dross.claims import Budget, Evidence, claim, interval
from dross.core.results import Findings
from dross.core.signal import Signals
from dross.detect.knn_shapley import KnnShapley, knn_shapley
from dross.signals.embedding import Embedding
from dross.testing.planted import digits

PAPER = "Efficient Task-Specific Data Valuation for Nearest Neighbor Algorithms"


@claim(method="knn-shapley", paper=PAPER, says="computes the exact Shapley value in O(N log N) instead of O(2^N)")
def values_are_those_of_the_definition(budget: Budget) -> Evidence:
    """Compare with the sum over all subsets on games of eight rows."""
    errors, sizes = [], []
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        X, labels = rng.normal(size=(8, 2)), rng.integers(0, 2, 8)
        point, wanted = rng.normal(size=2), int(rng.integers(0, 2))
        truth = _by_subsets(np.argsort(((X - point) ** 2).sum(1)), labels == wanted, 3)
        got = knn_shapley(X, labels, point[None], np.array([wanted]), 3)
        errors.append(float(np.abs(got - truth).max()))
        sizes.append(float(np.abs(truth).max()))
    measured = {"largest error": max(errors), "largest value": max(sizes)}
    return Evidence(measured, holds=max(errors) < 1e-9 < min(sizes), over=budget.seeds)


def _by_subsets(order: Any, match: Any, k: int) -> Any:
    """The mean gain of each row over all subsets of the others; ``order`` from near to far."""
    n = len(order)
    place = np.argsort(order)
    values = np.zeros(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        for size in range(n):
            for subset in combinations(others, size):
                near = sorted(subset, key=place.__getitem__)
                before = match[near[:k]].sum() / k
                after = match[sorted([*near, i], key=place.__getitem__)[:k]].sum() / k
                values[i] += (after - before) / (n * comb(n - 1, size))
    return values


@claim(
    method="knn-shapley",
    paper=PAPER,
    says="ranks wrong labels first, better than leave-one-out values, and dropping rows of negative value helps",
)
def low_values_are_wrong_labels(budget: Budget) -> Evidence:
    """Digits with 30 % wrong labels: rank them, drop the rows below zero, and test a 1-NN model on clean rows."""
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import KNeighborsClassifier

    measured: dict[str, list[float]] = {
        name: [] for name in ("AUROC", "AUROC of leave-one-out", "gain", "placebo gain")
    }
    for seed in budget.seeds:
        planted = digits(flipped=0.3, seed=seed)
        rng = np.random.default_rng(seed)
        test = np.sort(rng.choice(len(planted.data), 500, replace=False))
        train = np.setdiff1d(np.arange(len(planted.data)), test)
        data = planted.data.take(train)
        signals = Signals(data)
        found = KnnShapley().run(data, signals)
        assert isinstance(found, Findings)
        assert planted.truth is not None
        wrong = np.isin(train, planted.rows)
        measured["AUROC"].append(roc_auc_score(wrong, found.scores))
        X = signals[Embedding()]
        measured["AUROC of leave-one-out"].append(roc_auc_score(wrong, -_leave_one_out(X, data.codes, 5)))
        kept = found.rows[found.scores < 0.5]
        placebo = rng.choice(len(train), len(kept), replace=False)
        rows = Signals(planted.data)[Embedding()][test]
        raw, treated, random = (
            KNeighborsClassifier(1).fit(X[chosen], data.codes[chosen]).score(rows, planted.truth[test])
            for chosen in (np.arange(len(train)), kept, placebo)
        )
        measured["gain"].append(float(treated - raw))
        measured["placebo gain"].append(float(random - raw))
    better = interval(np.subtract(measured["AUROC"], measured["AUROC of leave-one-out"]))
    helped = interval(np.subtract(measured["gain"], measured["placebo gain"]))
    return Evidence(
        {name: interval(values) for name, values in measured.items()},
        holds=better[1] > 0 and helped[1] > 0,
        over=budget.seeds,
    )


def _leave_one_out(X: Any, labels: Any, k: int) -> Any:
    """How much the k-NN accuracy on all other rows falls when a row is left out: its value by the naive measure."""
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=k + 1).fit(X).kneighbors()[1]
    match = labels[near] == labels[:, None]
    lost = (match[:, :k].astype(float) - match[:, [k]]) / k  # the next neighbour moves up
    return np.bincount(near[:, :k].ravel(), weights=lost.ravel(), minlength=len(X))
