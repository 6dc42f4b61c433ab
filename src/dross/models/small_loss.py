"""Small losses: rows that a network finds easy are probably labelled right; mixtures of Gaussians tell them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Groups = npt.NDArray[Any]
"""The group of each row, such as its class, shape (n,), integers."""

LOSS_FLOOR = 0.1
"""Least standard deviation of a component of :func:`loss_mixture`, in units of that of all losses."""
_STEPS = 10
_LLOYD = 20
_HALVINGS = 60


def standardised(values: npt.NDArray[Any]) -> Values:
    """Shifted and scaled to mean 0 and standard deviation 1; all 0 where the values are constant.

    >>> standardised(np.array([1.0, 3.0])).tolist(), standardised(np.array([2.0, 2.0])).tolist()
    ([-1.0, 1.0], [0.0, 0.0])
    """
    x = np.asarray(values, np.float64)
    away = x - x.mean()
    return np.asarray(away / max(float(away.std()), 1e-12))


# ---- several features, several groups ----------------------------------------------------------------------------


def mixture_step(features: Values, groups: Groups, k: int, clean: Values, floor: float) -> Values:
    """One EM step of a two-component Gaussian mixture for each of k groups: the new chance of being clean, (n,).

    ``features`` (n, f), standardised, are taken as independent within a component, which is no narrower
    than ``floor``; ``clean`` is the chance before.

    >>> x = np.array([[-1.0], [-0.9], [1.1], [1.0]])
    >>> mixture_step(x, np.zeros(4, np.int32), 1, np.array([0.9, 0.9, 0.1, 0.1]), 0.1).round(1).tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    size = np.bincount(groups, minlength=k)
    odds = np.zeros(len(features))
    for sign, share in ((1.0, clean), (-1.0, 1.0 - clean)):
        weight = np.maximum(np.bincount(groups, share, k), 1e-9)
        odds += sign * np.log(np.clip(weight / np.maximum(size, 1), 0.02, 0.98))[groups]
        for x in features.T:
            mean = np.bincount(groups, share * x, k) / weight
            away = np.square(x - mean[groups])
            variance = np.bincount(groups, share * away, k) / weight + floor**2
            odds -= sign * (0.5 * away / variance[groups] + 0.5 * np.log(variance)[groups])
    chance: Values = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
    return chance


def loss_mixture(losses: Values) -> Values:
    """The chance that each row is clean by one two-component mixture of all losses, whatever the class, shape (n,).

    Ten steps from the split at the mean: the start of an EM that goes on class by class with :func:`mixture_step`.

    >>> loss_mixture(np.array([0.1, 0.2, 0.1, 3.0])).round(1).tolist()
    [1.0, 1.0, 1.0, 0.0]
    """
    x = standardised(losses)[:, None]
    everyone = np.zeros(len(losses), np.int32)
    clean = (x[:, 0] < 0).astype(np.float64)
    for _ in range(_STEPS):
        clean = mixture_step(x, everyone, 1, clean, LOSS_FLOOR)
    return clean


# ---- one feature, one group --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwoGaussians:
    """A mixture of two Gaussians on the line, the lower one first; each field has the shape (2,).

    Attributes
    ----------
    weights
        The share of each, adding up to 1.
    means, variances
        Of each; ``means`` ascend.
    """

    weights: Values
    means: Values
    variances: Values

    def log_odds(self, values: npt.NDArray[Any]) -> Values:
        """The logarithm of the weighted density of the lower component over that of the upper, shape (n,)."""
        x = np.asarray(values, np.float64)[:, None]
        density = np.log(self.weights) - 0.5 * np.log(self.variances) - 0.5 * (x - self.means) ** 2 / self.variances
        return np.asarray(density[:, 0] - density[:, 1])

    def lower(self, values: npt.NDArray[Any]) -> Values:
        """The chance that each value belongs to the lower component, shape (n,); it falls as the value rises.

        Outside the two means the log-odds go on in a straight line: far out it is the wider component that is likelier
        on both sides, and a loss does not become suspicious by being very small.

        >>> two = TwoGaussians(np.array([0.5, 0.5]), np.array([0.0, 4.0]), np.array([1.0, 9.0]))
        >>> two.lower(np.array([-9.0, 0.0, 4.0])).round(2).tolist(), float(two.log_odds(np.array([-9.0]))[0]) < 0
        ([1.0, 0.88, 0.0], True)
        """
        apart = float(self.means[1] - self.means[0])
        if apart == 0:
            return np.ones(len(values))
        x = np.asarray(values, np.float64)
        within = np.clip(x, *self.means)
        slope = apart / np.where(x < within, self.variances[1], self.variances[0])
        odds = self.log_odds(within) - slope * (x - within)
        chance: Values = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
        return chance

    @property
    def crossing(self) -> float:
        """Where between the means the two weighted densities are equal; the nearer mean where they nowhere are.

        >>> TwoGaussians(np.array([0.5, 0.5]), np.array([0.0, 4.0]), np.array([1.0, 1.0])).crossing
        2.0
        """
        low, high = (float(mean) for mean in self.means)
        if self.log_odds(self.means[:1])[0] <= 0:
            return low
        if self.log_odds(self.means[1:])[0] >= 0:
            return high
        for _ in range(_HALVINGS):  # the odds fall all the way from one mean to the other
            middle = (low + high) / 2
            low, high = (middle, high) if self.log_odds(np.array([middle]))[0] > 0 else (low, middle)
        return (low + high) / 2


