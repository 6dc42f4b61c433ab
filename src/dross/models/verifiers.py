"""Verifiers of answers: how often each is right, told from how they agree, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Given = npt.NDArray[np.bool_]
Queries = npt.NDArray[np.int64]

DEPENDENT = 0.2
"""Correlation beyond what two verifiers' accuracies explain, from which they count as one."""
COPIES = 0.75
"""Correlation from which two weak verifiers are taken to be one from the start."""
_SURE, _CLOSE = 0.005, 0.02


def normalised(scores: Matrix, queries: Queries | None = None) -> Matrix:
    """Scores (n, m) of verifiers on any scale, brought to [0, 1]: 5th to 95th percentile of each; NaN stays NaN.

    With ``queries`` (n,), numbers from 0, a score first gives up the mean of its query, so that verifiers that like
    some queries more than others, whatever the answer, can be compared.

    >>> normalised(np.array([[1.0], [3.0], [np.nan]]), None).round(2).tolist()
    [[0.0], [1.0], [nan]]
    """
    out = scores.copy()
    if queries is not None:
        there = ~np.isnan(out)
        for j in range(out.shape[1]):
            sums = np.bincount(queries, np.where(there[:, j], out[:, j], 0))
            out[:, j] -= (sums / np.maximum(np.bincount(queries, there[:, j]), 1))[queries]
    for j in range(out.shape[1]):
        column = out[:, j]
        known = column[~np.isnan(column)]
        if not len(known):
            continue
        low, high = np.percentile(known, [5, 95])
        if low == high:
            low, high = known.min(), known.max()
        out[:, j] = (
            np.clip((column - low) / (high - low), 0, 1) if high > low else np.where(np.isnan(column), np.nan, 0.5)
        )
    return out


