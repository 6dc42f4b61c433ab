"""K-center: within twice the best radius, and a smaller one than random rows have."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from dross.claims import Budget, Evidence, claim, interval
from dross.claims.select._coverage import distances, on_the_sphere, radius, some_digits
from dross.core.results import Selection
from dross.core.signal import Signals
from dross.select.k_center import KCenter
from dross.testing.images import Pixels, pixel_dataset

PROBLEMS, ROWS, COUNT = 20, 14, 4
DIGITS, TAKEN, DRAWS = 1200, 60, 50


@claim(
    method="k-center",
    paper="Clustering to minimize the maximum intercluster distance",
    says="the radius is at most twice the smallest possible; rows are covered better than by random ones",
)
def rows_are_covered(budget: Budget) -> Evidence:
    """Against every choice of 4 of 14 vectors, and on 1,200 digits, 60 taken, against 50 random choices."""
    ratios, gains = [], []
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        ratios.append(max(_ratio(rng) for _ in range(PROBLEMS)))
        X = some_digits(rng, DIGITS)
        D = distances(X)
        random = np.mean([radius(D, rng.choice(DIGITS, TAKEN, replace=False)) for _ in range(DRAWS)])
        gains.append(float(random) / radius(D, _chosen(X, TAKEN)))
    measured = {
        "largest ratio to the best radius, 20 problems": interval(ratios),
        "radius of random rows over ours": interval(gains),
    }
    return Evidence(measured, holds=max(ratios) <= 2 + 1e-5 and min(gains) > 1, over=budget.seeds)


def _ratio(rng: np.random.Generator) -> float:
    X = on_the_sphere(rng, ROWS, 2)
    D = distances(X)
    best = min(radius(D, np.array(rows)) for rows in combinations(range(ROWS), COUNT))
    return radius(D, _chosen(X, COUNT)) / best


def _chosen(X: Pixels, count: int) -> npt.NDArray[np.int64]:
    data = pixel_dataset(X, np.zeros(len(X), np.int64))
    found = KCenter(count=count).run(data, Signals(data))
    assert isinstance(found, Selection)
    return found.rows
