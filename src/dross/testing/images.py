"""Small images with the defects that robust training is about: wrong, missing and rare labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.roles import Role

Pixels = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Exam:
    """A dataset to train on, and clean rows to judge by.

    Attributes
    ----------
    data
        Training rows; their labels as they are given.
    truth
        The true class of each training row, shape (n,).
    test
        Clean rows that are not trained on.
    """

    data: Dataset
    truth: Codes
    test: Dataset


@cache
def digit_pixels() -> tuple[Pixels, Codes]:
    """scikit-learn's 1,797 digits, 64 pixels in [0, 1] each, and their classes."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y.astype(np.int64)


def pixel_dataset(X: Pixels, labels: list[Any] | npt.NDArray[Any]) -> Dataset:
    """Rows of pixels with their labels; a label below 0 is missing.

    >>> data = pixel_dataset(np.zeros((2, 64), np.float32), [3, -1]); data.codes.tolist(), data.classes
    ([0, -1], [3])
    """
    given = np.asarray(labels, np.int64)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(X).ravel()), X.shape[1])
    label = pa.array(given, mask=given < 0)
    return Dataset(pa.table({"pixels": flat, "label": label}), {Role.EMBEDDING: ["pixels"], Role.LABEL: ["label"]})


def noisy(truth: Codes, k: int, rate: float, kind: str, rng: np.random.Generator, X: Pixels | None = None) -> Codes:
    """Labels of which a share is wrong.

    ``kind`` is ``symmetric`` (any other class), ``pairwise`` (the next class) or ``instance`` (rows that a linear model
    of half the data finds hardest get its second choice; needs ``X``).

    >>> y = np.zeros(100, np.int64)
    >>> int((noisy(y, 4, 0.4, "pairwise", np.random.default_rng(0)) == 1).sum())
    40
    """
    count = round(rate * len(truth))
    labels = truth.copy()
    if kind == "instance":
        from sklearn.linear_model import LogisticRegression

        assert X is not None, "instance-dependent noise needs the rows"
        chosen = rng.choice(len(truth), len(truth) // 2, replace=False)
        probs = LogisticRegression(max_iter=200, C=0.1).fit(X[chosen], truth[chosen]).predict_proba(X)
        own = probs[np.arange(len(truth)), truth]
        rows = np.argsort(own - 0.05 * rng.random(len(truth)), kind="stable")[:count]
        probs[np.arange(len(truth)), truth] = -1
        labels[rows] = probs[rows].argmax(axis=1)
        return labels
    rows = rng.choice(len(truth), count, replace=False)
    away = rng.integers(1, k, count) if kind == "symmetric" else 1
    labels[rows] = (truth[rows] + away) % k
    return labels


def digits_exam(
    seed: int,
    *,
    noise: float = 0.0,
    kind: str = "symmetric",
    per_class: int | None = None,
    train: int = 1000,
    shares: npt.NDArray[Any] | None = None,
) -> Exam:
    """Digits to train on and the rest to judge by.

    Parameters
    ----------
    seed
        Of the division, the noise and the rows that keep a label.
    noise, kind
        The share of wrong labels and how they go wrong; see :func:`noisy`.
    per_class
        How many rows of each class keep their label; None: all.
    train
        Training rows.
    shares
        The share of each class's training rows that is there at all, shape (10,): an imbalance.

    Examples
    --------
    >>> exam = digits_exam(0, noise=0.4); len(exam.data), len(exam.test), float((exam.data.codes != exam.truth).mean())
    (1000, 797, 0.4)
    """
    rng = np.random.default_rng(seed)
    X, y = digit_pixels()
    order = rng.permutation(len(X))
    rows, held = order[:train], order[train:]
    if shares is not None:
        kept = [rows[y[rows] == c][: max(1, round(shares[c] * (y[rows] == c).sum()))] for c in range(10)]
        rows = np.sort(np.concatenate(kept))
    truth = y[rows]
    labels = noisy(truth, 10, noise, kind, rng, X[rows]) if noise else truth.copy()
    if per_class is not None:
        keep = np.concatenate([rng.permutation(np.flatnonzero(truth == c))[:per_class] for c in range(10)])
        labels[np.setdiff1d(np.arange(len(rows)), keep)] = -1
    return Exam(pixel_dataset(X[rows], labels), truth, pixel_dataset(X[held], y[held]))
