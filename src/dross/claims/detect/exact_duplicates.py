"""Exact duplicates: every planted copy is found, nothing else is."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim, interval
from dross.core.results import Findings
from dross.core.signal import Signals
from dross.detect.exact_duplicates import ExactDuplicates
from dross.testing.planted import texts_with_copies


@claim(
    method="exact-duplicates",
    says="finds every copy that differs in case and white space only, and no other row",
)
def every_copy_is_found(budget: Budget) -> Evidence:
    """Plant copies with changed case and spacing among distinct sentences."""
    recall, precision = [], []
    for seed in budget.seeds:
        planted = texts_with_copies(2000, copies=100, seed=seed)
        found = ExactDuplicates().run(planted.data, Signals(planted.data))
        assert isinstance(found, Findings)
        hit = np.isin(found.rows, planted.rows)
        recall.append(hit.sum() / len(planted.rows))
        precision.append(hit.mean() if len(hit) else 0.0)
    measured = {"recall": interval(recall), "precision": interval(precision)}
    return Evidence(measured, holds=min(recall) == 1.0 and min(precision) == 1.0, over=budget.seeds)
