"""One score from the several methods that look for the same defect, weighted by how they rank planted defects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

FOLDS = 2
MOST = 5_000
"""Real rows that the weights are fitted on."""
RANKS = 4096


@dataclass(frozen=True)
class Combined:
    """Scores of the planted defects, shape (m,), and of the real rows, shape (n,), in one unbounded scale.

    ``loudest`` is, for each real row, the method (a column) that pushes its score up most, shape (n,). ``logits``: the
    scale is that of log odds, shown as a number in [0, 1]; else it is the methods' own.
    """

    planted: Vector
    real: Vector
    loudest: npt.NDArray[np.int8]
    logits: bool = False

    @property
    def shown(self) -> npt.NDArray[np.float32]:
        """The real rows' scores as findings hold them: in [0, 1], 0.5 and more for a likely defect."""
        return self.show(self.real).astype(np.float32)

    def show(self, values: Vector) -> Vector:
        """Scores of this scale as numbers in [0, 1]."""
        from scipy.special import expit

        return np.asarray(expit(values) if self.logits else values, np.float64)


def loudest_of(planted: npt.NDArray[Any], real: npt.NDArray[Any]) -> Combined:
    """The highest score of any method: for methods that score only what they find."""
    wide = real.astype(np.float64)
    return Combined(planted.max(axis=1).astype(np.float64), wide.max(axis=1), wide.argmax(axis=1).astype(np.int8))


def one_score(
    planted: npt.NDArray[Any], real: npt.NDArray[Any], sources: npt.NDArray[np.int64], rng: np.random.Generator
) -> Combined:
    """The only method's score as it is, or the combination of several; shapes as for :func:`combine`."""
    if real.shape[1] == 1:
        return loudest_of(planted, real)
    return combine(planted, real, sources, rng)


def normal_scores(values: npt.NDArray[Any], reference: npt.NDArray[Any]) -> Vector:
    """The normal quantile of each value's rank among the reference values, shape (n,); ties share a rank.

    Any increasing transformation of a method's score gives the same answer. O((n + r) log r).

    >>> normal_scores(np.array([1.0, 2.0, 5.0]), np.array([1.0, 2.0, 3.0])).round(2).tolist()
    [-0.67, 0.0, 1.15]
    """
    from scipy.special import ndtri

    ordered = np.sort(reference)
    n = len(ordered)
    if n > 4 * RANKS:  # the curve of ranks, exact at the upper end where defects are
        at = np.unique(np.concatenate([np.linspace(0, n - 1, RANKS).astype(np.int64), np.arange(n - RANKS, n)]))
        knots = np.unique(ordered[at])
        below, upto = np.searchsorted(ordered, knots, "left"), np.searchsorted(ordered, knots, "right")
        rank = np.interp(values, knots, (below + upto) / 2)
        rank = np.where(values > knots[-1], n, rank)
    else:
        rank = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2
    scores: Vector = ndtri((rank + 0.5) / (n + 1))
    return scores


def combine(
    planted: npt.NDArray[Any],
    real: npt.NDArray[Any],
    sources: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> Combined:
    """Weigh the methods by a logistic regression that tells planted defects from real rows.

    Weights are at least 0, so a row that every method finds worse is never better off. Planted defects and real rows
    are both scored by weights fitted without them; a planted defect and the row it was made from share a fold.

    Parameters
    ----------
    planted, real
        Scores by method, shapes (m, j) and (n, j).
    sources
        The real row each planted defect was made from, shape (m,).
    rng
        For the folds.
    """
    n, j = real.shape
    z_real: Matrix = np.column_stack([normal_scores(real[:, c], real[:, c]) for c in range(j)])
    z_planted = np.column_stack([normal_scores(planted[:, c], real[:, c]) for c in range(j)])
    scale = np.maximum(z_real.std(axis=0), 1e-9)
    z_real, z_planted = z_real / scale, z_planted / scale
    folds = rng.integers(0, FOLDS, size=(n,))
    of_planted = folds[sources]
    t_real, t_planted = np.empty(n), np.empty(len(planted))
    total = np.full(j, 1e-9)
    for fold in range(FOLDS):
        rest = np.flatnonzero(folds != fold)
        if len(rest) > MOST:
            rest = rng.choice(rest, MOST, replace=False)
        weights, offset = fit_logistic(z_planted[of_planted != fold], z_real[rest])
        t_real[folds == fold] = z_real[folds == fold] @ weights + offset
        t_planted[of_planted == fold] = z_planted[of_planted == fold] @ weights + offset
        total += weights / FOLDS
    pushes: Matrix = z_real * total
    loudest = pushes.argmax(axis=1).astype(np.int8)
    return Combined(t_planted, t_real, loudest, logits=True)


def fit_logistic(positive: Matrix, negative: Matrix, *, ridge: float = 1.0) -> tuple[Vector, float]:
    """Non-negative weights and the offset of a logistic regression, both samples weighing one half.

    ``ridge`` is the strength of the penalty on the weights, in numbers of positive rows.

    >>> w, b = fit_logistic(np.array([[2.0], [3.0]]), np.array([[0.0], [1.0]])); bool(w[0] > 0)
    True
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    X = np.concatenate([positive, negative])
    y = np.concatenate([np.ones(len(positive)), np.zeros(len(negative))])
    share = np.where(y > 0, 0.5 / max(1, len(positive)), 0.5 / max(1, len(negative)))
    d = X.shape[1]
    penalty = ridge / max(1, len(positive))

    def loss(b: Vector) -> tuple[float, Vector]:
        t = X @ b[:d] + b[d]
        slope = share * (expit(t) - y)
        value = share @ (np.logaddexp(0, t) - y * t) + 0.5 * penalty * (b[:d] @ b[:d])
        return float(value), np.concatenate([X.T @ slope + penalty * b[:d], [slope.sum()]])

    bounds = [(0.0, None)] * d + [(None, None)]
    found = minimize(loss, np.zeros(d + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x[:d]), float(found.x[d])
