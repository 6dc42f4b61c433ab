"""Simulated annotators whose quality, and rows whose difficulty, are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.roles import Role


@dataclass(frozen=True)
class Crowd:
    """Annotated rows: the dataset, the true classes (n,), each annotator's accuracy (a,), the hard rows (n,) bool."""

    data: Dataset
    truth: npt.NDArray[np.int64]
    accuracy: npt.NDArray[np.float64]
    hard: npt.NDArray[np.bool_]


def crowd(
    n: int = 400,
    *,
    annotators: int = 8,
    k: int = 3,
    asked: float = 0.6,
    low: float = 0.35,
    high: float = 0.95,
    hard: float = 0.0,
    seed: int = 0,
) -> Crowd:
    """Annotators of accuracy between ``low`` and ``high``, each asked about a share of the rows.

    On a share ``hard`` of the rows everybody guesses uniformly.

    >>> made = crowd(50, annotators=4); len(made.data), len(made.accuracy)
    (50, 4)
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    accuracy = rng.uniform(low, high, annotators)
    difficult = rng.random(n) < hard
    right = rng.random((n, annotators)) < np.where(difficult[:, None], 1 / k, accuracy)
    votes = np.where(right, truth[:, None], (truth[:, None] + rng.integers(1, k, (n, annotators))) % k)
    seen = rng.random((n, annotators)) < asked
    seen[np.arange(n), rng.integers(0, annotators, n)] = True
    names = [f"annotator_{a}" for a in range(annotators)]
    columns = {name: pa.array([f"c{v}" for v in votes[:, a]], mask=~seen[:, a]) for a, name in enumerate(names)}
    return Crowd(Dataset(pa.table(columns), {Role.ANNOTATIONS: names}), truth, accuracy, difficult)
