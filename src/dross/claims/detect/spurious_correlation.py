"""Spurious correlation: a cue that a model leans on is told from one that merely goes with the label."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.spurious_correlation import SpuriousCorrelation


@claim(
    method="spurious-correlation",
    paper="Distributionally Robust Neural Networks for Group Shifts: On the Importance of Regularization for "
    "Worst-Case Generalization",
    says="a model that learns a spurious cue is accurate on average and fails on the groups that lie against it",
)
def a_cue_that_is_leant_on_is_told_apart(budget: Budget) -> Evidence:
    """A background that agrees with the class on 95 % of the rows: needed by the model, not needed, and random."""
    cases = {"leant on": (0.7, 2.0, 0.95), "not needed": (4.0, 0.0, 0.95), "at random": (1.0, 2.0, 0.5)}
    reported: dict[str, list[float]] = {case: [] for case in cases}
    average, worst, cue_alone = [], [], []
    for seed in budget.seeds:
        for case, (core, cue, aligned) in cases.items():
            data = _birds(seed, core, cue, aligned)
            found = SpuriousCorrelation().run(data, Signals(data))
            assert isinstance(found, Findings)
            reported[case].append(float("background" in found.summary["shortcuts"]))
            fact = found.summary["attributes"][0]
            if case == "leant on":
                worst.append(fact["worst_groups"][0]["accuracy"])
                average.append(float((data.matrix(Role.PROBS).argmax(1) == data.codes).mean()))
            if case == "not needed":
                cue_alone.append(float(fact["strength"][1] > 0.2))
    measured: dict[str, float | tuple[float, float, float]] = {
        f"reported: {case}": float(np.mean(values)) for case, values in reported.items()
    }
    measured |= {
        "average accuracy, leant on": interval(average),
        "worst-group accuracy, leant on": interval(worst),
        "reported by correlation alone: not needed": float(np.mean(cue_alone)),
    }
    told = np.mean(reported["leant on"]) == 1 and np.mean(reported["not needed"]) + np.mean(reported["at random"]) == 0
    return Evidence(measured, holds=bool(told) and interval(np.subtract(average, worst))[1] > 0.2, over=budget.seeds)


def _birds(seed: int, core: float, cue: float, aligned: float, n: int = 1500) -> Dataset:
    """Two classes, a true feature and a background; probabilities of a model that is shown both, out of fold."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    background = np.where(rng.random(n) < aligned, y, 1 - y)
    X = np.column_stack([core * (2 * y - 1), cue * (2 * background - 1)]) + rng.normal(size=(n, 2))
    probs = cross_val_predict(LogisticRegression(), X, y, cv=5, method="predict_proba").astype(np.float32)
    columns = {
        "p": pa.FixedSizeListArray.from_arrays(pa.array(probs.ravel()), 2),
        "background": background.astype(str),
        "y": y,
    }
    return Dataset(pa.table(columns), {Role.PROBS: ["p"], Role.GROUP: ["background"], Role.LABEL: ["y"]})
