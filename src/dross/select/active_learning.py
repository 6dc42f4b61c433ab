"""Active learning: which rows to have labelled next, by uncertainty, diversity or the error that a label removes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Selector
from dross.core.results import NotApplicable, Rows, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.principal import Principal
from dross.signals.probabilities import Probabilities

Vectors = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

STRATEGIES = ("auto", "margin", "entropy", "k-center", "k-means++", "doubt-and-diversity", "error-reduction", "random")
UNINFORMED = ("k-center", "k-means++", "random")
"""Strategies that need no model, and so no labels."""
FEW_PER_CLASS = 2
"""Labelled rows per class up to which ``auto`` covers the content before it trusts a model's doubts."""
CANDIDATES = 4000
"""Rows among which error reduction searches: half those it would first take, half random ones."""
RIDGE = 1.0


# ---- the mathematics ---------------------------------------------------------------------------------------------


def margin_doubt(probs: Values) -> Values:
    """1 minus the margin between the two likeliest classes, shape (n,); 0 for sure, 1 for a tie.

    >>> margin_doubt(np.array([[0.5, 0.5], [0.75, 0.25]])).tolist()
    [1.0, 0.5]
    """
    if probs.shape[1] < 2:
        return np.zeros(len(probs))
    top = np.partition(probs, -2, axis=1)[:, -2:]
    return np.asarray(1 - (top[:, 1] - top[:, 0]))


def entropy(probs: Values) -> Values:
    """Entropy over its largest possible value, shape (n,), in [0, 1].

    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).round(6).tolist()
    [1.0, 0.0]
    """
    inside = np.where(probs > 0, -probs * np.log(np.maximum(probs, 1e-300)), 0.0).sum(axis=1)
    return np.asarray(inside / np.log(max(2, probs.shape[1])))


def cover(X: Vectors, known: Vectors, worth: Values, costs: Values, budget: float) -> Rows:
    """Greedy k-center: again and again the row farthest from all taken or known ones, shape (m,).

    Distances are weighed by ``worth`` and divided by cost; the first of nothing known is the row nearest to the middle.
    Within twice the best possible radius when worth and costs are equal (Gonzalez, 1985). O(n d) per row taken.

    >>> X = np.array([[0.0], [1.0], [10.0]], np.float32)
    >>> cover(X, X[:1], np.ones(3), np.ones(3), 2).tolist()
    [2, 1]
    """
    away = distance_to_set(X, known) if len(known) else None
    taken: list[int] = []
    free, left = np.ones(len(X), bool), budget
    while True:
        open_ = free & (costs <= left)
        if not open_.any():
            return np.array(taken, np.int64)
        if away is None:
            row = int(np.where(open_, np.square(X - X.mean(axis=0)).sum(axis=1), np.inf).argmin())
            away = np.full(len(X), np.inf)
        else:
            row = int(np.where(open_, worth * np.sqrt(away) / costs, -1.0).argmax())
        taken.append(row)
        free[row] = False
        left -= float(costs[row])
        np.minimum(away, np.square(X - X[row]).sum(axis=1), out=away)


def scatter(X: Vectors, known: Vectors, worth: Values, costs: Values, budget: float, rng: np.random.Generator) -> Rows:
    """k-means++ seeding: rows drawn by worth times squared distance to what is taken or known, over cost, shape (m,).

    Arthur, Vassilvitskii, 2007. O(n d) per row taken.

    >>> X = np.array([[0.0], [0.0], [9.0]], np.float32)
    >>> scatter(X, X[:1], np.ones(3), np.ones(3), 1, np.random.default_rng(0)).tolist()
    [2]
    """
    away = distance_to_set(X, known) if len(known) else np.ones(len(X))
    taken: list[int] = []
    free, left = np.ones(len(X), bool), budget
    while True:
        open_ = free & (costs <= left)
        if not open_.any():
            return np.array(taken, np.int64)
        chance = np.where(open_, worth * away / costs, 0.0)
        chance = chance if chance.sum() > 0 else open_.astype(np.float64)
        row = int(rng.choice(len(X), p=chance / chance.sum()))
        away = np.square(X - X[row]).sum(axis=1) if not taken and not len(known) else away
        taken.append(row)
        free[row] = False
        left -= float(costs[row])
        away = np.minimum(away, np.square(X - X[row]).sum(axis=1))


