"""Conformal prediction of classes: sets of answers that hold the truth as often as promised, whatever the model.

Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005 (split, or inductive, conformal prediction);
scores: LAC of Sadinle, Lei, Wasserman, "Least Ambiguous Set-Valued Classifiers with Bounded Error Levels", 2019; APS of
Romano, Sesia, Candès, "Classification with Valid and Adaptive Coverage", 2020; RAPS of Angelopoulos, Bates, Malik,
Jordan, "Uncertainty Sets for Image Classifiers using Conformal Prediction", 2021.

The promise needs one thing: that the calibration rows and the new rows could have been drawn in any order. The model
must therefore treat both alike, so it must not have learnt from the calibration rows' labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel, over_rows
from dross.core.errors import DrossError
from dross.models.given_labels import read_only, row_chunks

Values = npt.NDArray[np.float64]
Sets = npt.NDArray[np.bool_]
Score = Literal["lac", "aps", "raps"]
Kind = Literal["marginal", "class-conditional"]

PENALTY, FREE = 0.01, 5
"""RAPS: what each rank beyond the first few adds to the score, and how many ranks are free."""
_SLACK = 1e-9
"""Rounding of a sum must not decide whether equal scores are equal."""
_FEW = 64
"""Classes from which a row is sorted."""


@dataclass(frozen=True)
class Conformal:
    """Calibrated thresholds: a class belongs to a row's set when its score is at most its threshold.

    Attributes
    ----------
    thresholds
        One per class, shape (k,), float64; infinite where too few calibration rows were given to rule the class out.
    score
        ``lac``, ``aps`` or ``raps``.
    penalty, free
        Of RAPS: see :func:`scores_of`.
    """

    thresholds: Values
    score: Score = "lac"
    penalty: float = PENALTY
    free: int = FREE

    def sets(self, probs: npt.NDArray[Any], chance: Values | None = None) -> Sets:
        """The set of each row, shape (n, k), from probabilities (n, k).

        ``chance`` (n,), uniform on [0, 1], makes APS and RAPS exact instead of cautious; it must be given where it was
        given for the calibration rows.

        >>> Conformal(np.array([0.4, 0.4])).sets(np.array([[0.9, 0.1], [0.5, 0.5]])).tolist()
        [[True, False], [False, False]]
        """
        P = _checked(probs)
        if P.shape[1] != len(self.thresholds):
            raise DrossError(f"thresholds for {len(self.thresholds)} classes, probabilities for {P.shape[1]}")
        if self.score == "lac":
            least = _least_probabilities(self.thresholds, P.dtype)
            fits: Sets = np.greater_equal(P, least)
            return fits
        out = np.zeros(P.shape, bool)
        u = _chances(chance, len(P))
        penalty = self.penalty if self.score == "raps" else 0.0
        bounds, fill = self.thresholds + _SLACK, few_sets if len(self.thresholds) < _FEW else many_sets
        over_rows(lambda a, b: fill(P[a:b], u[a:b], bounds, penalty, self.free, out[a:b]), len(P))
        return out


def calibrate(
    probs: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    alpha: float,
    *,
    score: Score = "lac",
    kind: Kind = "marginal",
    penalty: float = PENALTY,
    free: int = FREE,
    chance: Values | None = None,
) -> Conformal:
    """Thresholds such that a new row's set misses its class with a chance of at most ``alpha``.

    ``probs`` (n, k) and ``labels`` (n,) are those of calibration rows the model has not learnt from. The promise is on
    average over rows (``marginal``) or for the rows of each class (``class-conditional``, Mondrian).

    >>> P = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    >>> calibrate(P, np.array([0, 0, 1, 1]), 0.25).thresholds.round(2).tolist()
    [0.4, 0.4]
    >>> calibrate(P, np.array([0, 0, 1, 1]), 0.34, kind="class-conditional").thresholds.round(2).tolist()
    [0.2, 0.4]
    """
    if not 0 < alpha < 1:
        raise DrossError(
            f"alpha is {alpha:g}, not between 0 and 1", fix="0.05 promises that 95 % of the sets are right"
        )
    if kind not in ("marginal", "class-conditional"):
        raise DrossError(f"no kind of promise is called {kind!r}", fix="choose marginal or class-conditional")
    s = scores_of(probs, labels, score, penalty=penalty, free=free, chance=chance)
    k = np.asarray(probs).shape[1]
    if kind == "marginal":
        return Conformal(np.full(k, quantile(s, alpha)), score, penalty, free)
    return Conformal(class_quantiles(s, np.asarray(labels), k, alpha), score, penalty, free)


def quantile(scores: Values, alpha: float) -> float:
    """The ⌈(n + 1)(1 - alpha)⌉-th smallest calibration score; infinite where n is too small for that.

    With it, the chance that a further exchangeable score exceeds the quantile is at most ``alpha``.

    >>> quantile(np.arange(1.0, 20.0), 0.05), quantile(np.arange(1.0, 20.0), 0.04)
    (19.0, inf)
    """
    n = len(scores)
    rank = math.ceil((n + 1) * (1 - alpha) - _SLACK)
    if rank > n:
        return math.inf
    return float(np.partition(scores, max(0, rank - 1))[max(0, rank - 1)])


def class_quantiles(scores: Values, labels: npt.NDArray[Any], k: int, alpha: float) -> Values:
    """:func:`quantile` of the scores of each class by itself, shape (k,).

    >>> class_quantiles(np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1]), 3, 0.4).tolist()
    [2.0, inf, inf]
    """
    order = np.argsort(labels, kind="stable")
    edges = np.searchsorted(labels[order], np.arange(k + 1))
    return np.array([quantile(scores[order[a:b]], alpha) for a, b in pairwise(edges)])


def p_values(calibration: Values, scores: npt.NDArray[Any]) -> Values:
    """How unusual each score is among the calibration scores: (1 + number at least as large) / (n + 1), same shape.

    ``p <= alpha`` has a chance of at most ``alpha`` for the true class of an exchangeable row.

    >>> p_values(np.array([0.1, 0.2, 0.3]), np.array([0.0, 0.2, 0.9])).tolist()
    [1.0, 0.75, 0.25]
    """
    ordered = np.sort(calibration)
    below = np.searchsorted(ordered, np.asarray(scores, np.float64), side="left")
    found: Values = (1 + len(ordered) - below) / (len(ordered) + 1)
    return found


def safe_answers(confidence: Values, wrong: Sets, new: Values, alpha: float) -> Sets:
    """Which new answers to accept so that at most ``alpha`` of the accepted ones are expected to be wrong, shape (m,).

    ``confidence`` (n,) and ``wrong`` (n,) are those of the answers on calibration rows, ``new`` (m,) the confidence of
    the others. Jin, Candès, "Selection by Prediction with Conformal p-values", 2023: the p-value of an answer's being
    wrong is the share of calibration rows that are wrong with as much confidence, and the Benjamini-Hochberg rule keeps
    the false discovery rate at ``alpha`` exactly, for any model. Sets of one class promise less: of all rows, not of
    those with such a set, at most ``alpha`` get a wrong one.

    >>> safe_answers(np.linspace(0, 1, 50), np.linspace(0, 1, 50) < 0.5, np.array([0.2, 0.9, 0.9]), 0.1).tolist()
    [False, True, True]
    """
    order = np.sort(confidence[wrong])
    p = (1 + len(order) - np.searchsorted(order, new, side="left")) / (len(confidence) + 1)
    m = len(new)
    within = np.flatnonzero(np.sort(p) <= alpha * np.arange(1, m + 1) / max(1, m) + _SLACK)
    return np.asarray(p <= np.sort(p)[within[-1]]) if len(within) else np.zeros(m, bool)


def scores_of(
    probs: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    score: Score = "lac",
    *,
    penalty: float = PENALTY,
    free: int = FREE,
    chance: Values | None = None,
) -> Values:
    """How badly each row's class fits the model, shape (n,), float64.

    LAC: one minus its probability. APS: the probability of all more probable classes, and its own (times ``chance``
    where given). RAPS: APS and ``penalty`` for each rank beyond ``free``.

    >>> P = np.array([[0.5, 0.25, 0.125, 0.125]])
    >>> [float(scores_of(P, np.array([1]), s)[0]) for s in ("lac", "aps")]
    [0.75, 0.75]
    >>> float(scores_of(P, np.array([2]), "raps", penalty=0.1, free=1)[0])
    1.075
    """
    P, y = _checked(probs), np.asarray(labels)
    if score not in ("lac", "aps", "raps"):
        raise DrossError(f"no conformity score is called {score!r}", fix="choose lac, aps or raps")
    if y.shape != P.shape[:1] or (len(y) and not (y.min() >= 0 and y.max() < P.shape[1])):
        raise DrossError("calibration rows need one class number each, 0 … k - 1, in the order of the probabilities")
    if score == "lac":
        lac: Values = 1.0 - P[np.arange(len(y)), y].astype(np.float64)
        return lac
    out = np.empty(len(y))
    u, given = _chances(chance, len(y)), y.astype(np.int32)
    extra = penalty if score == "raps" else 0.0
    over_rows(lambda a, b: given_scores(P[a:b], u[a:b], given[a:b], extra, free, out[a:b]), len(y))
    return out


# ---- kernels ---------------------------------------------------------------------------------------------------------


@kernel()
def given_scores(P: Any, chance: Any, labels: Any, penalty: float, free: int, out: Any) -> None:
    """The (R)APS score of each row's class."""
    for i in range(len(P)):
        own, total, count = P[i, labels[i]], 0.0, 0
        for p in P[i]:
            if p > own:
                total += p
                count += 1
        out[i] = total + chance[i] * own + penalty * max(0, count + 1 - free)


