"""Split drift: the test keeps its level and sees shifts that no single column shows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, claim
from dross.core.statistics import wilson
from dross.detect.split_drift import compare_columns, discriminate


@claim(
    method="split-drift",
    paper="Revisiting Classifier Two-Sample Tests",
    says="a classifier two-sample test keeps its level and has power where tests of single columns have none",
)
def a_classifier_sees_what_columns_do_not(budget: Budget) -> Evidence:
    """Reject at 5 %: equal parts; and a shift small in each of 20 correlated columns. Beside column tests (Holm)."""
    rejected: dict[str, list[bool]] = {
        name: [] for name in ("no drift", "no drift, columns", "drift", "drift, columns")
    }
    for seed in budget.seeds:
        for repeat in range(20):
            for name, shift in (("no drift", 0.0), ("drift", 0.15)):
                rng = np.random.default_rng((seed, repeat, int(shift > 0)))
                common = rng.normal(size=(900, 1))
                X = (common + 0.5 * rng.normal(size=(900, 20))).astype(np.float32)
                second = np.arange(900) >= 600
                X[second] += shift * np.where(np.arange(20) % 2, 1, -1)  # up and down in turn
                parts = np.flatnonzero(~second), np.flatnonzero(second)
                rejected[name].append(discriminate(X, *parts).p < 0.05)
                columns = ((f"x{j}", pa.chunked_array([X[:, j]])) for j in range(20))
                tested = compare_columns(columns, *parts)
                rejected[f"{name}, columns"].append(min(test["p"] for test in tested) < 0.05)
    shares = {}
    for name, outcomes in rejected.items():
        low, high = wilson([sum(outcomes)], [len(outcomes)])
        shares[name] = (float(np.mean(outcomes)), float(low[0]), float(high[0]))
    return Evidence(
        {f"rejected: {name}": share for name, share in shares.items()},
        holds=shares["no drift"][1] <= 0.05 and shares["drift"][1] > shares["drift, columns"][2],
        over=budget.seeds,
    )
