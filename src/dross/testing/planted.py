"""Small datasets with planted defects whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.roles import Role


@dataclass(frozen=True)
class Planted:
    """A dataset, the rows that are defective, and the true labels where they are known.

    Attributes
    ----------
    data
        The dataset, defects included.
    rows
        Positions of the planted defects, ascending, shape (m,).
    truth
        The true class codes of all rows, shape (n,); None where there are no labels.
    """

    data: Dataset
    rows: npt.NDArray[np.int64]
    truth: npt.NDArray[np.int32] | None = None


def table_dataset(X: npt.NDArray[Any], labels: npt.NDArray[Any] | Sequence[Any]) -> Dataset:
    """A labelled dataset of vectors: the matrix as one embedding-like features column, labels beside it.

    >>> len(table_dataset(np.zeros((3, 2)), ["a", "b", "a"]))
    3
    """
    flat = pa.array(np.ascontiguousarray(X, dtype=np.float32).ravel())
    columns = {"x": pa.FixedSizeListArray.from_arrays(flat, X.shape[1]), "label": pa.array(labels)}
    return Dataset(pa.table(columns), {Role.EMBEDDING: ["x"], Role.LABEL: ["label"]})


def flip(
    codes: npt.NDArray[np.int32], k: int, rate: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Replace the labels of a share of the rows by another class drawn uniformly; the new codes and the rows."""
    rows = np.sort(rng.choice(len(codes), round(rate * len(codes)), replace=False))
    flipped = codes.copy()
    flipped[rows] = (codes[rows] + rng.integers(1, k, len(rows))) % k
    return flipped, rows


def blobs(n: int = 600, *, k: int = 4, d: int = 8, spread: float = 1.0, flipped: float = 0.1, seed: int = 0) -> Planted:
    """Gaussian clusters, one per class, centres 4 apart on average, with a share of labels flipped.

    >>> p = blobs(100, flipped=0.1); len(p.data), len(p.rows)
    (100, 10)
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n).astype(np.int32)
    centres = rng.normal(size=(k, d))
    centres *= 4 / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
    X = centres[truth] + spread * rng.normal(size=(n, d))
    labels, rows = flip(truth, k, flipped, rng)
    return Planted(table_dataset(X, [f"class {c}" for c in labels]), rows, truth)


def digits(flipped: float = 0.2, seed: int = 0) -> Planted:
    """scikit-learn's 1,797 handwritten digits, 64 pixels each, with a share of labels flipped."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    truth = y.astype(np.int32)
    labels, rows = flip(truth, 10, flipped, np.random.default_rng(seed))
    return Planted(table_dataset(X, labels.astype(str)), rows, truth)


WORDS = tuple(
    """river stone cloud bread window garden engine letter winter copper market bridge island candle forest mirror
    signal basket harbour meadow pocket thunder velvet wagon yellow anchor barrel castle dragon ember falcon""".split()
)


def sentence(rng: np.random.Generator, words: int = 12, vocabulary: Sequence[str] = WORDS) -> str:
    """Random words in a row."""
    return " ".join(vocabulary[i] for i in rng.integers(0, len(vocabulary), words))


def texts_with_copies(n: int = 500, *, copies: int = 30, words: int = 12, seed: int = 0) -> Planted:
    """Random sentences, some of which stand again later with other case and spacing."""
    rng = np.random.default_rng(seed)
    texts = [sentence(rng, words) + f" {i}" for i in range(n - copies)]
    texts += [texts[i].title().replace(" ", "  ") for i in rng.choice(n - copies, copies, replace=False)]
    data = Dataset(pa.table({"text": texts}), {Role.TEXT: ["text"]})
    return Planted(data, np.arange(n - copies, n))
