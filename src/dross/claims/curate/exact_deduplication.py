"""Exact deduplication: copies that differ in case and white space go, all else stays."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import judged, told_apart
from dross.curate.exact_deduplication import ExactDeduplication


@claim(method="exact-deduplication", says="every copy of a text but the first is dropped, and nothing else")
def copies_go_and_nothing_else(budget: Budget) -> Evidence:
    """300 paragraphs; 100 come again in capitals or with other white space."""

    def one(seed: int) -> dict[str, float]:
        texts = drawn(300, seed)
        again = [text.upper() if i % 2 else text.replace(" ", " \n ") for i, text in enumerate(texts[:100])]
        return told_apart(ExactDeduplication(), texts + again, np.arange(400) >= 300)

    return judged(budget, one, {"planted dropped, %": 100.0, "others kept, %": 100.0})
