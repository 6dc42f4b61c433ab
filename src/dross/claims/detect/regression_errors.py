"""Regression errors: the residual over its local spread finds wrong targets better than the residual alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.regression_errors import RegressionErrors


def uneven(n: int, share: float, seed: int) -> tuple[Dataset, npt.NDArray[np.bool_]]:
    """A smooth target whose noise grows along one feature; a share of the targets is moved by some deviations."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 4))
    noise = 0.05 + 0.6 * (X[:, 0] + 1) ** 2
    y = 2 * np.sin(2 * X[:, 1]) + X[:, 2] + noise * rng.normal(size=n)
    wrong = rng.random(n) < share
    y[wrong] += (noise * rng.uniform(4, 8, n) * rng.choice([-1, 1], n))[wrong]
    columns = {f"x{i}": X[:, i] for i in range(4)} | {"y": y}
    return Dataset(pa.table(columns), {Role.FEATURES: ["x0", "x1", "x2", "x3"], Role.TARGET: ["y"]}), wrong


@claim(
    method="regression-errors",
    paper="Detecting Errors in a Numerical Response via any Regression Model",
    says="dividing residuals by their uncertainty finds errors better where noise is uneven",
)
def uncertainty_helps(budget: Budget) -> Evidence:
    """A tenth of the targets moved by 4 to 8 local deviations; the baseline ranks by the absolute residual."""
    from sklearn.metrics import roc_auc_score

    ours, plain, precision = [], [], []
    for seed in budget.seeds:
        data, wrong = uneven(1500, 0.1, seed)
        found = RegressionErrors().run(data, Signals(data))
        assert isinstance(found, Findings)
        residual = np.abs(data.target - np.asarray(found.suggestion, float))
        ours.append(roc_auc_score(wrong, found.scores))
        plain.append(roc_auc_score(wrong, residual))
        flagged = found.scores >= 0.5
        precision.append(wrong[flagged].mean() if flagged.any() else 0.0)
    gained = np.subtract(ours, plain)
    measured = {
        "AUC": interval(ours),
        "AUC of the plain residual": interval(plain),
        "gain": interval(gained),
        "precision of its own verdict": interval(precision),
    }
    low = interval(gained)[1] if len(gained) > 1 else gained[0]
    return Evidence(measured, holds=bool(low > 0 and min(ours) > 0.85), over=budget.seeds)
