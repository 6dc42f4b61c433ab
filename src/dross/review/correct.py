"""Correcting the calibration: what to expect of the findings after a random sample was checked by hand.

The audit's chances come from defects that it planted, and planted defects are not the real ones. With the chance ``p``
that it gave to a finding, the corrected one has the log odds

    a + b · log(p / (1 - p))

(Platt, "Probabilistic Outputs for Support Vector Machines", 1999, with the audit's chance as the score). Before
anything is checked ``a`` is 0 and ``b`` is 1, with normal priors around these; the answers of a random sample, drawn
within strata that depend on the score alone, move them to their posterior mode. A correction keeps the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.calibrate.assessment import Estimate

Floats = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]

OFFSET, SLOPE = 2.0, 0.5
"""Standard deviations, before anything is checked, of how far off the audit's log odds are, and of their slope."""
FLATTEST = 0.05
"""The least slope: the order never turns round."""
SURE = 1e-3
"""Chances are taken to be at least this far from 0 and from 1."""
FDR = 0.1
"""The share of false alarms to allow where the audit does not say."""
Z = 1.959964
"""The normal quantile of a 95 % interval."""


@dataclass(frozen=True)
class Calibration:
    """What to expect of the findings of one issue.

    Attributes
    ----------
    checked
        How many findings of the sample were checked by hand; rows without a finding are not among them.
    chances
        The corrected chance of each finding, shape (m,), float32 in [0, 1].
    offset, slope
        What became of the audit's log odds; 0 and 1 before anything was checked.
    promised, precision
        The expected precision of the findings that the audit flagged: as the audit had it, and corrected, with a 95 %
        interval (of the correction: what rows of equal chance vary is not in it). NaN where nothing was flagged.
    fdr, flagged, to_flag
        The share of false alarms that was allowed, how many findings the audit flagged for it, and how many of the
        likeliest can be flagged for it now.
    """

    checked: int
    chances: Floats
    offset: float
    slope: float
    promised: float
    precision: Estimate
    fdr: float
    flagged: int
    to_flag: int


def corrected(table: pa.Table, checked: Mapping[int, bool], fdr: float = FDR) -> Calibration:
    """Correct the calibration of the findings in a table by rows that were checked; O(m log m).

    Parameters
    ----------
    table
        The findings of one issue, m of them, by ascending row.
    checked
        Whether each row of a random sample is a defect. Rows that were picked for another reason do not belong here.
    fdr
        The share of false alarms to allow among the flagged.

    Examples
    --------
    The audit promised 0.9 of its flagged findings; of the twenty that were checked every second one is a false alarm:

    >>> n = 100
    >>> table = pa.table({"row": np.arange(n), "score": np.linspace(1, 0.5, n), "flagged": np.ones(n, bool),
    ...                   "expected_precision": np.full(n, 0.9, np.float32)})
    >>> made = corrected(table, {row: row % 2 == 0 for row in range(20)})
    >>> made.checked, round(made.promised, 2), round(made.precision[0], 1), made.to_flag
    (20, 0.9, 0.5, 0)
    """
    from dross.review.queue import chances_of

    start = _log_odds(chances_of(table).astype(np.float64))
    rows, flagged = table.column("row").to_numpy(), table.column("flagged").to_numpy().astype(bool)
    named = np.array(sorted(checked), np.int64)
    at = np.searchsorted(rows, named)
    here = at < len(rows)
    here[here] = rows[at[here]] == named[here]
    truth = np.array([checked[row] for row in named[here].tolist()], np.float64)
    (offset, slope), spread = _fitted(start[at[here]], truth)
    chances = _chance(offset + slope * start)
    promised = float(_chance(start[flagged]).mean()) if flagged.any() else float("nan")
    return Calibration(
        checked=int(here.sum()),
        chances=chances.astype(np.float32),
        offset=offset,
        slope=slope,
        promised=promised,
        precision=_mean(chances[flagged], start[flagged], spread),
        fdr=fdr,
        flagged=int(flagged.sum()),
        to_flag=_within(chances, fdr),
    )


def _log_odds(p: Vector) -> Vector:
    held = np.clip(p, SURE, 1 - SURE)
    return np.asarray(np.log(held / (1 - held)))


def _chance(log_odds: Vector) -> Vector:
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def _fitted(start: Vector, truth: Vector) -> tuple[tuple[float, float], npt.NDArray[np.float64]]:
    """The posterior mode of offset and slope, and their covariance there, shape (2, 2)."""
    from scipy.optimize import minimize

    X = np.column_stack([np.ones(len(start)), start])
    middle, weight = np.array([0.0, 1.0]), np.array([OFFSET, SLOPE]) ** -2

    def loss(v: Vector) -> tuple[float, Vector]:
        t = X @ v
        away = v - middle
        value = np.logaddexp(0, t).sum() - truth @ t + 0.5 * float(weight @ away**2)
        return float(value), X.T @ (_chance(t) - truth) + weight * away

    found = minimize(loss, middle, jac=True, method="L-BFGS-B", bounds=[(None, None), (FLATTEST, None)])
    p = _chance(X @ found.x)
    bend = (X * (p * (1 - p))[:, None]).T @ X + np.diag(weight)
    return (float(found.x[0]), float(found.x[1])), np.asarray(np.linalg.inv(bend), np.float64)


def _mean(chances: Vector, start: Vector, spread: npt.NDArray[np.float64]) -> Estimate:
    """The mean chance of some findings with its interval, by the delta method on the scale of log odds."""
    if not len(chances):
        return (float("nan"), 0.0, 1.0)
    mean = float(np.clip(chances.mean(), 1e-9, 1 - 1e-9))
    rate = chances * (1 - chances)
    gradient = np.array([rate.mean(), (rate * start).mean()]) / (mean * (1 - mean))
    far = Z * float(np.sqrt(gradient @ spread @ gradient))
    middle = np.log(mean / (1 - mean))
    return (mean, float(_chance(middle - far)), float(_chance(middle + far)))


def _within(chances: Vector, fdr: float) -> int:
    """How many of the likeliest findings can be flagged with at most this share of false alarms expected."""
    order = np.sort(chances)[::-1]
    fits = np.flatnonzero(np.cumsum(1 - order) <= fdr * np.arange(1, len(order) + 1) + 1e-9)
    return int(fits[-1]) + 1 if len(fits) else 0
