"""Metric thresholds: boilerplate lies outside what is usual, prose within it."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import BOTH, judged, told_apart
from dross.claims.curate.culturax import BOILERPLATE
from dross.curate.metric_thresholds import MetricThresholds


@claim(
    method="metric-thresholds",
    paper="CulturaX: A Cleaned, Enormous, and Multilingual Dataset for Large Language Models in 167 Languages",
    says="thresholds read from the distribution of each metric filter a corpus without being set by hand",
)
def the_unusual_goes(budget: Budget) -> Evidence:
    """400 paragraphs and 40 pieces of boilerplate."""

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 16))
        junk = [" ".join(rng.permutation(BOILERPLATE[i % 5].split())) for i in range(40)]
        return told_apart(MetricThresholds(), drawn(400, seed) + junk, np.arange(440) >= 400)

    return judged(budget, one, BOTH)