def distance_to_set(X: Vectors, known: Vectors) -> Values:
    """Squared distance of each row to the nearest of some others, shape (n,). O(n m d) time, O(n) memory.

    >>> distance_to_set(np.array([[3.0]], np.float32), np.array([[0.0], [1.0]], np.float32)).tolist()
    [4.0]
    """
    from dross.signals.neighbours import nearest_of

    return np.asarray(nearest_of(X, known, 1).distances[:, 0], np.float64) ** 2


def error_reduction(X: Vectors, probs: Values, known: Rows, candidates: Rows, costs: Values, budget: float) -> Rows:
    """Greedily the rows whose label should move the predictions of all rows most, per cost, shape (m,).

    For ridge regression on one-hot labels, with B the inverse of X'X + ridge over the labelled rows, a label y at x
    moves the prediction at z by (z'Bx)(y - f(x)) / (1 + x'Bx). Squared, summed over all z and in expectation over y
    ~ ``probs``, that is x'B (Z'Z) B x · (1 - sum of p²) / (1 + x'Bx)²: the expected reduction in squared error when the
    probabilities are right. B is updated after each row (Sherman-Morrison). O(candidates d²) per row taken.

    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], np.float32); P = np.full((3, 2), 0.5)
    >>> error_reduction(X, P, np.array([0]), np.array([1, 2]), np.ones(3), 1).tolist()
    [1]
    """
    Z = np.concatenate([X, np.ones((len(X), 1), np.float32)], axis=1).astype(np.float64)
    scale = np.sqrt(np.square(Z[:, :-1]).mean()) or 1.0
    Z[:, :-1] /= scale
    inverse = np.linalg.inv(Z[known].T @ Z[known] + RIDGE * np.eye(Z.shape[1]))
    together = Z.T @ Z / len(Z)
    spread = 1 - np.square(probs[candidates]).sum(axis=1)
    C, price = Z[candidates], costs[candidates]
    taken: list[int] = []
    free, left = np.ones(len(candidates), bool), budget
    while True:
        open_ = free & (price <= left)
        if not open_.any():
            return candidates[np.array(taken, np.int64)]
        moved = C @ inverse
        leverage = (moved * C).sum(axis=1)
        gain = ((moved @ together) * moved).sum(axis=1) * spread / np.square(1 + leverage) / price
        row = int(np.where(open_, gain, -1.0).argmax())
        taken.append(row)
        free[row] = False
        left -= float(price[row])
        inverse -= np.outer(moved[row], moved[row]) / (1 + leverage[row])


