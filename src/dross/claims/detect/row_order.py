"""Row order: the test keeps its level, sees drift in many dimensions, and finds the change."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim, interval
from dross.core.graph import edges_of
from dross.core.statistics import wilson
from dross.detect.row_order import change_point, order_test


@claim(
    method="row-order",
    paper="Detecting Dataset Drift and Non-IID Sampling via k-Nearest Neighbors",
    says="finds violations of independence and identical distribution that adjacent rows alone do not show",
)
def order_is_seen_where_there_is_one(budget: Budget) -> Evidence:
    """Reject at 5 %: shuffled rows, and rows whose mean moves once, beside the correlation of adjacent rows."""
    from scipy.special import ndtr
    from sklearn.neighbors import NearestNeighbors

    rejected: dict[str, list[bool]] = {name: [] for name in ("shuffled", "drift", "drift, by adjacent rows")}
    missed = []
    for seed in budget.seeds:
        for repeat in range(20):
            rng = np.random.default_rng((seed, repeat))
            X = rng.normal(size=(400, 10))
            at = int(rng.integers(120, 280))
            for name, shift in (("shuffled", 0.0), ("drift", 0.35)):
                rows = X + shift * (np.arange(400) >= at)[:, None]
                near = NearestNeighbors(n_neighbors=10).fit(rows).kneighbors()[1].astype(np.int32)
                edges = edges_of(near, np.ones(400, bool))
                rejected[name].append(bool(ndtr(order_test(edges, np.arange(400))[1]) < 0.05))
            missed.append(abs(change_point(edges, np.arange(400))[0] - at) / 400)
            centred = rows - rows.mean(0)
            lag = (centred[1:] * centred[:-1]).sum(0) / (centred**2).sum(0)
            rejected["drift, by adjacent rows"].append(bool(ndtr(-(lag * 20).max()) * 10 < 0.05))
    shares = {}
    for name, outcomes in rejected.items():
        low, high = wilson([sum(outcomes)], [len(outcomes)])
        shares[name] = (float(np.mean(outcomes)), float(low[0]), float(high[0]))
    measured = {f"rejected: {name}": share for name, share in shares.items()}
    measured["change point missed by, share of the rows"] = interval(missed)
    return Evidence(
        measured,
        holds=shares["shuffled"][1] <= 0.05 and shares["drift"][1] > shares["drift, by adjacent rows"][2],
        over=budget.seeds,
    )