@kernel(error_model="numpy")
def few_sets(P: Any, chance: Any, bounds: Any, penalty: float, free: int, out: Any) -> None:
    """Each row's (R)APS set, every class beside every other: O(k²) without a branch, the fastest for few classes."""
    n, k = P.shape
    p, total, count = np.empty(k), np.empty(k), np.empty(k)
    for i in range(n):
        for c in range(k):
            p[c], total[c], count[c] = P[i, c], 0.0, 1.0 - free
        for j in range(k):
            one = p[j]
            for c in range(k):
                total[c] += one if one > p[c] else 0.0
        if penalty > 0:
            for j in range(k):
                for c in range(k):
                    count[c] += 1.0 if p[j] > p[c] else 0.0
        for c in range(k):
            out[i, c] = total[c] + chance[i] * p[c] + penalty * max(0.0, count[c]) <= bounds[c]


@kernel()
def many_sets(P: Any, chance: Any, bounds: Any, penalty: float, free: int, out: Any) -> None:
    """Each row's (R)APS set: down the classes by probability until no bound can be met any more, O(k log k)."""
    n, k = P.shape
    most = bounds.max()
    for i in range(n):
        order = np.argsort(-P[i], kind="mergesort")
        total, passed, before, last = 0.0, 0.0, 0, np.inf
        for r in range(k):
            p = P[i, order[r]]
            if p < last:  # equals have the same classes before them
                passed, before, last = total, r, p
            score = passed + chance[i] * p + penalty * max(0, before + 1 - free)
            if score > most:
                break
            out[i, order[r]] = score <= bounds[order[r]]
            total += p


