"""Underperforming slices: a planted pocket of errors is found and named honestly, and noise is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.underperforming_slices import UnderperformingSlices, k_means


@claim(
    method="underperforming-slices",
    paper="Slice Finder: Automated Data Slicing for Model Validation",
    says="finds large slices with high loss that are significant, and controls false discoveries",
)
def planted_slices_are_found_and_noise_is_not(budget: Budget) -> Evidence:
    """A cluster of 3 % and a pair of groups of 8 % with 50 % errors among 10 %; beside clusters blind to errors."""
    measured: dict[str, list[float]] = {
        name: [] for name in ("recall", "precision", "recall, blind clusters", "precision, blind clusters")
    }
    alarms = []
    for seed in budget.seeds:
        data, X, wrong, planted = _served(5000, seed, 0.5)
        found = UnderperformingSlices(seed=seed).run(data, Signals(data))
        assert isinstance(found, Findings)
        flagged = found.dense(len(data)) >= 0.5
        blind = _blind(X, wrong, seed)
        for name, mask in (("", flagged), (", blind clusters", blind)):
            measured[f"recall{name}"].append(float(mask[planted].mean()))
            measured[f"precision{name}"].append(float(planted[mask].mean()) if mask.any() else 0.0)
        for repeat in range(6):
            data = _served(1500, 1000 + 10 * seed + repeat, 0.1)[0]
            nothing = UnderperformingSlices(seed=seed).run(data, Signals(data))
            assert isinstance(nothing, Findings)
            alarms.append(bool((nothing.scores >= 0.5).any()))
    better = interval(np.subtract(measured["recall"], measured["recall, blind clusters"]))
    return Evidence(
        {name: interval(values) for name, values in measured.items()} | {"false alarms": float(np.mean(alarms))},
        holds=bool(better[1] > 0 and np.mean(measured["precision"]) > 0.9 and np.mean(alarms) <= 0.05),
        over=budget.seeds,
    )


def _served(n: int, seed: int, rate: float) -> tuple[Dataset, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Clustered rows, two group columns, and predictions that err at 10 %, or at ``rate`` in planted slices."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, 30, n)
    X = (rng.normal(scale=2.0, size=(30, 16))[cluster] + rng.normal(size=(n, 16))).astype(np.float32)
    groups = rng.integers(0, 4, n), rng.integers(0, 3, n)
    planted = (cluster == 0) | ((groups[0] == 1) & (groups[1] == 2))
    labels = cluster % 5
    wrong = rng.random(n) < np.where(planted, rate, 0.1)
    shown = np.where(wrong, (labels + rng.integers(1, 5, n)) % 5, labels)
    probs = np.where(np.arange(5) == shown[:, None], 0.8, 0.05).astype(np.float32)
    columns = {
        "x": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 16),
        "p": pa.FixedSizeListArray.from_arrays(pa.array(probs.ravel()), 5),
        "first": groups[0].astype(str),
        "second": groups[1].astype(str),
        "y": labels,
    }
    roles = {Role.EMBEDDING: ["x"], Role.PROBS: ["p"], Role.GROUP: ["first", "second"], Role.LABEL: ["y"]}
    return Dataset(pa.table(columns), roles), X, wrong, planted


def _blind(X: npt.NDArray[Any], wrong: npt.NDArray[Any], seed: int) -> npt.NDArray[Any]:
    """The honest baseline: the rows of plain clusters whose errors are 5 points above average."""
    centres = k_means(X, 24, np.random.default_rng(seed))
    own = (X @ centres.T - (centres**2).sum(1) / 2).argmax(1)
    rates = np.bincount(own, weights=wrong, minlength=24) / np.maximum(np.bincount(own, minlength=24), 1)
    return np.asarray((rates > wrong.mean() + 0.05)[own])
