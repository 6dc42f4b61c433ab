"""Pictures of two digits side by side, whose labels are the set of digits on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.testing.images import Codes, Pixels, digit_pixels

Sets = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Composites:
    """Pictures of two digits.

    Attributes
    ----------
    x
        Pixels in [0, 1], shape (n, 128).
    truth
        Which digits are on each, shape (n, 10), bool.
    """

    x: Pixels
    truth: Sets

    def __len__(self) -> int:
        return len(self.x)

    def dataset(self, given: Sets | None = None) -> Dataset:
        """Pictures with the given labels, or the true ones."""
        return sets_dataset(self.x, self.truth if given is None else given)


def sets_dataset(X: Pixels, sets: Sets) -> Dataset:
    """Vectors with the label sets of the rows of a matrix (n, k).

    >>> sets_dataset(np.zeros((1, 2), np.float32), np.array([[False, True]])).table.column("digits").to_pylist()
    [[1]]
    """
    flat = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(X, np.float32).ravel()), X.shape[1])
    lists = pa.array([np.flatnonzero(row).tolist() for row in sets], pa.list_(pa.int64()))
    return Dataset(pa.table({"pixels": flat, "digits": lists}), {Role.EMBEDDING: ["pixels"], Role.LABELS: ["digits"]})


def composites(
    rows: Codes, count: int, rng: np.random.Generator, chances: npt.NDArray[Any] | None = None
) -> Composites:
    """Pictures of two digits each from some rows of scikit-learn's digits.

    ``chances``, shape (10,), are those of the digits; equal where not given. Both may be the same digit.

    >>> made = composites(np.arange(500), 20, np.random.default_rng(0)); made.x.shape, int(made.truth.sum(axis=1).max())
    ((20, 128), 2)
    """
    X, y = digit_pixels()
    share = np.ones(10) if chances is None else np.asarray(chances, float)
    weights = share[y[rows]] / np.maximum(np.bincount(y[rows], minlength=10), 1)[y[rows]]
    left, right = rng.choice(rows, (2, count), p=weights / weights.sum())
    truth = np.zeros((count, 10), bool)
    truth[np.arange(count), y[left]] = truth[np.arange(count), y[right]] = True
    x = np.concatenate([X[left].reshape(-1, 8, 8), X[right].reshape(-1, 8, 8)], axis=2)
    return Composites(x.reshape(count, 128), truth)


def average_precisions(probs: npt.NDArray[Any], truth: Sets) -> npt.NDArray[np.float64]:
    """The average precision of each label, shape (k,), in per cent; NaN for labels that no row has.

    >>> average_precisions(np.array([[0.9], [0.2]]), np.array([[True], [False]])).tolist()
    [100.0]
    """
    from sklearn.metrics import average_precision_score

    found = [
        100 * float(average_precision_score(t, p)) if t.any() else np.nan for p, t in zip(probs.T, truth.T, strict=True)
    ]
    return np.array(found)