def affordable(order: Rows, costs: Values, budget: float) -> Rows:
    """The rows of an order that can be paid for, each taken if the money left suffices.

    >>> affordable(np.array([2, 0, 1]), np.array([1.0, 5.0, 3.0]), 4.0).tolist()
    [2, 0]
    """
    if (costs[order] == costs[order[:1]]).all():
        return order[: int(budget // float(costs[order[0]]))] if len(order) else order
    taken, left = [], budget
    for row in order.tolist():
        if costs[row] <= left:
            taken.append(row)
            left -= float(costs[row])
    return np.array(taken, np.int64)


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ActiveLearning(Selector):
    """The rows without a label that are most worth labelling next.

    Common practice (Settles, "Active Learning Literature Survey", 2009). Of what the model doubts: ``margin`` and
    ``entropy``. Of what is unlike the labelled rows: ``k-center`` and ``k-means++`` (drawn at random). Of both:
    ``doubt-and-diversity``, which is k-means++ weighed by doubt (after BADGE: Ash and others, 2019). Of whose label
    should move the predictions of all rows most: ``error-reduction``, in closed form for ridge regression. ``random``,
    to compare with. ``auto`` is k-means++ while there are at most two labels per class, then doubt and diversity.
    Where rows cost differently, worth is divided by cost.

    The model's doubts come from ``probs`` where the data has them, else from dross's own model of the labelled rows.

    Attributes
    ----------
    strategy
        One of those above.
    budget
        How many rows; where there is a cost column, how much may be spent.
    cost
        A column of what labelling each row costs, numbers above 0; "" where all rows cost 1.
    seed
        Of what is drawn.
    """

    needs: ClassVar = (Principal, Probabilities)

    strategy: str = "auto"
    budget: float = 100.0
    cost: str = ""
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Choose rows, the first to label first; weights are missing, the summary says what was done."""
        if self.strategy not in STRATEGIES:
            raise DrossError(f"no strategy is called {self.strategy!r}", fix=nearest(self.strategy, list(STRATEGIES)))
        if not self.budget > 0:
            raise DrossError(f"the budget must be above 0, not {self.budget}")
        codes = data.codes if data.has(Role.LABEL) else np.full(len(data), -1, np.int32)
        free, known = np.flatnonzero(codes < 0), np.flatnonzero(codes >= 0)
        if not len(free):
            return NotApplicable("every row has a label already")
        strategy = self._strategy(data, codes)
        if strategy not in UNINFORMED and not self._model(data):
            return NotApplicable(
                f"{strategy} needs rows of two classes with labels, or probabilities of a model (probs)"
            )
        costs = self._costs(data)
        chosen = self._choose(strategy, signals, free, known, costs)
        summary = {
            "strategy": strategy,
            "candidates": len(free),
            "labelled": len(known),
            "spent": round(float(costs[chosen].sum()), 6),
        }
        return Selection(chosen, summary=summary)

    def _strategy(self, data: Dataset, codes: npt.NDArray[np.int32]) -> str:
        if self.strategy != "auto":
            return self.strategy
        enough = data.has(Role.LABEL) and int((codes >= 0).sum()) > FEW_PER_CLASS * len(data.classes)
        return "doubt-and-diversity" if enough and self._model(data) else "k-means++"

    @staticmethod
    def _model(data: Dataset) -> bool:
        return data.has(Role.PROBS) or (data.has(Role.LABEL) and len(data.classes) > 1)

    def _costs(self, data: Dataset) -> Values:
        if not self.cost:
            return np.ones(len(data))
        if self.cost not in data.table.column_names:
            raise DrossError(f"no column {self.cost!r} for the costs", fix=nearest(self.cost, data.table.column_names))
        costs = data.numbers(self.cost)
        bad = np.flatnonzero(~(np.isfinite(costs) & (costs > 0)))
        if len(bad):
            where = f"column {self.cost!r}, row {int(bad[0])}"
            raise DrossError(f"{len(bad)} rows have no cost above 0", where=where, fix="give each row a cost")
        return costs

    def _choose(self, strategy: str, signals: Signals, free: Rows, known: Rows, costs: Values) -> Rows:
        rng = np.random.default_rng(self.seed)
        if strategy == "random":
            return affordable(rng.permutation(free), costs, self.budget)
        if strategy in {"margin", "entropy"}:
            doubt = (margin_doubt if strategy == "margin" else entropy)(self._probs(signals)[free])
            return affordable(free[np.argsort(-doubt / costs[free], kind="stable")], costs, self.budget)
        X: Vectors = np.asarray(signals[Principal()], np.float32)
        if strategy == "error-reduction":
            probs = self._probs(signals)
            some = shortlist(X, probs, known, free, costs, rng)
            return error_reduction(X, probs, known, some, costs, self.budget)
        worth = np.ones(len(free))
        if strategy == "doubt-and-diversity":
            worth = margin_doubt(self._probs(signals)[free]) ** 2  # scatter weighs by squared distance
        if strategy == "k-center":
            return free[cover(X[free], X[known], worth, costs[free], self.budget)]
        return free[scatter(X[free], X[known], worth, costs[free], self.budget, rng)]

    @staticmethod
    def _probs(signals: Signals) -> Values:
        probs: Any = np.asarray(signals[Probabilities()], np.float64)
        if not np.isfinite(probs).all():
            raise DrossError("some class probabilities are not numbers", where="the model's probabilities")
        return np.asarray(probs)


def shortlist(X: Vectors, probs: Values, known: Rows, free: Rows, costs: Values, rng: np.random.Generator) -> Rows:
    """The rows that error reduction searches among: all, or the most doubtful and random ones, ascending."""
    if len(free) <= CANDIDATES:
        return free
    order = free[np.argsort(-margin_doubt(probs[free]) / costs[free], kind="stable")]
    rest = rng.choice(order[CANDIDATES // 2 :], CANDIDATES // 2, replace=False)
    return np.sort(np.concatenate([order[: CANDIDATES // 2], rest]))
