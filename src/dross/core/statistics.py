"""The few statistics that several methods share: intervals of shares, multiple tests, robust scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

OUTLYING = 3.5
"""The modified z-score from which a value counts as outlying (Iglewicz and Hoaglin, 1993)."""


def wilson(hits: npt.ArrayLike, counts: npt.ArrayLike, level: float = 0.95) -> tuple[Vector, Vector]:
    """The interval of a share, ``hits`` of ``counts``, each shape (m,): (low, high). Wilson, 1927.

    A count of 0 gives (0, 1): nothing is known.

    >>> low, high = wilson([8, 0], [10, 0]); low.round(2).tolist(), high.round(2).tolist()
    ([0.49, 0.0], [0.94, 1.0])
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + level) / 2))
    n = np.maximum(np.asarray(counts, np.float64), 1e-300)
    p = np.asarray(hits, np.float64) / n
    # divided through by (1 + z²/n) n, so that n = 0 has its limit and not a division by zero
    middle, scale = (n * p + z * z / 2) / (n + z * z), z / (n + z * z)
    half = scale * np.sqrt(n * p * (1 - p) + z * z / 4)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def interval(values: Any, level: float = 0.95) -> tuple[float, float, float]:
    """Mean and Student-t confidence interval of repeated measurements: ``(mean, low, high)``.

    >>> [round(v, 2) for v in interval([1.0, 2.0, 3.0])]
    [2.0, -0.48, 4.48]
    """
    from scipy import stats

    x = np.asarray(values, float)
    mean = float(x.mean())
    if len(x) < 2:
        return mean, float("nan"), float("nan")
    half = float(stats.t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return mean, mean - half, mean + half


def holm(p: npt.ArrayLike) -> Vector:
    """p-values adjusted for being the smallest of many, shape (m,) (Holm, 1979).

    >>> holm([0.01, 0.04, 0.5]).round(3).tolist()
    [0.03, 0.08, 0.5]
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    steps = np.arange(len(values), 0, -1) * values[order]
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def robust_z(values: npt.NDArray[Any], reference: npt.NDArray[Any] | None = None) -> Vector:
    """How many robust standard deviations each value lies above the median of the reference, shape (n,).

    The modified z-score of Iglewicz and Hoaglin (1993): the scale is the median absolute deviation, or the mean one
    where more than half of the reference is one value; 0 everywhere where the reference is constant.

    >>> robust_z(np.array([1.0, 2.0, 3.0, 4.0, 100.0])).round(2).tolist()
    [-1.35, -0.67, 0.0, 0.67, 65.43]
    """
    known = np.asarray(values if reference is None else reference, np.float64)
    if not len(known):
        return np.zeros(len(values))
    centre = np.median(known)
    away = np.abs(known - centre)
    scale = 1.4826 * np.median(away) or 1.2533 * away.mean()
    # a scale below the rounding of the values is noise: treat the reference as constant
    if scale <= 1e-7 * np.abs(known).max():
        return np.zeros(len(values))
    z: Vector = (np.asarray(values, np.float64) - centre) / scale
    return z


def outlier_score(z: Vector, cut: float = OUTLYING) -> npt.NDArray[np.float32]:
    """Map z-scores to (0, 1) in order, shape (n,), float32: 0.5 at ``cut``, 0.75 one deviation above it.

    >>> outlier_score(np.array([2.5, 3.5, 4.5])).tolist()
    [0.25, 0.5, 0.75]
    """
    beyond = z - cut
    score: npt.NDArray[np.float32] = (0.5 + 0.5 * beyond / (1 + np.abs(beyond))).astype(np.float32)
    return score