def two_gaussians(
    values: npt.NDArray[Any], *, floor: float = 5e-4, steps: int = 100, tol: float = 1e-3
) -> TwoGaussians:
    """The mixture of two Gaussians of the values, shape (n,), by expectation and maximisation.

    Starts from the two heaps (2-means from the smallest and the largest value), so that the answer depends on the
    values alone. Stops after ``steps``, or when the mean log-likelihood gains less than ``tol``; ``floor`` is added to
    each variance. The same as scikit-learn's GaussianMixture, whose names are ``reg_covar`` and ``max_iter``. O(n).

    >>> two = two_gaussians(np.array([0.0, 0.1, 0.2, 2.9, 3.0, 3.1]))
    >>> two.weights.round(2).tolist(), two.means.round(2).tolist()
    ([0.5, 0.5], [0.1, 3.0])
    """
    x = np.asarray(values, np.float64)
    if not len(x) or x.min() == x.max():
        middle = float(x[0]) if len(x) else 0.0
        return TwoGaussians(np.array([0.5, 0.5]), np.array([middle, middle]), np.array([floor, floor]))
    shares, before = _heaps(x), -np.inf
    found = _maximised(x, shares, floor)
    for _ in range(steps):
        spread = np.log(found.weights) - 0.5 * np.log(2 * np.pi * found.variances)
        logs = spread - 0.5 * (x[:, None] - found.means) ** 2 / found.variances
        top = logs.max(axis=1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(logs - top).sum(axis=1))
        shares, now = np.exp(logs - total[:, None]), float(total.mean())
        found = _maximised(x, shares, floor)
        if abs(now - before) < tol:
            break
        before = now
    order = np.argsort(found.means, kind="stable")
    return TwoGaussians(found.weights[order], found.means[order], found.variances[order])


def _heaps(x: Values) -> Values:
    """Which of two heaps each value belongs to, shape (n, 2), ones and zeros."""
    low, high = float(x.min()), float(x.max())
    for _ in range(_LLOYD):
        upper = x > (low + high) / 2
        moved = float(x[~upper].mean()), float(x[upper].mean())
        if moved == (low, high):
            break
        low, high = moved
    return np.stack([~upper, upper], axis=1).astype(np.float64)


def _maximised(x: Values, shares: Values, floor: float) -> TwoGaussians:
    """The parameters that fit best when each value belongs to the components by these shares, shape (n, 2)."""
    weight = shares.sum(axis=0) + 10 * np.finfo(np.float64).eps
    means = shares.T @ x / weight
    variances = (shares * (x[:, None] - means) ** 2).sum(axis=0) / weight + floor
    return TwoGaussians(weight / weight.sum(), means, variances)


def small_loss_chance(losses: npt.NDArray[Any]) -> Values:
    """The chance that each row belongs to the rows of small loss, shape (n,); NaN where the loss is.

    Two Gaussians on the losses, which are first brought to the interval from 0 to 1, as in DivideMix (Li, Socher, Hoi,
    2020). Where all losses are equal none is doubted: all ones.

    >>> small_loss_chance(np.array([0.1, 0.2, 0.1, 3.0, np.nan])).round(2).tolist()
    [1.0, 1.0, 1.0, 0.0, nan]
    """
    known = np.isfinite(losses)
    x = np.asarray(losses, np.float64)[known]
    chance = np.full(len(losses), np.nan)
    if len(x):
        scaled = (x - x.min()) / max(float(np.ptp(x)), 1e-12)
        chance[known] = two_gaussians(scaled).lower(scaled)
    return chance
