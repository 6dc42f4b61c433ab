"""A table of numbers in clusters, one for each class, with some labels flipped and a few rows copied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl


def table(n: int = 200, *, k: int = 3, d: int = 4, seed: int = 0) -> pl.DataFrame:
    """Columns ``x0`` … and ``y``: a label in twenty is flipped, and the last five rows are copies of the first."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    X = (3 * rng.normal(size=(k, d))[y] + rng.normal(size=(n, d))).round(4)
    if n > 10:
        X[-5:], y[-5:] = X[:5], y[:5]
        wrong = 5 + rng.choice(n - 10, n // 20, replace=False)
        y[wrong] = (y[wrong] + 1) % k
    return pl.DataFrame({**{f"x{i}": X[:, i] for i in range(d)}, "y": [f"c{code}" for code in y]})


def left(folder: Path) -> set[str]:
    """The names of everything in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
