"""Class imbalance: the classes called rare are those that a model fails on."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim, interval
from dross.core.results import Findings
from dross.core.signal import Signals
from dross.detect.class_imbalance import ClassImbalance
from dross.testing.planted import table_dataset


@claim(
    method="class-imbalance",
    says="classes below a tenth of the even share are recalled worse than the others, and better when weighted up",
)
def rare_classes_are_recalled_worse(budget: Budget) -> Evidence:
    """Digits with two classes thinned to five rows; a logistic regression is tested on balanced rows."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    X, y = load_digits(return_X_y=True)
    measured: dict[str, list[float]] = {
        name: [] for name in ("recall, rare", "recall, others", "recall, rare, weighted")
    }
    right = []
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        thin = rng.choice(10, 2, replace=False)
        test = rng.choice(len(y), 600, replace=False)
        train = np.setdiff1d(np.arange(len(y)), test)
        few = [rng.choice(train[y[train] == c], 5, replace=False) for c in thin]
        kept = np.concatenate([train[~np.isin(y[train], thin)], *few])
        data = table_dataset(X[kept], y[kept])
        found = ClassImbalance().run(data, Signals(data))
        assert isinstance(found, Findings)
        flagged = np.unique(y[kept][found.rows])
        right.append(set(flagged.tolist()) == set(thin.tolist()))
        rare = np.isin(y[test], thin)
        for name, weights in (("", None), (", weighted", "balanced")):
            model = LogisticRegression(max_iter=2000, C=0.01, class_weight=weights).fit(X[kept], y[kept])
            hit = model.predict(X[test]) == y[test]
            measured[f"recall, rare{name}"].append(float(hit[rare].mean()))
            if weights is None:
                measured["recall, others"].append(float(hit[~rare].mean()))
    worse = interval(np.subtract(measured["recall, others"], measured["recall, rare"]))
    helped = interval(np.subtract(measured["recall, rare, weighted"], measured["recall, rare"]))
    return Evidence(
        {name: interval(values) for name, values in measured.items()} | {"named exactly": float(np.mean(right))},
        holds=worse[1] > 0 and helped[1] > 0 and all(right),
        over=budget.seeds,
    )
