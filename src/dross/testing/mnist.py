"""Digits of 28 x 28 pixels, on which self-supervision is shown: MNIST where it stands beside the checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from dross.testing.images import Codes, Exam, Pixels, digit_pixels, pixel_dataset

FILE = Path(__file__).resolve().parents[4] / "shared" / "data" / "mnist_label_errors" / "mnist_test.npz"
"""The 10,000 test images of MNIST with their given labels, as the tests find them."""


@cache
def mnist_pixels() -> tuple[Pixels, Codes]:
    """Pixels in [0, 1], shape (n, 784), and classes; scikit-learn's digits, (n, 64), where MNIST is not there."""
    if not FILE.is_file():
        return digit_pixels()
    with np.load(FILE) as stored:
        images, labels = stored["images"], stored["given_label"]
    return (images.reshape(len(images), -1) / 255).astype(np.float32), labels.astype(np.int64)


def mnist_exam(seed: int, *, train: int = 1000, test: int = 2000, per_class: int | None = None) -> Exam:
    """Images to train on and others to judge by, drawn at random; ``per_class`` of the former keep their label.

    >>> exam = mnist_exam(0, train=200, test=100, per_class=2); len(exam.test), int((exam.data.codes >= 0).sum())
    (100, 20)
    """
    rng = np.random.default_rng(seed)
    X, y = mnist_pixels()
    order = rng.permutation(len(X))
    rows, held = order[:train], order[train : train + test]
    truth = y[rows]
    labels = truth.copy()
    if per_class is not None:
        keep = np.concatenate([rng.permutation(np.flatnonzero(truth == c))[:per_class] for c in range(10)])
        labels[np.setdiff1d(np.arange(len(rows)), keep)] = -1
    return Exam(pixel_dataset(X[rows], labels), truth, pixel_dataset(X[held], y[held]))


def told(note: str = "") -> str:
    """The note with the name of the images that were used."""
    name = "MNIST" if FILE.is_file() else "scikit-learn's 8 x 8 digits, as MNIST is not beside this checkout"
    return f"images: {name}. {note}".strip()
