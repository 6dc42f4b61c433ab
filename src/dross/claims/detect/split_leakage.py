"""Split leakage: leaked test rows are found, and they flatter a model until they are left out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.split_leakage import SplitLeakage
from dross.testing.planted import blobs


@claim(
    method="split-leakage",
    says="test rows copied from training, equal or moved a little, are found; accuracy of a nearest-neighbour model is "
    "too high with them and as without leakage when they are left out",
)
def leaked_rows_flatter_until_left_out(budget: Budget) -> Evidence:
    """A third of the test rows stand in training, half of them moved by a hundredth of the nearest distance."""
    from sklearn.neighbors import KNeighborsClassifier

    recall, precision, flattered, cleaned = [], [], [], []
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        plain = blobs(900, k=4, d=8, spread=2.0, flipped=0.2, seed=seed).data
        X, y = plain.matrix(Role.EMBEDDING), plain.codes
        copied = rng.choice(600, 100, replace=False)
        step = rng.normal(size=(100, 8)) * 0.003 * (np.arange(100) % 2)[:, None]
        every = np.concatenate([X, (X[copied] + step).astype(np.float32)])
        labels = np.concatenate([y, y[copied]])
        flat = pa.FixedSizeListArray.from_arrays(pa.array(every.ravel()), 8)
        part = ["train"] * 600 + ["test"] * 400
        data = Dataset(pa.table({"x": flat, "part": part}), {Role.EMBEDDING: ["x"], Role.SPLIT: ["part"]})
        found = SplitLeakage().run(data, Signals(data))
        assert isinstance(found, Findings)
        hit = found.rows >= 900
        recall.append(hit.sum() / 100)
        precision.append(hit.mean() if len(hit) else 0.0)
        model = KNeighborsClassifier(1).fit(every[:600], labels[:600])
        correct = model.predict(every[600:]) == labels[600:]
        honest = correct[:300].mean()
        kept = ~np.isin(np.arange(600, 1000), found.rows)
        flattered.append(correct.mean() - honest)
        cleaned.append(correct[kept].mean() - honest)
    measured = {
        "recall": interval(recall),
        "precision": interval(precision),
        "accuracy gained by leakage": interval(flattered),
        "accuracy gained, found rows left out": interval(cleaned),
    }
    holds = np.mean(recall) >= 0.95 and np.mean(precision) >= 0.95
    holds = holds and np.mean(flattered) > 0.03 and abs(np.mean(cleaned)) < 0.01
    return Evidence(measured, bool(holds), budget.seeds)
