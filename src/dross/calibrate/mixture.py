"""The share of true defects among the real rows, and what each score is worth, read from planted defects.

The real rows are a mixture of rows with the defect, which score as the planted ones do, and of sound rows:
``f = pi f1 + (1 - pi) f0`` with ``f`` and ``f1`` observed. On the scale ``a(t)`` = share of planted defects that score
at least ``t`` the defective rows are uniform, so the real rows have the density ``h(a) = pi + (1 - pi) h0(a)``, and a
row is a true defect with the chance ``pi / h(a)``. What is assumed of the sound rows: none of them outscores all
planted defects, ``h0(0) = 0``, and the rarer the higher the score, ever more so: ``h0`` is convex. ``pi`` is then the
value at which ``h`` arrives at the top score. A convex density at an end point is the device of Langaas, Lindqvist,
Ferkingstad, "Estimating the proportion of true null hypotheses, with application to DNA microarray data", 2005; here it
is a mixture of the densities ``b a^(b - 1)``, fitted by maximum likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.calibrate.assessment import Estimate

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

SHAPES = np.array([1.0, 2, 3, 5, 9, 17, 33, 65, 129, 257, 1025])
"""The exponents b; 1 is the uniform density of the true defects."""
LEVELS = np.concatenate([np.arange(0.01, 0.991, 0.01), [0.995, 0.9975, 0.999]])
"""Shares of the planted defects at whose scores the scale is cut."""
REPLICATES = 50
GROUPS = 8
"""Planted defects are matched to real rows in so many groups of equally frequent mistakes."""
PRIOR = 2.0
"""Planted defects of average frequency that each group starts with."""
CAUTION = 0.2
"""The flagged set is chosen by this quantile of the replicates, not by their middle, so that estimation error does not
break the promise; :mod:`benchmarks.calibration` measured the choice."""
LEAST = 20
"""Fewer planted defects or rows than this tell nothing."""


@dataclass(frozen=True)
class Worth:
    """What scores are worth: curves over ascending scores, with the replicates that give their intervals.

    Attributes
    ----------
    edges
        The scores at which the scale is cut, ascending, shape (m,).
    knots
        A score inside each of the m + 1 bins, ascending; ``local`` is linear in between.
    local
        The chance that a row of that score is a true defect, ascending, shape (m + 1,); ``cautious`` is its lower
        quantile and ``local_replicates``, shape (r, m + 1), all of them.
    recall
        The share of true defects that score at least ``edges``, shape (m,); ``recall_replicates`` (r, m).
    share, shares
        The share of true defects in the data, and its replicates.
    """

    edges: Vector
    knots: Vector
    local: Vector
    cautious: Vector
    recall: Vector
    share: float
    shares: Vector
    local_replicates: Matrix
    recall_replicates: Matrix

    def chance(self, scores: npt.NDArray[Any], *, cautious: bool = False) -> Vector:
        """The chance that each row is a true defect, shape (n,)."""
        values: Vector = np.interp(scores, self.knots, self.cautious if cautious else self.local)
        return values

    def chances(self, scores: npt.NDArray[Any]) -> Matrix:
        """The same in every replicate, averaged over the rows, shape (r,)."""
        counts = np.bincount(np.searchsorted(self.edges, scores, "right"), minlength=len(self.knots))
        mean: Matrix = self.local_replicates @ counts / max(1, counts.sum())
        return mean

    def found(self, threshold: float) -> Estimate:
        """The share of true defects that score at least the threshold, with its interval."""
        edges = np.concatenate([self.edges, [np.inf]])
        at = int(np.searchsorted(edges, threshold, "left"))
        if at == 0 and threshold < edges[0]:
            return 1.0, float(self.recall_replicates[:, 0].min(initial=1.0)), 1.0
        columns = np.column_stack([self.recall_replicates, np.zeros(len(self.shares))])
        return interval(float(np.append(self.recall, 0.0)[at]), columns[:, at])


def interval(estimate: float, replicates: Vector) -> Estimate:
    """An estimate with the 95 % interval of its replicates, stretched to hold the estimate itself."""
    if not len(replicates):
        return estimate, 0.0, 1.0
    low, high = np.quantile(replicates, [0.025, 0.975])
    return estimate, float(min(low, estimate)), float(max(high, estimate))


def bin_masses(tails: Vector) -> Matrix:
    """The mass of each component in the bins of the scale a, shape (bins, components).

    ``tails`` are the shares of planted defects beyond the bins' upper ends, descending scores: from 0 to 1, shape
    (bins + 1,). The last component lies wholly in the last bin: sound rows that score below every planted defect.

    >>> bin_masses(np.array([0.0, 0.5, 1.0]))[:, :2].tolist()
    [[0.5, 0.25], [0.5, 0.75]]
    """
    masses = np.diff(tails[:, None] ** SHAPES, axis=0)
    below = np.zeros((len(masses), 1))
    below[-1] = 1.0
    return np.concatenate([masses, below], axis=1)


def fit_weights(masses: Matrix, counts: Vector, start: Vector | None = None) -> Vector:
    """The weights of the components that make the counts likeliest, at least 0 and of sum 1.

    Sequential quadratic programming on the multinomial likelihood (Kim, Carbonetto, Stephens, Anitescu, "A Fast
    Algorithm for Maximum Likelihood Estimation of Mixture Proportions Using Sequential Quadratic Programming", 2020);
    each step is a non-negative least-squares problem in a dozen unknowns.

    >>> fit_weights(bin_masses(np.linspace(0, 1, 11)), np.full(10, 7.0)).round(2)[:2].tolist()
    [1.0, 0.0]
    """
    d = masses.shape[1]
    shares = counts / max(counts.sum(), 1e-300)
    weights = np.full(d, 1 / d) if start is None else np.maximum(start, 1e-4)
    fitted = masses @ weights + 1e-12
    value = shares @ np.log(fitted) - weights.sum()
    for _ in range(200):
        slope = masses.T @ (shares / fitted)
        scaled = masses * (np.sqrt(shares) / fitted)[:, None]
        aim = _quadratic_minimum(scaled.T @ scaled, weights, slope)
        # where the quadratic model leads astray, a step of expectation maximisation never does
        trials = [weights + step * (aim - weights) for step in (1.0, 0.5, 0.1, 0.01)] + [weights * slope]
        values = [float(shares @ np.log(masses @ trial + 1e-12) - trial.sum()) for trial in trials]
        best = int(np.argmax(values))
        gain = values[best] - value
        if gain <= 0:
            break
        weights, value = trials[best], values[best]
        fitted = masses @ weights + 1e-12
        if gain < 1e-8:
            break
    total: Vector = weights / weights.sum()
    return total


def _quadratic_minimum(hessian: Matrix, weights: Vector, slope: Vector) -> Vector:
    """Where the quadratic model of the likelihood around the weights is best, all weights at least 0.

    Components scale by their own curvature, for that of the rarest is millions of times that of the commonest.
    """
    from scipy.optimize import nnls

    curvature = hessian.diagonal()
    scale = 1 / np.sqrt(np.maximum(curvature, 1e-8 * max(curvature.max(), 1e-300)))
    unit = hessian * scale[:, None] * scale + 1e-7 * np.eye(len(scale))
    aim = scale * (hessian @ weights + slope - 1)
    root = np.linalg.cholesky(unit).T
    try:
        best, _ = nnls(root, np.linalg.solve(root.T, aim))
    except RuntimeError:  # no convergence
        return weights
    found: Vector = best * scale
    return found


def separation(planted: Vector, real: Vector, given: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None) -> float:
    """The chance that a planted defect outscores a real row, with the upper half of its sampling error taken off.

    ``given`` holds the stratum (the label they carry) of the planted and of the real rows: only rows that carry the
    same label are compared, so that a rare label alone is no evidence. 0.5 means: cannot be told apart.

    >>> separation(np.array([2.0, 3.0]), np.array([0.0, 1.0])) < 1
    True
    """
    one = np.zeros(len(planted), np.int64), np.zeros(len(real), np.int64)
    of_planted, of_real = given if given is not None else one
    k = int(max(of_planted.max(initial=0), of_real.max(initial=0))) + 1
    # ranks within strata in one pass: sort by stratum first, then by score
    scores = np.concatenate([planted, real])
    strata = np.concatenate([of_planted, of_real])
    dense = np.unique(scores, return_inverse=True)[1]
    combined = _mean_ranks(strata * (dense.max() + 1) + dense)
    before = np.concatenate([[0], np.cumsum(np.bincount(strata, minlength=k))])
    inside = combined - before[strata]
    m, n = np.bincount(of_planted, minlength=k), np.bincount(of_real, minlength=k)
    sums = np.bincount(of_planted, inside[: len(planted)], minlength=k) - m * (m + 1) / 2
    usable = (m > 0) & (n > 0)
    wins, pairs = sums[usable] / n[usable], m[usable].sum()
    if not pairs:
        return 0.0
    error = np.sqrt((1 / max(1, pairs) + 1 / max(1, n[usable].sum())) / 12)
    return float(wins.sum() / pairs - 1.645 * error)


def _mean_ranks(values: npt.NDArray[np.int64]) -> Vector:
    """The rank of each value from 1, the mean of theirs for equal ones (scipy.stats takes half a second to import)."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    upto = np.cumsum(counts)
    ranks: Vector = (upto - (counts - 1) / 2)[place]
    return ranks


def estimate_worth(
    planted: Vector,
    real: Vector,
    sources: npt.NDArray[np.int64] | None,
    rng: np.random.Generator,
    weights: Vector | None = None,
) -> Worth:
    """Fit the mixture and its replicates.

    Parameters
    ----------
    planted, real
        Scores of the planted defects, shape (m,), and of the real rows, shape (n,), n > 0, m > 0.
    sources
        The real row each planted defect was made from, shape (m,), where making it puts that row's label in the place
        of another: a planted defect on a row that is a true defect already may have mended it, so it counts by the
        chance that the row is sound. None where planted defects are new rows.
    rng
        For the replicates (a bootstrap of both samples).
    weights
        How much each planted defect counts, shape (m,); all alike when None.
    """
    first = np.ones(len(planted)) if weights is None else weights
    weights = first
    edges = cut(planted, weights)
    for _ in range(1 if sources is None else 4):
        edges = cut(planted, weights)
        # bins count from the highest score down
        planted_bins = len(edges) - np.searchsorted(edges, planted, "right")
        real_bins = len(edges) - np.searchsorted(edges, real, "right")
        mass: Vector = np.bincount(planted_bins, weights, len(edges) + 1).astype(np.float64)
        squares = np.bincount(planted_bins, weights * weights, len(edges) + 1)
        counts = np.bincount(real_bins, minlength=len(edges) + 1).astype(np.float64)
        masses = bin_masses(_tails(mass))
        mixture = fit_weights(masses, counts)
        local = _local(masses, mixture)
        if sources is not None:
            weights = first * np.maximum(1 - local[real_bins[sources]], 1e-3)
    effective = mass * mass / np.maximum(squares, 1e-12)
    shares, locals_, recalls = [], [], []
    for _ in range(REPLICATES):
        drawn = mass * rng.poisson(effective) / np.maximum(effective, 1e-12)
        seen = rng.poisson(counts).astype(np.float64)
        if drawn.sum() == 0 or seen.sum() == 0:
            continue
        tails = _tails(drawn)
        again = bin_masses(tails)
        refitted = fit_weights(again, seen, mixture)
        shares.append(refitted[0])
        locals_.append(_local(masses, refitted))
        recalls.append(tails[1:-1])
    local_replicates = np.array(locals_)[:, ::-1]
    cautious = np.minimum(np.quantile(local_replicates, CAUTION, axis=0), local[::-1])
    return Worth(
        edges=edges,
        knots=_knots(edges, planted),
        local=np.maximum.accumulate(local[::-1]),
        cautious=np.maximum.accumulate(cautious),
        recall=_tails(mass)[1:-1][::-1],
        share=float(mixture[0]),
        shares=np.array(shares),
        local_replicates=local_replicates,
        recall_replicates=np.array(recalls)[:, ::-1],
    )


def match_frequencies(planted: Vector, real: Vector, of_planted: Vector, of_real: Vector) -> Vector:
    """Weights by which planted defects make rare and common mistakes as often as suspicious real rows do, shape (m,).

    A kind of mistake that was planted but is not made would leave the top of the scale without real rows, and no
    defect would seem to be there.

    Parameters
    ----------
    planted, real
        Scores, shapes (m,) and (n,).
    of_planted, of_real
        How frequent the mistake is that each makes, shapes (m,) and (n,); infinite for rows that make none.
    """
    edges = np.unique(np.quantile(of_planted, np.linspace(0, 1, GROUPS + 1)[1:-1]))
    group = np.searchsorted(edges, of_planted, "right")
    of_rows = np.where(np.isinf(of_real), GROUPS, np.searchsorted(edges, of_real, "right"))
    order = np.argsort(-planted, kind="stable")
    weights = np.ones(len(planted))
    for _ in range(3):
        upper = planted[order[np.searchsorted(np.cumsum(weights[order]), 0.5 * weights.sum())]]
        made = np.bincount(of_rows[real >= upper], minlength=GROUPS + 1)[:GROUPS]
        drawn = np.bincount(group[planted >= upper], minlength=GROUPS)
        if not made.sum():
            break
        ratio = made.sum() / drawn.sum()
        weights = ((made + PRIOR * ratio) / (drawn + PRIOR) / ratio)[group]
    return weights


def cut(planted: Vector, weights: Vector) -> Vector:
    """The scores that cut off the :data:`LEVELS` of the planted defects, ascending, each once."""
    order = np.argsort(-planted, kind="stable")
    tail = np.cumsum(weights[order])
    at = np.searchsorted(tail, LEVELS * tail[-1])
    edges: Vector = np.unique(planted[order[np.minimum(at, len(order) - 1)]])
    return edges


def choose(chances: Vector, fdr: float) -> npt.NDArray[np.bool_]:
    """The largest set of the likeliest rows whose expected share of false alarms is at most ``fdr``, shape (n,).

    >>> choose(np.array([0.2, 1.0, 0.9, 0.7]), 0.15).tolist()
    [False, True, True, True]
    """
    order = np.argsort(-chances, kind="stable")
    expected = np.cumsum(1 - chances[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(expected <= fdr + 1e-12)
    chosen = np.zeros(len(chances), np.bool_)
    if len(good):
        chosen[order[: good[-1] + 1]] = True
    return chosen


def _tails(mass: Vector) -> Vector:
    tails: Vector = np.concatenate([[0.0], np.cumsum(mass)]) / mass.sum()
    tails[-1] = 1.0
    return tails


def _local(masses: Matrix, mixture: Vector) -> Vector:
    """The chance of a true defect in each bin, descending scores."""
    worth: Vector = np.minimum(1.0, mixture[0] * masses[:, 0] / (masses @ mixture + 1e-300))
    return np.minimum.accumulate(worth)


def _knots(edges: Vector, planted: Vector) -> Vector:
    """A score inside each bin: the mean of the planted ones there; below all edges, a score under every planted one."""
    bins = np.searchsorted(edges, planted, "right")
    counts = np.bincount(bins, minlength=len(edges) + 1)
    means: Vector = np.bincount(bins, planted, len(edges) + 1) / np.maximum(counts, 1)
    if not counts[0]:
        means[0] = edges[0] - 1e-9
    return means
