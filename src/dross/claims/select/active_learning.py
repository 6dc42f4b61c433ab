"""Active learning: the rows it has labelled teach more than as many random ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.active_learning import STRATEGIES, ActiveLearning

POOL, STEP, STEPS = 1300, 25, 7
MODELLED = ("margin", "entropy", "doubt-and-diversity", "error-reduction")
Array = npt.NDArray[Any]


@claim(method="active-learning", says="a model learns more from rows chosen than from as many random ones")
def chosen_rows_teach_more_than_random_ones(budget: Budget) -> Evidence:
    """Digits, 25 to 175 labels in steps of 25: the mean test accuracy of a logistic regression over the steps.

    The doubts are that regression's. Every strategy that needs a model takes random rows in the first step. 'Per cost':
    rows cost 1 to 5, drawn at random, 75 is spent in each of four steps; the automatic choice that knows the costs
    against the same choice that does not and pays all the same, and against random rows.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        reached = {strategy: float(np.mean(_curve(strategy, seed))) for strategy in STRATEGIES}
        for strategy, value in reached.items():
            kept.setdefault(f"mean accuracy, {strategy}", []).append(value)
        kept.setdefault("points of auto over random", []).append(reached["auto"] - reached["random"])
        aware, unaware, random = (_curve(*way, costs=True) for way in (("auto", seed), ("", seed), ("random", seed)))
        kept.setdefault("points of auto over not knowing the costs, per cost", []).append(np.mean(aware - unaware))
        kept.setdefault("points of auto over random, per cost", []).append(np.mean(aware - random))
    measured = {name: interval(values) for name, values in kept.items()}
    holds = measured["points of auto over random"][1] > 0
    return Evidence(
        measured, holds, over=budget.seeds, note="Holds if auto beats random; the others are for comparison."
    )


def _curve(strategy: str, seed: int, *, costs: bool = False) -> Array:
    """Test accuracy after each step, per cent; "" is the automatic choice that is not told the costs."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(seed)
    X, y = load_digits(return_X_y=True)
    order = rng.permutation(len(X))
    X, y = X[order] / 16, y[order]
    price = rng.integers(1, 6, POOL).astype(float) if costs else np.ones(POOL)
    known, probs, reached = np.zeros(POOL, bool), None, []
    for step in range(4 if costs else STEPS):
        spend = 75.0 if costs else float(STEP)
        data = _data(X[:POOL], np.where(known, y[:POOL], -1), probs, price)
        named = "auto" if not strategy else "random" if probs is None and strategy in MODELLED else strategy
        method = ActiveLearning(named, spend, cost="cost" if strategy else "", seed=100 * seed + step)
        found = method.run(data, Signals(data))
        assert isinstance(found, Selection)
        rows = found.rows[price[found.rows].cumsum() <= spend]  # who did not know the costs pays them too
        known[rows] = True
        model = LogisticRegression(max_iter=300).fit(X[:POOL][known], y[:POOL][known])
        probs = model.predict_proba(X[:POOL])
        reached.append(100 * model.score(X[POOL:], y[POOL:]))
    return np.array(reached)


def _data(X: Array, labels: Array, probs: Array | None, price: Array) -> Dataset:
    columns: dict[str, Any] = {
        "x": pa.FixedSizeListArray.from_arrays(pa.array(X.astype(np.float32).ravel()), X.shape[1]),
        "y": pa.array([str(v) if v >= 0 else None for v in labels], pa.string()),
        "cost": price,
    }
    roles = {Role.EMBEDDING: ["x"], Role.LABEL: ["y"]}
    if probs is not None:
        flat = pa.array(probs.astype(np.float32).ravel())
        columns["p"] = pa.FixedSizeListArray.from_arrays(flat, probs.shape[1])
        roles[Role.PROBS] = ["p"]
    return Dataset(pa.table(columns), roles)
