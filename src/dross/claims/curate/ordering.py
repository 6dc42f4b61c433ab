"""Ordering: random orders are fair, and folds each see the whole range."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import judged, passed
from dross.core.step import RANK
from dross.curate.ordering import Ordering


@claim(method="ordering", says="random order does not follow the old one; each fold of an order spans the whole range")
def orders_are_fair(budget: Budget) -> Evidence:
    """500 paragraphs with a random score: the correlation of old and new places, and the range of five folds."""

    def one(seed: int) -> dict[str, float]:
        texts = drawn(500, seed)
        scores = np.random.default_rng((seed, 7)).random(500)
        rank = passed(Ordering(seed=seed), texts).numbers(RANK)
        rows = passed(Ordering(by="lowest score", folds=5), texts, score=scores)
        ordered = rows.numbers("score")[np.argsort(rows.numbers(RANK))].reshape(5, 100)
        return {
            "places that are not correlated": 1 - abs(float(np.corrcoef(rank, np.arange(500))[0, 1])),
            "least range of a fold": float(np.ptp(ordered, axis=1).min() / np.ptp(scores)),
            "least correlation within a fold": float(min(np.corrcoef(row, np.arange(100))[0, 1] for row in ordered)),
        }

    least = {
        "places that are not correlated": 0.85,
        "least range of a fold": 0.95,
        "least correlation within a fold": 0.9,
    }
    return judged(budget, one, least)
