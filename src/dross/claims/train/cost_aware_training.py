"""Cost-aware training: many cheap biased numbers and a few accurate ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim
from dross.claims._training import mean, over_seeds
from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.trained import Trained
from dross.train.cost_aware_training import CostAwareTraining

Floats = npt.NDArray[np.float64]
CHEAP, ACCURATE, TEST = 2500, 50, 1000
EPOCHS, TUNING = 15, 50
FLAT = 1e9
"""A gamma with which all cheap numbers count alike."""


@claim(
    method="cost-aware-training",
    paper="Machine Learning Force Fields with Data Cost Aware Training",
    says="cheap biased labels and few accurate ones together lower the cost of data and improve accuracy",
)
def cheap_numbers_help(budget: Budget) -> Evidence:
    """A smooth function of four inputs: 2,500 cheap values, 40 % grossly too high, and 50 accurate ones.

    Training on the accurate ones alone makes as many updates as the pretraining and the tuning together. The same
    method without weights, and the variant that learns the density of the inputs, are measured beside it.
    """

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng(seed)
        X = rng.uniform(-1, 1, (CHEAP + ACCURATE + TEST, 4))
        y = surface(X)
        train, test = X[: CHEAP + ACCURATE], X[-TEST:]
        target = np.where(np.arange(len(train)) < CHEAP, np.nan, y[: len(train)])
        cheap = np.where(np.isnan(target), biased(train, y[: len(train)], rng), np.nan)
        full = dataset(train, target, cheap)
        steps = EPOCHS * (len(train) // 64) + TUNING
        found = {
            "accurate alone": CostAwareTraining(teacher_epochs=1, epochs=1, tuning_epochs=steps, tuning_rate=1.0),
            "unweighted": CostAwareTraining(epochs=EPOCHS, tuning_epochs=TUNING, teacher_epochs=1, gamma=FLAT),
            "weighted": CostAwareTraining(epochs=EPOCHS, tuning_epochs=TUNING, teacher_epochs=steps),
            "density": CostAwareTraining(epochs=EPOCHS, tuning_epochs=steps, tuning_rate=1.0),
        }
        error = {}
        for name, method in found.items():
            data = {"accurate alone": dataset(train[CHEAP:], target[CHEAP:]), "density": dataset(train, target)}
            model = fitted(replace(method, seed=seed), data.get(name, full))
            error[name] = float(np.abs(model.predict_proba(dataset(test, y[-TEST:]))[:, 0] - y[-TEST:]).mean())
        return {
            "cheap numbers grossly wrong, %": 100 * float(np.mean(np.abs(cheap - y[: len(train)])[:CHEAP] > 0.5)),
            "error of accurate numbers alone": error["accurate alone"],
            "error": error["weighted"],
            "error below accurate alone, %": 100 * (1 - error["weighted"] / error["accurate alone"]),
            "error below unweighted pretraining, %": 100 * (1 - error["weighted"] / error["unweighted"]),
            "density first: error below accurate alone, %": 100 * (1 - error["density"] / error["accurate alone"]),
        }

    measured = over_seeds(budget, one)
    alone = mean(measured["error below accurate alone, %"])
    holds = alone >= 50 and mean(measured["error below unweighted pretraining, %"]) >= 10
    return Evidence(measured, holds, over=budget.seeds)


def surface(X: Floats) -> Floats:
    """The true function, shape (n,)."""
    return np.asarray(np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2] * 2 + np.cos(2 * X[:, 3] + X[:, 0]), np.float64)


def biased(X: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    """Cheap values: slightly off everywhere, and 40 % of them, mostly where the second input is high, far too high."""
    wrong = rng.random(len(X)) < 0.4 + 0.3 * X[:, 1]
    return y + rng.normal(0, 0.05, len(X)) + np.where(wrong, rng.uniform(1.5, 3.0, len(X)), 0)


def dataset(X: Floats, target: Floats, cheap: Floats | None = None) -> Dataset:
    """Rows with the accurate number where it is known, and the cheap one where there is any."""
    flat = pa.FixedSizeListArray.from_arrays(pa.array(X.astype(np.float32).ravel()), X.shape[1])
    columns = {"x": flat, "accurate": pa.array(target, from_pandas=True)}
    roles = {Role.EMBEDDING: ["x"], Role.TARGET: ["accurate"]}
    if cheap is not None:
        columns["cheap"] = pa.array(cheap, from_pandas=True)
        roles[Role.VOTES] = ["cheap"]
    return Dataset(pa.table(columns), roles)


def fitted(method: CostAwareTraining, data: Dataset) -> Trained:
    """The trained model."""
    model = method.run(data, Signals(data))
    assert isinstance(model, Trained), model
    return model
