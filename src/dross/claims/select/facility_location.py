"""Facility location: at least 1 - 1/e of the best value, and nearer to all rows than random ones are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from dross.claims import Budget, Evidence, claim, interval
from dross.claims.select._coverage import distances, loss, on_the_sphere, some_digits
from dross.core.results import Selection
from dross.core.signal import Signals
from dross.select.facility_location import FacilityLocation
from dross.testing.images import Pixels, pixel_dataset

PROBLEMS, ROWS, COUNT = 20, 14, 4
DIGITS, TAKEN, DRAWS = 1200, 60, 50


@claim(
    method="facility-location",
    paper="An analysis of approximations for maximizing submodular set functions",
    says="greedy reaches at least 1 - 1/e of the best value; all rows are nearer to the choice than to random ones",
)
def rows_are_represented(budget: Budget) -> Evidence:
    """Against every choice of 4 of 14 vectors, and on 1,200 digits, 60 taken, against 50 random choices."""
    ratios, gains = [], []
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        ratios.append(min(_ratio(rng) for _ in range(PROBLEMS)))
        X = some_digits(rng, DIGITS)
        D = distances(X)
        random = np.mean([loss(D, rng.choice(DIGITS, TAKEN, replace=False)) for _ in range(DRAWS)])
        gains.append(float(random) / loss(D, _chosen(X, TAKEN)))
    measured = {
        "smallest share of the best value, 20 problems": interval(ratios),
        "mean squared distance to random rows over that to ours": interval(gains),
    }
    holds = bool(min(ratios) >= 1 - 1 / np.e and min(gains) > 1)
    return Evidence(measured, holds=holds, over=budget.seeds)


def _ratio(rng: np.random.Generator) -> float:
    X = on_the_sphere(rng, ROWS, 3)
    D = distances(X)
    worst = float(D.max()) * ROWS  # nothing taken: every row as far away as any two are
    best = max(worst - loss(D, np.array(rows)) for rows in combinations(range(ROWS), COUNT))
    return (worst - loss(D, _chosen(X, COUNT))) / best


def _chosen(X: Pixels, count: int) -> npt.NDArray[np.int64]:
    data = pixel_dataset(X, np.zeros(len(X), np.int64))
    found = FacilityLocation(count=count).run(data, Signals(data))
    assert isinstance(found, Selection)
    return found.rows
