"""What every search for wrong labels starts from: given labels, the model's probabilities, the neighbours' votes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Codes, Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.probabilities import Probabilities

Probs = npt.NDArray[Any]


def labels_and_probs(data: Dataset, signals: Signals) -> tuple[Codes, Probs] | NotApplicable:
    """The given labels, shape (n,), and the out-of-fold probabilities, shape (n, k), checked; or why there are none.

    >>> from dross.testing.planted import blobs
    >>> data = blobs(60).data
    >>> labels, probs = labels_and_probs(data, Signals(data))
    >>> labels.shape, probs.shape
    ((60,), (60, 4))
    """
    if len(data.classes) < 2:
        return NotApplicable("the labels have fewer than two classes")
    if not data.content and not data.has(Role.PROBS):
        return NotApplicable("no column holds content to learn the labels from: no text, image, feature or embedding")
    probs = signals[Probabilities()]
    if probs.shape[1] != len(data.classes):
        raise DrossError(
            f"there are probabilities for {probs.shape[1]} classes, but the labels have {len(data.classes)}",
            fix="give one column of probabilities for each class, in the sorted order of the classes",
        )
    return checked(data.codes, probs)


def checked(labels: npt.ArrayLike, probs: npt.ArrayLike) -> tuple[Codes, Probs]:
    """Labels and probabilities in the form that kernels compile for: contiguous, read-only, int32 and a float.

    Raises DrossError when the shapes do not match or a label is no class; -1 is a missing label.

    >>> labels, probs = checked([0, 1], [[1, 0], [0, 1]])
    >>> str(labels.dtype), str(probs.dtype)
    ('int32', 'float32')
    """
    P, given = np.asarray(probs), np.asarray(labels)
    if P.ndim != 2 or given.shape != P.shape[:1]:
        raise DrossError(
            f"labels of shape {given.shape} and probabilities of shape {P.shape} do not belong together",
            fix="give one label and one row of probabilities for each row: shapes (n,) and (n, k)",
        )
    if len(given) and given.dtype.kind not in "iu":
        raise DrossError(f"labels must be class numbers, not {given.dtype}", fix="encode them as 0 … k - 1")
    if len(given) and not (given.min() >= -1 and given.max() < P.shape[1]):
        raise DrossError(
            f"labels run from {given.min()} to {given.max()}, but there are probabilities for {P.shape[1]} classes",
            fix="number the classes 0 … k - 1 in the order of the probability columns; -1 is a missing label",
        )
    wide = P if P.dtype in (np.float32, np.float64) else P.astype(np.float32)
    return read_only(given.astype(np.int32, copy=False)), read_only(wide)


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view that cannot be written to, as memory-mapped arrays are, so that kernels compile once for both.

    >>> read_only(np.zeros(2)).flags.writeable
    False
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def likeliest_other(labels: Codes, probs: Probs) -> Codes:
    """The most probable class but the given one, shape (n,), int32; the most probable of all where the label is -1.

    >>> P = np.array([[0.7, 0.1, 0.2], [0.7, 0.3, 0.0], [0.2, 0.2, 0.6]])
    >>> likeliest_other(np.array([0, 1, -1], np.int32), P).tolist()
    [2, 0, 2]
    """
    other = np.empty(len(labels), np.int32)
    for rows in row_chunks(len(labels)):
        P = probs[rows].copy()
        known = np.flatnonzero(labels[rows] >= 0)
        P[known, labels[rows][known]] = -np.inf
        other[rows] = P.argmax(axis=1)
    return other


def kernel_weights(distances: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """How much each neighbour's vote counts, shape (n, j), from distances that ascend within a row; the nearest has 1.

    A Gaussian kernel whose bandwidth is the row's mean distance to its neighbours; 0 where the distance is infinite
    (there is no such neighbour).

    >>> kernel_weights(np.array([[1.0, 1.0, np.inf], [0.0, 0.0, 0.0]])).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """
    d = np.asarray(distances, np.float32)
    there = np.isfinite(d)
    d = np.where(there, d, np.float32(0))
    width = d.sum(axis=1, keepdims=True) / np.maximum(there.sum(axis=1, keepdims=True), 1)
    scaled = np.square(d / np.maximum(width, np.finfo(np.float32).tiny))
    weights: npt.NDArray[np.float32] = np.where(there, np.exp(-0.5 * (scaled - scaled[:, :1])), np.float32(0))
    return weights


def row_chunks(n: int, size: int = 4096) -> list[slice]:
    """Consecutive slices of the rows, small enough for their temporary arrays to stay in the cache.

    >>> row_chunks(5000)
    [slice(0, 4096, None), slice(4096, 5000, None)]
    """
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
