"""Calibration sets: large margins and little surprise train a better ranker than as many random candidates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim
from dross.claims._training import mean, over_seeds, surely
from dross.core.dataset import Dataset
from dross.core.results import Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.calibration_set_selection import CalibrationSetSelection

EXAMPLES, HELD, CANDIDATES, KEPT, WIDE, DRAWS = 60, 2000, 12, 4, 20, 10
NOISE, AGREES = 1.0, 0.7
COMPARED = ("max-margin-min-surprise", "max-margin", "min-surprise", "min-margin", "max-surprise", "random")
Floats = npt.NDArray[np.float64]


@claim(
    method="calibration-set-selection",
    paper="What are the Desired Characteristics of Calibration Sets? Identifying Correlates on Long Form Scientific "
    "Summarization",
    says="for relevance the metric margin should be maximal and the surprise minimal",
)
def large_margins_and_little_surprise_teach_ranking(budget: Budget) -> Evidence:
    """60 examples of 12 candidates; their quality is a linear function of 20 features, the metric sees it with noise.

    The model's likelihood agrees with the quality in part. A linear ranker learns from the pairs of the four candidates
    kept for each example, and is judged by the pairs of 2,000 other examples that it orders by quality. Of random sets
    there are ten, whose mean counts, as one alone varies by two points. The metric's noise is as large as the spread of
    the quality; its strength was fixed beforehand.
    """

    def one(seed: int) -> dict[str, float]:
        data, X, held = candidates(seed)
        metrics, right = data.target, {}
        for strategy in COMPARED:
            method = CalibrationSetSelection(per_example=KEPT, strategy=strategy)
            drawn = []
            for i in range(DRAWS if strategy == "random" else 1):
                found = replace(method, seed=1000 * seed + i).run(data, Signals(data))
                assert isinstance(found, Selection)
                sets = found.rows.reshape(-1, KEPT)
                drawn.append(100 * _ordered(ranker(X[sets], metrics[sets]), *held))
            right[strategy] = float(np.mean(drawn))
        gained = {f"points gained by {s}": right[s] - right["random"] for s in COMPARED if s != "random"}
        return {"pairs ordered right by random sets, %": right["random"], **gained}

    measured = over_seeds(budget, one)
    gain = measured[f"points gained by {COMPARED[0]}"]
    holds = mean(gain) >= 2 and (len(budget.seeds) == 1 or surely(gain) > 0)
    return Evidence(measured, holds, over=budget.seeds, note="Candidates and metrics are simulated.")


def candidates(seed: int) -> tuple[Dataset, Floats, tuple[Floats, Floats]]:
    """Rows of candidates, their features, and the features and qualities of held-out ones."""
    rng = np.random.default_rng((seed, 12))
    aim = rng.standard_normal(WIDE) / np.sqrt(WIDE)
    X, held = rng.standard_normal((EXAMPLES * CANDIDATES, WIDE)), rng.standard_normal((HELD, CANDIDATES, WIDE))
    quality = X @ aim
    metric = quality + NOISE * rng.standard_normal(len(X))
    likelihood = AGREES * quality + np.sqrt(1 - AGREES**2) * rng.standard_normal(len(X))
    table = pa.table(
        {"example": np.repeat(np.arange(EXAMPLES), CANDIDATES), "metric": metric, "likelihood": likelihood}
    )
    return Dataset(table, {Role.GROUP: ["example"], Role.TARGET: ["metric"]}), X, (held, held @ aim)


def ranker(X: Floats, metrics: Floats) -> Floats:
    """Weights of a linear ranker learnt from all pairs of each example, shape (d,): logistic on their differences."""
    from sklearn.linear_model import LogisticRegression

    i, j = np.triu_indices(X.shape[1], 1)
    away = (X[:, i] - X[:, j]).reshape(-1, X.shape[2])
    first = (metrics[:, i] > metrics[:, j]).ravel()
    both = np.concatenate([away, -away]), np.concatenate([first, ~first])  # each pair stands in both orders
    return np.asarray(LogisticRegression(fit_intercept=False).fit(*both).coef_[0], np.float64)


def _ordered(weights: Floats, X: Floats, quality: Floats) -> float:
    """The share of pairs within examples that the ranker orders as the quality does."""
    i, j = np.triu_indices(X.shape[1], 1)
    told: Any = X @ weights
    return float(((told[:, i] > told[:, j]) == (quality[:, i] > quality[:, j])).mean())
