"""Audit by sampling: which rows to check by hand, and what the answers say about precision and recall.

The rows are put into three strata: flagged; not flagged but near the threshold; the rest, rows without any finding
among them. From each a simple random sample is checked. Within a stratum every row is equally likely to be checked, so
the share of defects among the checked ones is an unbiased estimate of the stratum's share, whatever the detectors say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dross.calibrate.assessment import Estimate
from dross.core.errors import DrossError

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]

STRATA = ("flagged", "near the threshold", "the rest")
WEIGHTS = (2.0, 1.0, 2.0)
"""How many rows are drawn from each stratum beside the others. The flagged ones settle the precision; the rest, because
it is large, carries most of what is uncertain about the recall; the few near the threshold hold much of what was
missed."""
LEAST_NEAR = 100
"""Rows near the threshold where fewer are flagged."""
ROUNDING = 1e-9
"""Relative error of a probability that must not make an interval too narrow."""


@dataclass(frozen=True)
class Sample:
    """Rows to check by hand, in the order to check them: whoever stops early has checked a valid smaller sample.

    Attributes
    ----------
    rows
        Positions, shape (s,), each at most once.
    strata
        The stratum of each, shape (s,), int8: a position in :data:`STRATA`.
    sizes
        How many rows of the population each stratum has, shape (3,).
    """

    rows: Rows
    strata: npt.NDArray[np.int8]
    sizes: Counts

    def __len__(self) -> int:
        return len(self.rows)

    def tally(self, checked: npt.ArrayLike, defective: npt.ArrayLike) -> tuple[Counts, Counts]:
        """Count the answers by stratum: (drawn, defects), each shape (3,), as :func:`estimate` takes them.

        Parameters
        ----------
        checked
            Positions of the rows that were checked; those that are not in the sample have no say.
        defective
            Whether each of them has the defect.

        A row that was looked at and left open must not be passed over for being hard: that biases the estimate.

        >>> sample = Sample(np.array([4, 7, 1]), np.array([0, 2, 0], np.int8), np.array([2, 0, 5]))
        >>> drawn, defects = sample.tally([7, 4, 3], [False, True, True]); drawn.tolist(), defects.tolist()
        ([1, 0, 1], [1, 0, 0])
        """
        rows, said = np.asarray(checked, np.int64), np.asarray(defective, bool)
        if rows.shape != said.shape:
            raise DrossError(f"there are {len(rows)} checked rows and {len(said)} answers")
        where = dict(zip(self.rows.tolist(), self.strata.tolist(), strict=True))
        strata = np.array([where.get(row, -1) for row in rows.tolist()], np.int64)
        if len(np.unique(rows)) < len(rows):
            raise DrossError("a row is answered twice", fix="give one answer for each row")
        drawn, defects = (np.bincount(strata[m], minlength=len(STRATA)) for m in (strata >= 0, (strata >= 0) & said))
        return drawn, defects


@dataclass(frozen=True)
class Measured:
    """What a checked sample says: each number with its interval, (estimate, low, high).

    Attributes
    ----------
    precision
        The share of the flagged rows that have the defect.
    recall
        The share of the rows with the defect that are flagged.
    share
        The share of all rows that have the defect.
    """

    precision: Estimate
    recall: Estimate
    share: Estimate


def draw(
    flagged: npt.ArrayLike, scores: npt.ArrayLike, size: int, seed: int = 0, population: npt.ArrayLike | None = None
) -> Sample:
    """A stratified random sample of rows to check by hand; the same seed and a greater size extend it.

    Near the threshold are, of the rows that are not flagged and score above 0, the best: as many as are flagged, at
    least 100. The strata are drawn from by turns, two flagged, one near and two of the rest in five, each in a random
    order of its own, until a stratum is used up.

    Parameters
    ----------
    flagged
        Whether each row of the dataset is flagged, shape (n,).
    scores
        How suspicious each is, shape (n,); 0 where nothing was found.
    size
        How many rows to draw; at most as many as the population has.
    seed
        Of the random orders.
    population
        Positions of the rows that the issue could concern; all by default.

    Examples
    --------
    >>> flagged = np.arange(1000) < 50
    >>> sample = draw(flagged, np.linspace(1, 0, 1000), 10)
    >>> sample.sizes.tolist(), np.bincount(sample.strata).tolist()
    ([50, 100, 850], [4, 2, 4])
    >>> bool((draw(flagged, np.linspace(1, 0, 1000), 99).rows[:10] == sample.rows).all())
    True
    """
    chosen, score = np.asarray(flagged, bool), np.asarray(scores, np.float64)
    if chosen.shape != score.shape or chosen.ndim != 1:
        raise DrossError(f"there are {len(chosen)} flags and {len(score)} scores", fix="give one of each for every row")
    if size < 0:
        raise DrossError(f"a sample cannot have {size} rows")
    rows = np.arange(len(chosen)) if population is None else np.unique(np.asarray(population, np.int64))
    if len(rows) and (rows[0] < 0 or rows[-1] >= len(chosen)):
        raise DrossError("the population names rows that are not there", fix=f"rows are 0 to {len(chosen) - 1}")
    members = _strata(rows, chosen[rows], score[rows])
    sizes = np.array([len(each) for each in members], np.int64)
    parts, turns = [], []
    for s, each in enumerate(members):
        order = np.random.default_rng([seed, s]).permutation(each)
        parts.append(order[:size])
        # the j-th row of a stratum has its turn at (j + 1/2) / weight: by turns, in the proportion of the weights
        turns.append((np.arange(min(size, len(each))) + 0.5) / WEIGHTS[s])
    strata = np.repeat(np.arange(len(STRATA), dtype=np.int8), [len(part) for part in parts])
    first = np.argsort(np.concatenate(turns), kind="stable")[:size]
    return Sample(np.concatenate(parts)[first], strata[first], sizes)


def _strata(rows: Rows, flagged: Mask, scores: npt.NDArray[np.float64]) -> tuple[Rows, Rows, Rows]:
    """The members of each stratum, each ascending."""
    candidates = np.flatnonzero(~flagged & (scores > 0))
    count = min(len(candidates), max(int(flagged.sum()), LEAST_NEAR))
    near = np.zeros(len(rows), bool)
    near[candidates[np.argsort(-scores[candidates], kind="stable")[:count]]] = True
    return rows[flagged], rows[near], rows[~flagged & ~near]


def estimate(sizes: npt.ArrayLike, drawn: npt.ArrayLike, defects: npt.ArrayLike, level: float = 0.95) -> Measured:
    """Precision, recall and share of defects from a checked sample, with intervals that hold at least ``level``.

    The number of defects of each stratum gets an exact interval for a finite population (Clopper and Pearson's
    construction on the hypergeometric distribution), so a stratum that was checked whole has no uncertainty left.
    Precision is that of the flagged stratum. Recall ``A / (A + B)`` rises with the defects A that are flagged and falls
    with those B that are not; its interval, and that of the share, join the bounds of the strata, each at the level
    ``1 - (1 - level) / h`` where h strata are checked in part (Bonferroni): at least ``level``, mostly more.

    The estimates of precision and share are unbiased; that of recall is a ratio of unbiased ones, its bias of the
    order of 1 / checked rows. A number is NaN with the interval (0, 1) where nothing can be said: nothing drawn from a
    stratum it needs, nothing flagged (precision), no defect anywhere (recall); its interval is narrower where the other
    strata bound it. The level holds for a number of checks settled beforehand, not for stopping when it looks good.

    Parameters
    ----------
    sizes, drawn, defects
        Of each stratum, flagged first: its rows, how many were checked, and how many of these have the defect.
        Shape (strata,), at least one.
    level
        The probability, in (0, 1), with which each interval holds the true number, at the least.

    Examples
    --------
    >>> found = estimate([100, 100, 800], [40, 20, 40], [32, 4, 0])
    >>> [round(x, 2) for x in found.precision], [round(x, 2) for x in found.recall]
    ([0.8, 0.68, 0.88], [0.8, 0.33, 0.94])
    """
    rows, checked, found = (np.asarray(values, np.int64) for values in (sizes, drawn, defects))
    if not rows.shape == checked.shape == found.shape or rows.ndim != 1 or not len(rows):
        raise DrossError("sizes, drawn and defects must name the same strata")
    if not ((found >= 0) & (found <= checked) & (checked <= rows)).all():
        raise DrossError("a stratum has more defects than checked rows, or more checked rows than rows")
    if not 0 < level < 1:
        raise DrossError(f"the level is {level}", fix="give a share between 0 and 1, such as 0.95")
    uncertain = int(((checked > 0) & (checked < rows)).sum())
    joint = 1 - (1 - level) / max(1, uncertain)
    strata = zip(rows.tolist(), checked.tolist(), found.tolist(), strict=True)
    bounds = [defects_between(*each, level=joint) for each in strata]
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = np.where(rows > 0, rows * (found / checked), 0.0)  # NaN where rows are there and none was drawn
    flagged, n = int(rows[0]), int(rows.sum())
    low, high = np.array(bounds, np.int64).T
    first = defects_between(flagged, int(checked[0]), int(found[0]), level=level)
    missed = float(expected[1:].sum())
    return Measured(
        precision=_share(float(expected[0]), first[0], first[1], flagged),
        recall=(
            _ratio(float(expected[0]), missed, math.nan),
            _ratio(int(low[0]), int(high[1:].sum()), 0.0),
            _ratio(int(high[0]), int(low[1:].sum()), 1.0),
        ),
        share=_share(float(expected.sum()), int(low.sum()), int(high.sum()), n),
    )


def _share(value: float, low: int, high: int, count: int) -> Estimate:
    return (value / count, low / count, high / count) if count else (math.nan, 0.0, 1.0)


def _ratio(flagged: float, missed: float, otherwise: float) -> float:
    """Recall; ``otherwise`` where there is no defect at all."""
    return flagged / (flagged + missed) if flagged + missed != 0 else otherwise


def defects_between(size: int, drawn: int, defects: int, level: float = 0.95) -> tuple[int, int]:
    """How many of ``size`` rows have a defect when ``defects`` of ``drawn`` checked ones have it: (low, high).

    The fewest and the most defects with which a sample as bad, or as good, as the one seen is not rarer than
    ``(1 - level) / 2``: drawn without replacement, so exact for a finite population and never too narrow.
    O(log size) values of the hypergeometric distribution function.

    >>> defects_between(50, 10, 3), defects_between(50, 50, 3), defects_between(50, 0, 0)
    ((5, 31), (3, 3), (0, 50))
    """
    tail = (1 - level) / 2
    return _fewest(size, drawn, defects, tail), size - _fewest(size, drawn, drawn - defects, tail)


def _fewest(size: int, drawn: int, defects: int, tail: float) -> int:
    """The least number of defects with which ``defects`` or more among the drawn are as probable as ``tail``."""
    from scipy.stats import hypergeom

    low, high = defects, size - (drawn - defects)
    while low < high:  # the probability grows with the number of defects
        middle = (low + high) // 2
        if hypergeom.sf(defects - 1, size, middle, drawn) >= tail * (1 - ROUNDING):
            high = middle
        else:
            low = middle + 1
    return low
