"""Out-of-distribution rows: the relative distance finds rows of an unknown class that the plain one misses."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim, interval
from dross.core.results import Findings
from dross.core.signal import Signals
from dross.detect.out_of_distribution import OutOfDistribution
from dross.signals.embedding import Embedding
from dross.testing.planted import table_dataset


@claim(
    method="out-of-distribution",
    paper="A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection",
    says="the relative Mahalanobis distance detects near-OOD rows better than the plain one",
)
def relative_distance_finds_a_hidden_class(budget: Budget) -> Evidence:
    """Digits of two hidden classes, six pairs a seed, stand among the others under random labels: rank them first."""
    from sklearn.datasets import load_digits
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import NearestNeighbors

    X, y = load_digits(return_X_y=True)
    measured: dict[str, list[float]] = {name: [] for name in ("relative", "Mahalanobis", "neighbour distance")}
    for seed, pair in ((seed, pair) for seed in budget.seeds for pair in range(6)):
        rng = np.random.default_rng((seed, pair))
        hidden = rng.choice(10, 2, replace=False)
        odd = np.isin(y, hidden)
        rows = np.concatenate([np.flatnonzero(~odd), rng.choice(np.flatnonzero(odd), 60, replace=False)])
        labels = np.where(odd[rows], rng.choice(np.setdiff1d(y, hidden), len(rows)), y[rows])
        data = table_dataset(X[rows], labels)
        signals = Signals(data)
        found = OutOfDistribution().run(data, signals)
        assert isinstance(found, Findings)
        E = signals[Embedding()].astype(np.float64)
        means = np.stack([E[labels == c].mean(0) for c in np.unique(labels)])
        inside = E - means[np.unique(labels, return_inverse=True)[1]]
        precision = np.linalg.inv(inside.T @ inside / len(E) + 1e-4 * np.eye(E.shape[1]))
        plain = np.min([np.einsum("nd,de,ne->n", E - m, precision, E - m) for m in means], axis=0)
        near = NearestNeighbors(n_neighbors=10).fit(E).kneighbors()[0].mean(1)
        for name, score in zip(measured, (found.dense(len(rows)), plain, near), strict=True):
            measured[name].append(float(roc_auc_score(odd[rows], score)))
    gain = interval(np.subtract(measured["relative"], measured["Mahalanobis"]))
    beyond = interval(np.subtract(measured["relative"], measured["neighbour distance"]))
    return Evidence(
        {f"AUROC, {name}": interval(values) for name, values in measured.items()},
        holds=gain[1] > 0 and beyond[1] > 0,
        over=budget.seeds,
    )
