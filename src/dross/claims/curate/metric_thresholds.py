"""Metric thresholds: boilerplate lies outside what is usual, prose within it."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import docstrings, drawn
from dross.claims.curate._corpus import BOTH, judged, told_apart
from dross.claims.curate.culturax import BOILERPLATE
from dross.curate.metric_thresholds import MetricThresholds


@claim(
    method="metric-thresholds",
    paper="CulturaX: A Cleaned, Enormous, and Multilingual Dataset for Large Language Models in 167 Languages",
    says="thresholds read from the distribution of each metric filter a corpus without being set by hand",
)
def the_unusual_goes(budget: Budget) -> Evidence:
    """400 documents of 60 words or more and 40 of boilerplate that are as long, so that length tells nothing.

    What is dropped of 40 short pieces among 400 paragraphs is told beside. Scales were chosen on seeds 100 to 103.
    """

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 16))
        pool = list(dict.fromkeys(text for text in docstrings() if 60 <= len(text.split()) <= 1000))
        sound = [pool[i] for i in rng.permutation(len(pool))[:400]]
        long = [_boilerplate(len(sound[i].split()), rng) for i in rng.integers(0, 400, 40).tolist()]
        short = [" ".join(rng.permutation(BOILERPLATE[i % 5].split())) for i in range(40)]
        planted = np.arange(440) >= 400
        pieces = told_apart(MetricThresholds(), drawn(400, seed) + short, planted)
        return {
            **told_apart(MetricThresholds(), sound + long, planted),
            "short pieces among paragraphs dropped, %": pieces["planted dropped, %"],
            "paragraphs among short pieces kept, %": pieces["others kept, %"],
        }

    return judged(budget, one, BOTH)


def _boilerplate(least: int, rng: np.random.Generator) -> str:
    """Pieces of boilerplate in random order, of so many words and signs or a few more."""
    words: list[str] = []
    while len(words) < least:
        words += rng.permutation(BOILERPLATE[rng.integers(len(BOILERPLATE))].split()).tolist()
    return " ".join(words)
