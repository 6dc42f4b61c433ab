"""Linear separation alternation: foreign rows are found, and alternating beats either detector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dross.claims import Budget, Evidence, claim
from dross.claims._training import finished, mean, over_seeds
from dross.claims.detect.class_prototypes import auc
from dross.testing.images import Exam, digit_pixels, pixel_dataset
from dross.train.cross_entropy import CrossEntropy
from dross.train.linear_separation_alternation import LinearSeparationAlternation

EPOCHS = 30
ROWS = 1000
_STEP = 4


@claim(
    method="linear-separation-alternation",
    paper="An accurate detection is not all you need to combat label noise in web-noisy datasets",
    says="a plane in contrastive features finds foreign rows; alternating with small losses beats either detector",
    fast=False,
)
def alternating_detectors_beat_either(budget: Budget) -> Evidence:
    """600 digits, 200 with another class drawn at random, and 200 pieces of photographs with a random class.

    The three trainings differ in the detector alone. Cross-entropy stands beside them, for as many epochs and for
    twice as many.
    """

    def one(seed: int) -> dict[str, float]:
        exam = web_exam(seed)
        _, short = finished(CrossEntropy(epochs=EPOCHS, seed=seed), exam)
        _, long = finished(CrossEntropy(epochs=2 * EPOCHS, seed=seed), exam)
        run, both = finished(LinearSeparationAlternation(epochs=EPOCHS, seed=seed), exam)
        _, linear = finished(LinearSeparationAlternation(detector="linear", epochs=EPOCHS, seed=seed), exam)
        _, small = finished(LinearSeparationAlternation(detector="small-loss", epochs=EPOCHS, seed=seed), exam)
        return {
            "AUROC of foreign rows": auc(exam.truth < 0, run.state["odds"].cpu().numpy()),
            "accuracy of cross-entropy": short,
            "accuracy of cross-entropy, twice the epochs": long,
            "accuracy, alternating": both,
            "points over linear separation alone": both - linear,
            "points over small losses alone": both - small,
            "points over cross-entropy": both - short,
        }

    measured = over_seeds(budget, one)
    holds = (
        mean(measured["AUROC of foreign rows"]) >= 0.9
        and mean(measured["points over linear separation alone"]) > 0
        and mean(measured["points over small losses alone"]) > 0
    )
    return Evidence(measured, holds, over=budget.seeds)


def web_exam(seed: int) -> Exam:
    """Digits of which a fifth bears another class and another fifth is foreign; their true class is -1.

    >>> exam = web_exam(0); len(exam.data), int((exam.truth < 0).sum())
    (1000, 200)
    """
    rng = np.random.default_rng(seed)
    X, y = digit_pixels()
    order, foreign = rng.permutation(len(X)), ROWS // 5
    rows, held = order[: ROWS - foreign], order[ROWS - foreign :]
    labels = y[rows].copy()
    flipped = rng.choice(len(rows), ROWS // 5, replace=False)
    labels[flipped] = (labels[flipped] + rng.integers(1, 10, len(flipped))) % 10
    pixels = np.concatenate([X[rows], photographed(foreign, rng)])
    given = np.concatenate([labels, rng.integers(0, 10, foreign)])
    truth = np.concatenate([y[rows], np.full(foreign, -1)])
    return Exam(pixel_dataset(pixels, given), truth, pixel_dataset(X[held], y[held]))


def photographed(count: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Pieces of scikit-learn's two photographs, 8 x 8 grey pixels each, stretched to [0, 1], shape (count, 64)."""
    from sklearn.datasets import load_sample_images

    photos = [image.mean(axis=2) for image in load_sample_images().images]
    side = 8 * _STEP
    out = np.empty((count, 8, 8), np.float32)
    for i in range(count):
        photo = photos[i % len(photos)]
        top, left = (rng.integers(length - side) for length in photo.shape)
        piece = photo[top : top + side : _STEP, left : left + side : _STEP]
        out[i] = (piece - piece.min()) / max(float(np.ptp(piece)), 1e-6)
    return out.reshape(count, 64)
