"""The posterior mode of what decisions teach: a logistic regression with normal priors, of numbers and of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Prior:
    """Standard deviations, in log odds, of what decisions may teach.

    Chosen on labels made wrong by rules and by planting (:mod:`benchmarks.reviewer`): of settings that find about as
    many defects, the most cautious one.

    Attributes
    ----------
    offset
        Of the offset ``a``: how far off the audit's chances are at the top of the queue.
    slope
        Of the corrections ``b`` of the audit's two slopes.
    method
        Of the weight of each method, for one standard deviation of its score.
    label
        Of the effect of each given and of each suggested label.
    pair
        Of the effect of each pair of them, beside their own.
    direction
        Of the weight of the first principal direction, for one standard deviation; later ones in proportion to theirs.
    expected, combined
        The weights that the log odds of the expected precision and of the combined score start from.
    """

    offset: float = 3.0
    slope: float = 0.3
    method: float = 0.1
    label: float = 0.2
    pair: float = 0.2
    direction: float = 0.05
    expected: float = 0.5
    combined: float = 1.2


@dataclass(frozen=True)
class Effect:
    """An unknown for each label that occurs among the decided rows.

    Attributes
    ----------
    codes
        The label of each of the n findings, shape (n,); -1 where there is none.
    table
        The unknown that each label stands for, shape (largest code + 2,); ``levels`` for labels nothing is known of,
        and for -1.
    at
        The unknown of each decided row, shape (m,).
    levels
        The number of unknowns.
    deviation
        The standard deviation of their prior.
    """

    codes: Codes
    table: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]
    levels: int
    deviation: float

    @classmethod
    def of(cls, codes: Codes, rows: Rows, deviation: float) -> Effect:
        """The effect of these labels, taught by the decided rows."""
        own = codes[rows]
        seen = np.unique(own[own >= 0])
        table = np.full(int(codes.max(initial=-1)) + 2, len(seen))
        table[seen] = np.arange(len(seen))
        return cls(codes, table, table[own], len(seen), deviation)

    def everywhere(self, weights: Vector) -> Floats:
        """What the effect adds to each finding's log odds, shape (n,)."""
        values: Floats = np.append(weights, 0.0).astype(np.float32)[self.table][self.codes]
        return values


def posterior_mode(
    start: Vector,
    prior: Prior,
    dense: npt.NDArray[Any],
    deviations: Vector,
    effects: Sequence[Effect],
    truth: Vector,
) -> tuple[float, Vector, float]:
    """The unknowns that are likeliest after the decisions: the offset, the weights, and the mean of what they add.

    What the weights add is taken less its mean over the decided rows, so that the offset alone answers for their level.

    Parameters
    ----------
    start
        Log odds before, shape (m,).
    prior
        The deviation of the offset, and the slopes that are in ``start``.
    dense
        Shape (m, q); the first two columns are the corrections of the slopes, which never let a slope fall below 0.
    deviations
        Prior standard deviations of the columns' weights, shape (q,).
    effects
        One further weight for each label.
    truth
        Whether the row is a defect, shape (m,), 0 or 1.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    # unknowns in units of their deviations: the penalty is a plain sum of squares
    scaled = dense * deviations
    q = scaled.shape[1]
    ends = np.cumsum([q, *(effect.levels for effect in effects)])
    total = int(ends[-1])

    def added(v: Vector) -> Vector:
        t = scaled @ v[:q]
        for effect, first in zip(effects, ends, strict=False):
            t += effect.deviation * np.append(v[first : first + effect.levels], 0.0)[effect.at]
        return np.asarray(t)

    def loss(v: Vector) -> tuple[float, Vector]:
        own = added(v)
        t = start + prior.offset * v[total] + own - own.mean()
        value = np.logaddexp(0, t).sum() - truth @ t + 0.5 * (v @ v)
        residual = expit(t) - truth
        centred = residual - residual.mean()
        slope = [e.deviation * np.bincount(e.at, centred, e.levels + 1)[: e.levels] for e in effects]
        return float(value), np.concatenate([scaled.T @ centred, *slope, [prior.offset * residual.sum()]]) + v

    free: list[tuple[float | None, None]] = [(None, None)] * (total + 1)
    free[:2] = [(-prior.expected / deviations[0], None), (-prior.combined / deviations[1], None)]
    found = minimize(
        loss, np.zeros(total + 1), jac=True, method="L-BFGS-B", bounds=free, options={"maxiter": 500, "gtol": 1e-6}
    )
    units = np.concatenate([deviations, *(np.full(effect.levels, effect.deviation) for effect in effects)])
    mode: Vector = found.x[:total] * units
    return float(prior.offset * found.x[total]), mode, float(added(found.x).mean())