def cut_point(values: Matrix) -> float:
    """The value that parts numbers in [0, 1] into two heaps with the largest variance between them (Otsu, 1979).

    >>> 0.2 < cut_point(np.array([0.1, 0.15, 0.2, 0.8, 0.9])) < 0.8
    True
    """
    counts, edges = np.histogram(values, 64, (0, 1))
    middle = (edges[1:] + edges[:-1]) / 2
    below, weight = counts.cumsum(), (counts * middle).cumsum()
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = weight / below - (weight[-1] - weight) / above
        between = np.where((below > 0) & (above > 0), below * above * gap**2, -1)
    if between.max() < 0:
        return 1.0  # a single heap
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    return float(edges[1:][(best[0] + best[-1]) // 2])


@dataclass(frozen=True)
class Accuracies:
    """What is believed of the verifiers.

    Attributes
    ----------
    true_positive, false_positive
        How often each says "right" of right and of wrong answers, shape (m,).
    balance
        The share of right answers.
    tie
        The correlation of each verifier with the truth, shape (m,).
    group
        Verifiers of the same number depend on each other, shape (m,).
    """

    true_positive: Matrix
    false_positive: Matrix
    balance: float
    tie: Matrix
    group: Queries

    @property
    def weight(self) -> Matrix:
        """What each verifier counts for, shape (m,): one over the size of its group."""
        return np.asarray(1 / np.bincount(self.group)[self.group])


def accuracies(votes: Given, there: Given, balance: float | None = None) -> Accuracies:
    """Accuracies of verifiers from how they agree, without any label: ``votes`` (n, m), and where there is one (n, m).

    Verifiers that err independently given the truth have covariances that factor, C_ij = t_i t_j, and third moments
    s t_i t_j t_k whose factor s tells the share of right answers: the method of moments of Ratner et al., "Training
    Complex Models with Multi-Task Weak Supervision", 2019, and Jaffe, Nadler, Kluger, "Estimating the Accuracies of
    Multiple Classifiers Without Labeled Data", 2015. Most verifiers are taken to be better than chance, and most pairs
    to be independent; those that agree more than that explains count as one. O(n m²).

    >>> rng = np.random.default_rng(0); truth = rng.random(20_000) < 0.3
    >>> votes = rng.random((20_000, 4)) < np.where(truth[:, None], [0.9, 0.8, 0.7, 0.5], [0.2, 0.1, 0.4, 0.5])
    >>> found = accuracies(votes, np.ones_like(votes)); round(found.balance, 1), found.true_positive.round(1).tolist()
    (0.3, [0.9, 0.8, 0.7, 0.5])
    """
    counts = np.maximum(there.sum(axis=0), 1)
    rate = (votes & there).sum(axis=0) / counts
    Z = np.where(there, votes - rate, 0.0)
    both = there.astype(np.float64).T @ there
    C = (Z.T @ Z) / np.maximum(both, 1)
    deviation = np.sqrt(np.maximum(np.diag(C), 1e-12))
    R = C / np.outer(deviation, deviation)
    copies = _groups(np.abs(R) > COPIES)
    tie = _one_factor(R, copies[:, None] != copies)
    group = _groups((np.abs(R - np.outer(tie, tie)) > DEPENDENT) | (copies[:, None] == copies))
    alone = np.array([j == max(np.flatnonzero(group == group[j]), key=lambda i: tie[i]) for j in range(len(tie))])
    if balance is None:
        balance = _balance(Z[:, alone], there[:, alone], (tie * deviation)[alone])
    gap = tie * deviation / float(np.sqrt(balance * (1 - balance)))
    positive = np.clip(rate + (1 - balance) * gap, _SURE, 1 - _SURE)
    negative = np.clip(rate - balance * gap, _SURE, 1 - _SURE)
    return Accuracies(positive, negative, balance, tie, group)


def _one_factor(R: Matrix, compared: Given) -> Matrix:
    """Numbers t in [-1, 1] such that t_i t_j is near to R_ij for most of the pairs compared; their sum is positive.

    Least absolute deviations by reweighting, so that some pairs of verifiers may depend on each other.
    """
    off = R * compared
    values, vectors = np.linalg.eigh(off)
    t = vectors[:, -1] * np.sqrt(max(float(values[-1]), 1e-12))
    t = t * np.sign(t.sum() or 1.0)
    weights = compared.astype(np.float64)
    for _ in range(300):
        before = t.copy()
        for i in range(len(t)):
            t[i] = np.clip((weights[i] * off[i]) @ t / max(float(weights[i] @ t**2), 1e-9), -1, 1)
        weights = compared / np.sqrt((off - np.outer(t, t)) ** 2 + _CLOSE**2)
        if np.abs(t - before).max() < 1e-7:
            break
    return np.asarray(t * np.sign(t.sum() or 1.0))


def _groups(tied: Given) -> Queries:
    """The connected parts of a symmetric relation, shape (m,), numbers from 0."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    return np.asarray(connected_components(csr_array(tied), directed=False)[1], np.int64)


def _balance(Z: Matrix, there: Given, t: Matrix) -> float:
    """The share of right answers from the third moments; one half where they tell nothing."""
    third = _third(Z * t).mean()
    scale = _third(there * t**2).mean()
    if abs(scale) < 1e-12:
        return 0.5
    skew = third / scale  # (1 - 2 b) / sqrt(b (1 - b)) for a share b
    share = 0.5 - 0.5 * skew / np.sqrt(4 + skew**2)
    return float(np.clip(share, 0.02, 0.98))


def _third(X: Matrix) -> Matrix:
    """The sum of products over all triples of different columns, shape (n,) from (n, m)."""
    one, two, three = X.sum(axis=1), (X**2).sum(axis=1), (X**3).sum(axis=1)
    total: Matrix = (one**3 - 3 * one * two + 2 * three) / 6
    return total


def posterior(votes: Given, there: Given, known: Accuracies) -> Matrix:
    """The chance that each answer is right, shape (n,), by Bayes' rule with independent errors.

    >>> known = Accuracies(np.array([0.9]), np.array([0.1]), 0.5, np.ones(1), np.zeros(1, int))
    >>> posterior(np.array([[True], [False]]), np.ones((2, 1), bool), known).round(2).tolist()
    [0.9, 0.1]
    """
    yes = np.log(known.true_positive / known.false_positive)
    no = np.log((1 - known.true_positive) / (1 - known.false_positive))
    odds = np.log(known.balance / (1 - known.balance)) + (np.where(there, np.where(votes, yes, no), 0) @ known.weight)
    chance: Matrix = 1 / (1 + np.exp(-odds))
    return chance


def best_of(queries: Queries, chance: Matrix, tiebreak: Matrix) -> Queries:
    """The row with the largest chance in each query, the larger ``tiebreak`` among equals, then the first; ascending.

    >>> best_of(np.array([0, 0, 1]), np.array([0.5, 0.5, 0.1]), np.array([0.0, 1.0, 0.0])).tolist()
    [1, 2]
    """
    order = np.lexsort((np.arange(len(queries)), -tiebreak, -chance, queries))
    first = np.diff(queries[order], prepend=-1) > 0
    return np.sort(order[first])


@dataclass(frozen=True)
class Distilled:
    """A cheap scorer of answers by their content: a logistic model of what the verifiers together believe."""

    weights: Matrix
    offset: float

    def __call__(self, X: npt.NDArray[Any]) -> Matrix:
        """The chance that each answer is right, shape (n,), from embeddings (n, d)."""
        chance: Matrix = 1 / (1 + np.exp(-(np.asarray(X, np.float64) @ self.weights + self.offset)))
        return chance


def distil(X: npt.NDArray[Any], chance: Matrix, penalty: float = 1.0) -> Distilled:
    """Fit the scorer to embeddings (n, d) and chances (n,) by the cross-entropy with the chances, not with hard labels.

    >>> X = np.array([[0.0], [1.0]] * 50); scorer = distil(X, np.array([0.2, 0.9] * 50))
    >>> scorer(np.array([[0.0], [1.0]])).round(1).tolist()
    [0.2, 0.9]
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    E = np.asarray(X, np.float64)
    middle, scale = E.mean(axis=0), max(float(E.std()), 1e-12)
    Z = (E - middle) / scale
    n, d = Z.shape

    def loss(at: Matrix) -> tuple[float, Matrix]:
        odds = Z @ at[:d] + at[d]
        value = (np.logaddexp(0, odds) - chance * odds).sum() + 0.5 * penalty * at[:d] @ at[:d]
        rest = expit(odds) - chance
        return float(value) / n, np.append(Z.T @ rest + penalty * at[:d], rest.sum()) / n

    found = minimize(loss, np.zeros(d + 1), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return Distilled(found[:d] / scale, float(found[d] - found[:d] @ middle / scale))


def graded(scores: Matrix, votes: Given, there: Given, known: Accuracies, levels: int) -> Matrix:
    """The log-odds that each score adds, shape (n, m), by its level and not only by its side of the cut; 0 where none.

    How often each of ``levels`` levels of a verifier's scores stands with right and with wrong answers is told by what
    the other verifiers believe. Their belief is not the truth, but where its errors do not depend on this verifier, it
    mixes the two distributions in known shares, which is undone. Higher scores never speak less for an answer
    (isotonic in the level).
    """
    out = np.zeros(scores.shape)
    for j in range(scores.shape[1]):
        rows = np.flatnonzero(there[:, j])
        others = there.copy()
        others[:, known.group == known.group[j]] = False
        belief = posterior(votes, others, known)[rows]
        edges = np.unique(np.quantile(scores[rows, j], np.arange(1, levels) / levels))
        level = np.searchsorted(edges, scores[rows, j], side="right")
        out[rows, j] = known.weight[j] * _level_odds(level, belief)[level]
    return out


def _level_odds(level: npt.NDArray[np.int64], belief: Matrix) -> Matrix:
    """The log of P(level | right) / P(level | wrong), from beliefs that are right as often as they say."""
    from sklearn.isotonic import isotonic_regression

    count = np.bincount(level).astype(np.float64)
    share = belief.mean()
    right, wrong = (belief**2).mean() / share, ((1 - belief) * belief).mean() / (1 - share)  # mean belief given truth
    mean = np.bincount(level, belief) / np.maximum(count, 1)
    chance = (mean - wrong) / max(right - wrong, 1e-6)  # P(right | level), the mixing undone
    chance = isotonic_regression(chance, sample_weight=np.maximum(count, 1e-9))
    chance = np.clip((chance * count + share) / (count + 1), _SURE, 1 - _SURE)
    odds: Matrix = np.log(chance / (1 - chance)) - np.log(share / (1 - share))
    return odds