def _least_probabilities(thresholds: Values, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The smallest number of the probabilities' own type whose LAC score, computed in float64, is within bounds."""
    least = np.where(np.isinf(thresholds), -1.0, 1.0 - thresholds)
    rounded = least.astype(dtype)
    for _ in range(3):  # rounding moves a bound by an ulp or two at most
        too_low = 1.0 - rounded.astype(np.float64) > thresholds
        rounded = np.where(too_low, np.nextafter(rounded, np.asarray(2, rounded.dtype)), rounded)
    for _ in range(3):
        lower = np.nextafter(rounded, np.asarray(-2, rounded.dtype))
        rounded = np.where(1.0 - lower.astype(np.float64) <= thresholds, lower, rounded)
    return np.asarray(rounded)


def _checked(probs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    P = np.asarray(probs)
    if P.ndim != 2 or P.dtype.kind not in "fiu":
        raise DrossError(f"probabilities must have the shape (rows, classes), not {P.shape} of {P.dtype}")
    P = P if P.dtype in (np.float32, np.float64) else P.astype(np.float64)
    for rows in row_chunks(len(P), 1 << 16):
        # a NaN fails both comparisons
        if P.shape[1] and not (P[rows].min() >= -1e-6 and P[rows].max() <= 1 + 1e-4):
            raise DrossError("probabilities must be numbers in [0, 1]", where=f"rows {rows.start} to {rows.stop}")
    return read_only(P)


def _chances(chance: Values | None, n: int) -> npt.NDArray[Any]:
    u = np.ones(n) if chance is None else np.asarray(chance, np.float64)
    if u.shape != (n,):
        raise DrossError(f"{n} rows need {n} chances, not {u.shape}")
    return read_only(u)
