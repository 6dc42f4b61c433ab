"""Semantic duplicates: few false alarms in data of any shape, and more copies found than by one global distance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dross.claims import Budget, Evidence, claim, interval
from dross.core.results import Findings
from dross.core.signal import Signals
from dross.detect.semantic_duplicates import SemanticDuplicates
from dross.signals.neighbours import Neighbours
from dross.testing.planted import table_dataset

Matrix = npt.NDArray[np.float64]
GLOBAL = 0.13
"""The share of the median nearest distance within which cleanlab's Datalab calls rows near duplicates."""


def _clusters(rng: np.random.Generator, scales: Matrix) -> Matrix:
    of = rng.integers(0, 20, 1500)
    return np.asarray(rng.normal(size=(20, 16))[of] * 4 + rng.normal(size=(1500, 16)) * scales[of, None])


SHAPES: dict[str, Callable[[np.random.Generator], Matrix]] = {
    "square": lambda rng: np.asarray(rng.random((1500, 2))),
    "8 dimensions": lambda rng: np.asarray(rng.normal(size=(1500, 8))),
    "100 dimensions": lambda rng: np.asarray(rng.normal(size=(1500, 100))),
    "equal clusters": lambda rng: _clusters(rng, np.ones(20)),
    "tight and wide clusters": lambda rng: _clusters(rng, np.geomspace(0.01, 1, 20)),
    "heavy tails": lambda rng: np.asarray(rng.standard_t(2, (1500, 8))),
}


def compare(X: Matrix, copies: int) -> tuple[float, float, float, float]:
    """False alarms of the method and of the global rule, and the recall of both on the last rows."""
    data = table_dataset(X, ["a"] * len(X))
    signals = Signals(data)
    near = signals[Neighbours()]
    found = SemanticDuplicates().run(data, signals)
    assert isinstance(found, Findings)
    n = len(X) - copies
    rule = near.distances[:, 0] < GLOBAL * np.median(near.distances[:, 0])
    later = rule & (near.indices[:, 0] < np.arange(len(X)))
    return (
        float((found.rows < n).sum()),
        float(later[:n].sum()),
        float((found.rows >= n).sum() / max(copies, 1)),
        float(later[n:].sum() / max(copies, 1)),
    )


@claim(
    method="semantic-duplicates",
    says="in data without copies, whatever its shape, at most a row in a thousand is called a copy, "
    "and fewer rows than by one global distance",
)
def clean_data_raises_no_alarm(budget: Budget) -> Evidence:
    """Six shapes of 1,500 rows without copies; the same rule by a global distance beside it."""
    ours: dict[str, list[float]] = {name: [] for name in SHAPES}
    theirs: dict[str, list[float]] = {name: [] for name in SHAPES}
    for seed in budget.seeds:
        for name, shape in SHAPES.items():
            alarms, usual, _, _ = compare(shape(np.random.default_rng(seed)), 0)
            ours[name].append(alarms)
            theirs[name].append(usual)
    measured = {f"alarms: {name}": interval(values) for name, values in ours.items()}
    measured |= {f"alarms, global: {name}": interval(values) for name, values in theirs.items()}
    most = max(float(np.mean(values)) for values in ours.values())
    total, usual_total = (sum(float(np.mean(v)) for v in each.values()) for each in (ours, theirs))
    return Evidence(measured, most <= 1.5 and total < usual_total, budget.seeds)


@claim(
    method="semantic-duplicates",
    says="copies moved by up to a fifth of the nearest distance are found more often than by one global distance "
    "in all shapes but those of two dimensions, where chance brings rows as near",
)
def moved_copies_are_found(budget: Budget) -> Evidence:
    """A hundred rows stand again, moved in a random direction by up to 0.2 of the distance to their neighbour."""
    shapes = {name: shape for name, shape in SHAPES.items() if name != "square"}
    gain: dict[str, list[float]] = {name: [] for name in shapes}
    recall: dict[str, list[float]] = {name: [] for name in shapes}
    for seed in budget.seeds:
        for name, shape in shapes.items():
            rng = np.random.default_rng(seed)
            X = shape(rng)
            nearest = np.array([np.partition(np.linalg.norm(X - X[i], axis=1), 1)[1] for i in range(100)])
            step = rng.normal(size=(100, X.shape[1]))
            step *= (0.2 * rng.random(100) * nearest / np.linalg.norm(step, axis=1))[:, None]
            _, _, found, usual = compare(np.concatenate([X, X[:100] + step]), 100)
            recall[name].append(found)
            gain[name].append(found - usual)
    measured = {f"recall: {name}": interval(values) for name, values in recall.items()}
    measured |= {f"gain: {name}": interval(values) for name, values in gain.items()}
    return Evidence(measured, all(np.mean(values) > 0 for values in gain.values()), budget.seeds)
