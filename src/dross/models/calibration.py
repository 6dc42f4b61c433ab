"""Calibration of scores: what makes their softmax (or logistic) function a probability that keeps its promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.models.learner import Codes, Scores

MOST_CELLS = 1 << 21
LEAST_PER_CLASS = 20
"""Rows per class from which each class gets a bias of its own."""
FLOOR = 1e-6
"""Added to every probability: no class is impossible, whatever the model says."""
PRIOR = 1.0
"""Rows that a calibration is worth before any was seen: it keeps few and separable rows from certainty."""


@dataclass(frozen=True)
class Calibration:
    """How scores become probabilities: ``softmax(slope * score + shift)``, or the logistic function of the same.

    ``slope`` is one over the temperature (a number, or one per label), ``shift`` one per class.
    """

    slope: npt.NDArray[np.float32]
    shift: npt.NDArray[np.float32]

    def classes(self, scores: Scores) -> Scores:
        """Probabilities of classes, shape (n, k), rows summing to one.

        >>> one = Calibration(np.ones(1, np.float32), np.zeros(2, np.float32))
        >>> one.classes(np.log(np.array([[1.0, 3.0]], np.float32))).round(2).tolist()
        [[0.25, 0.75]]
        """
        out = np.empty(scores.shape, np.float32)
        step = max(1, MOST_CELLS // max(1, scores.shape[1]))
        for start in range(0, len(scores), step):
            z = scores[start : start + step] * self.slope + self.shift
            z -= z.max(axis=1, keepdims=True)
            np.exp(z, out=z)
            z /= z.sum(axis=1, keepdims=True)
            z += np.float32(FLOOR)
            out[start : start + step] = z / z.sum(axis=1, keepdims=True)
        return out

    def labels(self, scores: Scores) -> Scores:
        """Probabilities of each label by itself, shape (n, k).

        >>> one = Calibration(np.ones(1, np.float32), np.zeros(1, np.float32))
        >>> one.labels(np.zeros((1, 1), np.float32)).tolist()
        [[0.5]]
        """
        from scipy.special import expit

        probs: Scores = np.clip(expit(scores * self.slope + self.shift), FLOOR, 1 - FLOOR)
        return probs


def judging_rows(rows: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """Every so manieth of the rows, so that at most about two million scores are looked at.

    >>> len(judging_rows(np.arange(100_000), 100))
    25000
    """
    return rows[:: max(1, len(rows) * k // MOST_CELLS)]


def calibrate_classes(scores: Scores, codes: Codes) -> Calibration:
    """Temperature scaling with a bias per class, fitted by the log-likelihood of the given classes.

    Guo et al., "On Calibration of Modern Neural Networks", 2017; the bias as in Alexandari, Kundaje, Shrikumar,
    "Maximum Likelihood with Bias-Corrected Calibration", 2020. ``codes`` are in 0 … k - 1, shape (n,). With few rows
    the answer stays near the uninformative one, and there is no bias where there are fewer than 20 rows per class.

    >>> scores = np.array([[9.0, 0.0], [0.0, 9.0], [9.0, 0.0], [0.0, 9.0]], np.float32)
    >>> calibrate_classes(scores, np.array([0, 1, 1, 0])).classes(scores).round(2).tolist()
    [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
    """
    from scipy.optimize import minimize

    n, k = scores.shape
    S, y, m = scores.astype(np.float64), codes, n
    if m == 0 or k < 2:
        return Calibration(np.ones(1, np.float32), np.zeros(k, np.float32))
    unit = max(float((S - S.mean(axis=1, keepdims=True)).std()), 1e-12)
    S /= unit
    given = S[np.arange(m), y].sum()
    counts = np.bincount(y, minlength=k)
    average = S.mean(axis=1).sum()

    def loss(at: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        slope, shift = np.exp(at[0]), at[1:]
        z = slope * S + shift
        top = z.max(axis=1, keepdims=True)
        p = np.exp(z - top)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        pull = PRIOR / m  # each row counts, with this weight, as if every class had been given in equal parts
        value = (1 + pull) * (np.log(total) + top).sum() - slope * (given + pull * average)
        value -= shift @ (counts + pull * m / k)
        by_slope = slope * ((1 + pull) * (p * S).sum() - given - pull * average)
        by_shift = (1 + pull) * p.sum(axis=0) - counts - pull * m / k
        return (value + 0.5 * PRIOR * shift @ shift) / m, np.append(by_slope, by_shift + PRIOR * shift) / m

    reach = 20.0 if m >= LEAST_PER_CLASS * k else 0.0
    bounds = [(-12.0, 8.0), *[(-reach, reach)] * k]
    found = minimize(loss, np.zeros(k + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    slope = np.array([np.exp(found.x[0]) / unit], np.float32)
    return Calibration(slope, (found.x[1:] - found.x[1:].mean()).astype(np.float32))


def calibrate_labels(scores: Scores, given: Any) -> Calibration:
    """Platt scaling of each label by itself: ``given`` (n, k) bool or sparse.

    Platt, "Probabilistic Outputs for Support Vector Machines", 1999, with its targets that stay off 0 and 1; Newton's
    method for all labels at once, as in Lin, Lin, Weng, "A Note on Platt's Probabilistic Outputs", 2007.

    >>> scores = np.array([[-1.0], [1.0], [2.0], [-2.0]], np.float32)
    >>> found = calibrate_labels(scores, scores > 0); bool(found.slope[0] > 0)
    True
    """
    from scipy.special import expit

    k = scores.shape[1]
    S = scores.astype(np.float64)
    T = np.asarray(given.todense() if hasattr(given, "todense") else given, np.float64)
    if not len(S):
        return Calibration(np.ones(k, np.float32), np.zeros(k, np.float32))
    unit, centre = np.maximum(S.std(axis=0), 1e-12), S.mean(axis=0)
    S = (S - centre) / unit
    positive = T.sum(axis=0)
    high, low = (positive + 1) / (positive + 2), 1 / (len(S) - positive + 2)
    T = T * (high - low) + low
    share = T.mean(axis=0)
    slope, shift = np.zeros(k), np.log(share / (1 - share))
    for _ in range(30):
        p = expit(slope * S + shift)
        w, r = np.maximum(p * (1 - p), 1e-9), p - T
        a, b, c = (w * S * S).sum(axis=0) + 1e-3, (w * S).sum(axis=0), w.sum(axis=0) + 1e-6
        g, h = (r * S).sum(axis=0) + 1e-3 * slope, r.sum(axis=0)
        even = np.maximum(a * c - b * b, 1e-12)
        move = np.stack([(c * g - b * h) / even, (a * h - b * g) / even])
        move /= np.maximum(1, np.abs(move).max(axis=0) / 2)  # a step of two at most: Newton's may overshoot
        slope, shift = slope - move[0], shift - move[1]
        if np.abs(move).max() < 1e-6:
            break
    slope = slope / unit
    return Calibration(slope.astype(np.float32), (shift - slope * centre).astype(np.float32))


def log_loss(probs: Scores, codes: Codes) -> float:
    """The mean negative logarithm of the probability of the given class.

    >>> round(log_loss(np.array([[0.5, 0.5]], np.float32), np.array([1])), 3)
    0.693
    """
    return float(-np.log(np.maximum(probs[np.arange(len(codes)), codes], 1e-12)).mean()) if len(codes) else 0.0
