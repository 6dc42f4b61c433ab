"""Conflicting duplicates: wrong labels of copies are found, and the label of the most is the right one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.claims.detect.near_duplicates import documents, edited
from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.conflicting_duplicates import ConflictingDuplicates


@claim(
    method="conflicting-duplicates",
    says="of groups of three near copies, the one whose label was changed ranks first and its old label is suggested; "
    "rows without a conflict are not found",
)
def changed_labels_of_copies_are_found(budget: Budget) -> Evidence:
    """Among 1,000 texts, 100 have two copies, equal but for case or with 3 % of the words changed."""
    recall, right, ahead, others = [], [], [], []
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        texts = documents(rng, 1000, 80)
        labels = rng.integers(0, 5, 1000)
        copies = [edited(rng, texts[i], 0.03 * (i % 2)) for i in range(100) for _ in range(2)]
        given = np.concatenate([labels, np.repeat(labels[:100], 2)])
        wrong = 1000 + 2 * np.arange(100) + rng.integers(0, 2, 100)
        given[wrong] = (given[wrong] + rng.integers(1, 5, 100)) % 5
        lines = [" ".join(words) for words in texts] + [" ".join(words).upper() for words in copies]
        data = Dataset(
            pa.table({"text": lines, "label": [f"class {y}" for y in given]}),
            {Role.TEXT: ["text"], Role.LABEL: ["label"]},
        )
        found = ConflictingDuplicates().run(data, Signals(data))
        assert isinstance(found, Findings)
        assert found.suggestion is not None
        scores = found.dense(1200)
        groups = np.column_stack([np.arange(100), 1000 + 2 * np.arange(100), 1001 + 2 * np.arange(100)])
        flagged = np.isin(wrong, found.rows[found.scores >= 0.5])
        recall.append(flagged.mean())
        told = np.full(1200, -1)
        told[found.rows] = found.suggestion
        right.append((told[wrong][flagged] == labels[:100][flagged]).mean())
        ahead.append((scores[wrong] == scores[groups].max(1)).mean())
        others.append((found.rows[found.scores >= 0.5, None] == wrong).any(1).mean())
    measured = {
        "recall": interval(recall),
        "suggestion is the old label": interval(right),
        "highest score of its group": interval(ahead),
        "flagged rows that were changed": interval(others),
    }
    holds = min(recall) >= 0.95 and min(right) >= 0.95 and min(ahead) >= 0.95 and min(others) >= 0.95
    return Evidence(
        measured, holds, budget.seeds, "guessing which of a group is wrong would be right a third of the time"
    )
