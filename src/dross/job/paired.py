"""Paired comparisons over repeated splits: metrics, and intervals that know the splits share rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
BLOCKS = 20
LEVEL = 0.95


@dataclass(frozen=True)
class Estimated:
    """A number with its 95 % interval and the p-value of "it is zero"."""

    estimate: float
    low: float
    high: float
    p: float

    def to_json(self) -> dict[str, float]:
        """Plain numbers."""
        return {"estimate": self.estimate, "low": self.low, "high": self.high, "p": self.p}


def corrected_t(values: Numbers, ratio: float, extra: float = 0.0) -> Estimated:
    """The mean of a quantity measured on J overlapping splits, with Nadeau and Bengio's corrected interval.

    Splits that share training rows give correlated values, so their spread over J understates the error of the mean.
    The corrected variance is ``(1 / J + n_test / n_train) * var(values)``, with J - 1 degrees of freedom
    (Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003, section 3).

    Parameters
    ----------
    values
        Shape (J,), J >= 2.
    ratio
        ``n_test / n_train``.
    extra
        Variance that repeating cannot show, added to the corrected one: that of a test set which is always the same.

    >>> r = corrected_t(np.array([0.1, 0.2, 0.3]), ratio=0.25)
    >>> [round(v, 3) for v in (r.estimate, r.low, r.high)]
    [0.2, -0.129, 0.529]
    """
    from scipy import stats

    count = len(values)
    mean = float(values.mean())
    error = float(np.sqrt((1 / count + ratio) * values.var(ddof=1) + extra))
    if error <= 1e-12:
        return Estimated(mean, mean, mean, 1.0 if abs(mean) <= 1e-12 else 0.0)
    half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * error
    return Estimated(mean, mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, count - 1)))


@dataclass(frozen=True)
class Scored:
    """One arm's answers on the test rows of one repeat.

    Attributes
    ----------
    truth
        Test labels as class codes, or test targets; shape (t,).
    guess
        The predicted codes or numbers, shape (t,).
    likelihood
        The probability given to the test label, shape (t,); all ones for regression.
    group
        The group of each test row, shape (t,), -1 where it has none; worst-group accuracy is taken over these.
    """

    truth: npt.NDArray[np.generic]
    guess: npt.NDArray[np.generic]
    likelihood: Numbers
    group: npt.NDArray[np.int64]

    def where(self, keep: npt.NDArray[np.bool_]) -> Scored:
        """The answers on some of the test rows."""
        return Scored(self.truth[keep], self.guess[keep], self.likelihood[keep], self.group[keep])


def classification_scores(s: Scored, k: int) -> Numbers:
    """Accuracy, macro-F1, log-loss (nats), worst-group accuracy, then the recall of each of the k classes.

    Macro-F1 averages over the classes that occur among the test labels; the recall of an absent class is NaN, so is
    the worst group where no row has a group. Shape (4 + k,).

    >>> one = np.array([0, 0, 1]); ones = np.ones(3)
    >>> classification_scores(Scored(one, np.array([0, 1, 1]), ones, one), 2).round(2).tolist()
    [0.67, 0.67, -0.0, 0.5, 0.5, 1.0]
    """
    truth, guess = np.asarray(s.truth, np.int64), np.asarray(s.guess, np.int64)
    right = truth == guess
    there = np.bincount(truth, minlength=k)
    hits = np.bincount(truth[right], minlength=k)
    both = there + np.bincount(guess, minlength=k)
    f1 = np.mean(2 * hits[there > 0] / both[there > 0])
    recall = np.where(there > 0, hits / np.maximum(there, 1), np.nan)
    known = s.group >= 0
    sizes = np.bincount(s.group[known])
    own = np.bincount(s.group[known], weights=right[known])
    worst = (own[sizes > 0] / sizes[sizes > 0]).min() if known.any() else np.nan
    return np.array([right.mean(), f1, -np.mean(np.log(s.likelihood)), worst, *recall])


def regression_scores(s: Scored) -> Numbers:
    """R² and the mean absolute error (in units of the target), shape (2,).

    >>> one = np.array([1.0, 3.0]); none = np.array([-1, -1])
    >>> regression_scores(Scored(one, np.array([1.0, 2.0]), one, none)).tolist()
    [0.5, 0.5]
    """
    truth, guess = np.asarray(s.truth, float), np.asarray(s.guess, float)
    spread = max(float(np.mean((truth - truth.mean()) ** 2)), 1e-300)
    return np.array([1 - np.mean((truth - guess) ** 2) / spread, np.mean(np.abs(truth - guess))])


@dataclass(frozen=True)
class Measured:
    """The scores of each arm.

    Attributes
    ----------
    values
        By arm, shape (J, q): q scores in each of J repeats.
    left
        With fixed test rows: by arm, shape (BLOCKS, q), the mean over repeats with one block of test rows left out.
        None where the test rows differ from repeat to repeat.
    ratio
        ``n_test / n_train``.
    """

    values: dict[str, Numbers]
    left: dict[str, Numbers] | None
    ratio: float

    def level(self, arm: str, q: int) -> Estimated | None:
        """The mean of one score in one arm."""
        return self._estimate({arm: 1.0}, q)

    def change(self, arm: str, against: str, q: int) -> Estimated | None:
        """The mean paired difference of one score between two arms; None where some repeat leaves it undefined."""
        return self._estimate({arm: 1.0, against: -1.0}, q)

    def _estimate(self, weights: dict[str, float], q: int) -> Estimated | None:
        values: Numbers = np.sum([w * self.values[arm][:, q] for arm, w in weights.items()], axis=0)
        if not np.isfinite(values).all():
            return None
        extra = 0.0
        if self.left is not None:
            left: Numbers = np.sum([w * self.left[arm][:, q] for arm, w in weights.items()], axis=0)
            left = left[np.isfinite(left)]
            extra = float((len(left) - 1) / len(left) * np.sum((left - left.mean()) ** 2)) if len(left) else 0.0
        return corrected_t(values, self.ratio, extra)


def measure(runs: Sequence[dict[str, Scored]], k: int | None, ratio: float, *, fixed: bool, seed: int) -> Measured:
    """Score every arm in every repeat; ``k`` classes, or None for regression.

    With fixed test rows the repeats differ in their training rows only; what the choice of test rows adds to the error
    is estimated by a jackknife over :data:`BLOCKS` random blocks of them (Efron and Stein, 1981).
    """

    def scores(s: Scored) -> Numbers:
        return regression_scores(s) if k is None else classification_scores(s, k)

    arms = list(runs[0])
    values = {arm: np.array([scores(run[arm]) for run in runs]) for arm in arms}
    if not fixed:
        return Measured(values, None, ratio)
    count = len(runs[0][arms[0]].truth)
    block = np.random.default_rng(seed).permutation(np.arange(count) % BLOCKS)
    pieces = [block != b for b in range(BLOCKS)]
    left = {
        arm: np.array([np.mean([scores(run[arm].where(keep)) for run in runs], axis=0) for keep in pieces])
        for arm in arms
    }
    return Measured(values, left, ratio)
