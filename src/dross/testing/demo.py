"""The demonstration's data: real handwritten digits in which defects of known kinds are planted."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Demo:
    """A table with the columns ``image`` (PNG bytes) and ``label``, and the rows that carry each planted defect."""

    table: pa.Table
    planted: dict[str, npt.NDArray[np.int64]]


CONFUSED = {4: 9, 8: 3, 1: 7, 5: 6}
"""Digits that the demonstration's careless annotator writes down as another."""


def digits_with_defects(
    *, confused: float = 0.35, flipped: float = 0.03, copies: int = 40, noise: int = 25, seed: int = 0
) -> Demo:
    """scikit-learn's 1,797 scanned digits with wrong labels, copies and pictures of nothing.

    A share ``confused`` of four digits carries the label of the digit they are confused with, and a share ``flipped``
    of all rows any other label.

    >>> demo = digits_with_defects(copies=2, noise=1)
    >>> demo.table.num_rows, len(demo.planted["duplicate"])
    (1800, 2)
    """
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(seed)
    X, y = load_digits(return_X_y=True)
    pixels = np.rint(X.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
    y = y.astype(np.int64)
    twins = rng.choice(len(y), copies, replace=False)
    pixels = np.concatenate([pixels, pixels[twins], rng.integers(0, 256, (noise, 8, 8)).astype(np.uint8)])
    labels = np.concatenate([y, y[twins], rng.integers(0, 10, noise)])
    true = labels[: len(y)].copy()
    for digit, other in CONFUSED.items():
        own = np.flatnonzero(true == digit)
        labels[rng.choice(own, round(confused * len(own)), replace=False)] = other
    rows = rng.choice(len(y), round(flipped * len(y)), replace=False)
    labels[rows] = (true[rows] + rng.integers(1, 10, len(rows))) % 10
    rows = np.flatnonzero(labels[: len(y)] != true)
    order = rng.permutation(len(labels))
    place = np.argsort(order)
    table = pa.table({"image": pa.array([png(p) for p in pixels[order]], pa.binary()), "label": labels[order]})
    n = len(y)
    planted = {
        "label": np.sort(place[rows]),
        "duplicate": np.sort(place[n : n + copies]),
        "outlier": np.sort(place[n + copies :]),
    }
    return Demo(table, planted)


def png(pixels: Pixels) -> bytes:
    """Encode a grey picture, shape (h, w), uint8."""
    image: Any = _pillow().fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _pillow() -> Any:
    from dross.core.errors import MissingExtra

    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra.of("PIL", "images") from error
    return Image
