"""How far stated confidences are from what comes true."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def expected_calibration_error(probs: npt.NDArray[Any], codes: npt.NDArray[Any], bins: int = 10) -> float:
    """The mean gap between the confidence in the likeliest class and how often it is right, in [0, 1].

    Naeini, Cooper, Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015: rows are put in
    ``bins`` of equal width by their confidence, gaps weighed by the rows in a bin. ``probs`` (n, k), ``codes`` (n,).

    >>> P = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    >>> round(expected_calibration_error(P, np.array([0, 1, 0, 1])), 3)
    0.4
    """
    if not len(codes):
        return 0.0
    confidence = probs.max(axis=1)
    right = probs.argmax(axis=1) == codes
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gap = np.bincount(place, confidence, bins) - np.bincount(place, right, bins)
    return float(np.abs(gap).sum() / len(codes))
