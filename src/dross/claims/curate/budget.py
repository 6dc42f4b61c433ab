"""Budget: what is kept is the best there is, and random choices are even."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import judged, passed
from dross.curate.budget import Budget as Step


@claim(method="budget", says="the rows with the highest numbers stay, and random rows are a fair sample")
def the_best_stay_and_chance_is_fair(budget: Budget) -> Evidence:
    """500 paragraphs with a random score; half of them by score, half at random, and half the characters."""

    def one(seed: int) -> dict[str, float]:
        texts = drawn(500, seed)
        scores = np.random.default_rng((seed, 6)).random(500)
        best = passed(Step(share=0.5, by="highest score"), texts, score=scores).numbers("score")
        random = passed(Step(share=0.5, seed=seed), texts, score=scores).numbers("score")
        total = sum(map(len, texts))
        some = passed(Step(characters=total // 2, seed=seed), texts).text().to_pylist()
        return {
            "best rows kept, %": 100 * float(np.isin(np.sort(scores)[250:], best).mean()),
            "nearness of random rows to the mean": 1 - abs(float(random.mean() - scores.mean())),
            "share of the characters asked for, %": 200 * sum(map(len, some)) / total,
        }

    least = {
        "best rows kept, %": 100.0,
        "nearness of random rows to the mean": 0.95,
        "share of the characters asked for, %": 98.0,
    }
    return judged(budget, one, least)
