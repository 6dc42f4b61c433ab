"""Multi-label errors: pooling by an exponential moving average finds rows with one wrong label among many classes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.multilabel_errors import MultilabelErrors, quality
from dross.signals.multilabel_probabilities import MultilabelProbabilities, given_labels


def tagged(n: int, classes: int, share: float, seed: int) -> tuple[Dataset, npt.NDArray[np.bool_]]:
    """Vectors with a tag for each of some directions they lie far along; one tag toggled in a share of the rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 12)).astype(np.float32)
    directions = rng.normal(size=(12, classes)) / np.sqrt(12)
    given = X @ directions > 0.7
    wrong = rng.random(n) < share
    rows = np.flatnonzero(wrong)
    given[rows, rng.integers(0, classes, len(rows))] ^= True
    lists = [[f"tag {c}" for c in np.flatnonzero(row)] for row in given]
    columns = {f"x{i}": X[:, i] for i in range(12)}
    table = pa.table({**columns, "tags": pa.array(lists, pa.list_(pa.string()))})
    return Dataset(table, {Role.FEATURES: list(columns), Role.LABELS: ["tags"]}), wrong


@claim(
    method="multilabel-errors",
    paper="Identifying Incorrect Annotations in Multi-Label Classification Data",
    says="the exponential moving average of class scores ranks wrong rows above their mean",
)
def the_worst_class_counts_most(budget: Budget) -> Evidence:
    """One tag toggled in a tenth of 1,200 rows with eight tags; the baseline is the mean self-confidence."""
    from sklearn.metrics import average_precision_score

    ours, mean = [], []
    for seed in budget.seeds:
        data, wrong = tagged(1200, 8, 0.1, seed)
        signals = Signals(data)
        found = MultilabelErrors().run(data, signals)
        assert isinstance(found, Findings)
        ours.append(average_precision_score(wrong, found.dense(len(data))))
        probs = np.asarray(signals[MultilabelProbabilities()])
        mean.append(average_precision_score(wrong, 1 - quality(given_labels(data).matrix, probs).mean(axis=1)))
    gained = np.subtract(ours, mean)
    measured = {
        "average precision": interval(ours),
        "average precision of the mean": interval(mean),
        "gain": interval(gained),
    }
    low = interval(gained)[1] if len(gained) > 1 else gained[0]
    return Evidence(measured, holds=bool(low > 0), over=budget.seeds)
