"""Label-powerset conformal prediction: which of the 2^k sets of k labels cannot be ruled out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel, over_rows
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Evaluator
from dross.core.paper import Paper
from dross.core.results import Estimate, Metrics, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import shuffled
from dross.core.statistics import wilson
from dross.models.conformal import p_values, quantile
from dross.signals.multilabel_probabilities import MultilabelProbabilities, given_labels

Values = npt.NDArray[np.float64]
Given = npt.NDArray[np.bool_]

MOST_SETS = 100_000
"""Label-sets of one row that are listed or counted at most."""
LEAST = 20
"""Labelled rows without which nothing can be promised."""
_SLACK = 1e-9


# ---- the mathematics -------------------------------------------------------------------------------------------------


def nonconformity(probs: npt.NDArray[Any], given: Given, power: float) -> Values:
    """How badly a label-set fits the outputs: the sum of |label - output| to a power, shape (n,), from (n, k) each.

    >>> nonconformity(np.array([[0.75, 0.5]]), np.array([[True, False]]), 2.0).tolist()
    [0.3125]
    """
    away = np.abs(given - np.asarray(probs, np.float64)) ** power
    total: Values = away.sum(axis=1)
    return total


def flip_costs(probs: npt.NDArray[Any], power: float) -> tuple[Values, Values]:
    """The score of each row's best-fitting label-set, (n,), and what flipping each of its labels adds, (n, k), ≥ 0.

    >>> least, costs = flip_costs(np.array([[0.75, 0.0]]), 1.0); least.tolist(), costs.tolist()
    ([0.25], [[0.5, 1.0]])
    """
    P = np.asarray(probs, np.float64)
    near, far = np.minimum(P, 1 - P) ** power, np.maximum(P, 1 - P) ** power
    return near.sum(axis=1), far - near


def label_sets(
    probs: npt.NDArray[Any], calibration: Values, epsilon: float, power: float, most: int = MOST_SETS
) -> tuple[Given, Values]:
    """All label-sets of one row whose p-value exceeds ``epsilon``: (m, k) bool, and their p-values (m,), best first.

    ``probs`` (k,) are the row's outputs, ``calibration`` (n,) the nonconformity of calibration rows with their own
    labels. Time and memory are those of the answer, O(m k), not of the 2^k label-sets: a set whose score is too large
    rules out all that flip the same labels and more. Raises DrossError where there are more than ``most``.

    >>> sets, p = label_sets(np.array([0.9, 0.4]), np.array([0.1, 0.2, 0.5, 0.9]), 0.25, 2.0)
    >>> sets.tolist(), p.tolist()
    ([[True, False], [True, True]], [0.8, 0.6])
    """
    least, costs = flip_costs(np.asarray(probs)[None], power)
    order = np.argsort(costs[0], kind="stable")
    budget = np.array([quantile(calibration, epsilon) - least[0] + _SLACK])
    count = int(count_sets(costs[0][order][None], budget, most + 1)[0])
    if count > most:
        raise DrossError(
            f"more than {most:,} label-sets have a p-value above {epsilon:g}",
            fix="raise epsilon, or calibrate on more rows or with a better model",
        )
    flips, added = np.zeros((count, len(order)), bool), np.zeros(count)
    list_sets(costs[0][order], budget[0], flips, added)
    found = np.empty_like(flips)
    found[:, order] = flips
    best = np.argsort(added, kind="stable")
    scores = least[0] + added[best] - _SLACK  # so that rounding cannot put a score above an equal calibration score
    return found[best] ^ (np.asarray(probs) > 0.5), p_values(calibration, scores)


@kernel()
def count_sets(costs: Any, budgets: Any, most: int) -> Any:
    """How many sets of flips cost at most the budget, per row, at most ``most``; ``costs`` (n, k) ascend in a row."""
    n, k = costs.shape
    out = np.zeros(n, np.int64)
    stack, spent = np.empty(k, np.int64), np.empty(k + 1)
    for i in range(n):
        if budgets[i] < 0:
            continue
        out[i], depth, at, spent[0] = 1, 0, 0, 0.0
        while out[i] < most:
            if at < k and spent[depth] + costs[i, at] <= budgets[i]:
                stack[depth], spent[depth + 1] = at, spent[depth] + costs[i, at]
                depth += 1
                at += 1
                out[i] += 1
            elif depth == 0:
                break
            else:  # costs ascend: no later flip fits either, so the last flip moves on
                depth -= 1
                at = stack[depth] + 1
    return out


@kernel()
def list_sets(costs: Any, budget: float, flips: Any, added: Any) -> None:
    """The sets :func:`count_sets` counts in one row: ``flips`` (m, k), all false at first, and their costs (m,)."""
    m, k = flips.shape
    stack, spent = np.empty(k, np.int64), np.empty(k + 1)
    depth, at, spent[0], row = 0, 0, 0.0, 1
    while row < m:
        if at < k and spent[depth] + costs[at] <= budget:
            stack[depth], spent[depth + 1] = at, spent[depth] + costs[at]
            depth += 1
            at += 1
            for d in range(depth):
                flips[row, stack[d]] = True
            added[row] = spent[depth]
            row += 1
        elif depth == 0:
            break
        else:
            depth -= 1
            at = stack[depth] + 1


def numbers_of_sets(probs: npt.NDArray[Any], calibration: Values, epsilon: float, power: float) -> npt.NDArray[Any]:
    """How many label-sets of each row have a p-value above ``epsilon``, shape (n,); at most 100,000 are counted.

    >>> numbers_of_sets(np.array([[0.9, 0.4], [0.5, 0.5]]), np.array([0.1, 0.2, 0.5, 0.9]), 0.25, 2.0).tolist()
    [2, 4]
    """
    least, costs = flip_costs(probs, power)
    costs.sort(axis=1)
    budgets = quantile(calibration, epsilon) - least + _SLACK
    parts = over_rows(lambda a, b: count_sets(costs[a:b], budgets[a:b], MOST_SETS), len(costs), least=64)
    return np.concatenate(parts)


# ---- the evaluator ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LabelPowersetConformal(Evaluator):
    """Whether sets of label-sets keep their promise where a row may have several labels, and how tight they are.

    Maltoudoglou, Paisios, Lenc, Martínek, Král, Papadopoulos, "Well-calibrated Confidence Measures for Multi-label Text
    Classification with a Large Number of Labels", 2023: every subset of the labels is a class of its own; its
    nonconformity is the distance between it and the model's outputs, its p-value the share of calibration rows that fit
    no better. At significance epsilon the label-sets with a larger p-value are kept, and the true one is among them
    with a chance of at least 1 - epsilon. Label-sets that must fall below epsilon are never looked at: from the
    best-fitting one, flips are tried in order of cost, and what one flip rules out no further flip can bring back, so
    the time is that of the answer. The answer is that of all 2^k label-sets (see :func:`label_sets`).

    Half of the labelled rows calibrate and the other half is judged, both with out-of-fold probabilities (or those that
    the user brought), so they are exchangeable and the promise is exact.

    Attributes
    ----------
    significance
        The error rates promised.
    power
        What differences between a label and its output are raised to.
    seed
        Of the halves.
    """

    paper: ClassVar = Paper(
        "Well-calibrated Confidence Measures for Multi-label Text Classification with a Large Number of Labels",
        2023,
        "2312.09304",
    )
    alias: ClassVar = "lp-icp"
    needs: ClassVar = (Role.LABELS, MultilabelProbabilities)

    significance: tuple[float, ...] = (0.01, 0.05, 0.1, 0.15, 0.2)
    power: float = 2.0
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Metrics | NotApplicable:
        """Error rate and number of label-sets at each significance, on the half that did not calibrate."""
        if not self.significance or not all(0 < e < 1 for e in self.significance) or self.power <= 0:
            raise DrossError("significance levels must lie between 0 and 1, and the power must be positive")
        given = given_labels(data)
        rows = shuffled(data, self.seed)
        rows = rows[given.known[rows]]
        if len(rows) < LEAST or len(given.names) < 2:
            return NotApplicable(
                f"{len(rows)} rows with {len(given.names)} labels: {LEAST} rows and 2 labels are least"
            )
        P = np.asarray(signals[MultilabelProbabilities()])
        known, new = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        calibration = nonconformity(P[known], given.matrix[known], self.power)
        own = p_values(calibration, nonconformity(P[new], given.matrix[new], self.power))
        values, counted = self._at_each(P[new], calibration, own)
        least, costs = flip_costs(P[new], self.power)
        right = ((P[new] > 0.5) == given.matrix[new]).all(axis=1)
        values |= {
            "accuracy of the best label-set": _share(int(right.sum()), len(right)),
            "credibility": _mean(p_values(calibration, least)),
            "confidence": _mean(1 - p_values(calibration, least + costs.min(axis=1))),
        }
        summary = {
            "labels": len(given.names),
            "possible_label_sets": 2.0 ** len(given.names),
            "calibration_rows": len(known),
            "judged_rows": len(new),
            "median_label_sets": counted,
            "counted_at_most": MOST_SETS,
        }
        return Metrics(values, summary)

    def _at_each(
        self, P: npt.NDArray[Any], calibration: Values, own: Values
    ) -> tuple[dict[str, Estimate], dict[str, float]]:
        values: dict[str, Estimate] = {}
        counted: dict[str, float] = {}
        for epsilon in self.significance:
            values[f"error rate at {epsilon:g}"] = _share(int((own <= epsilon).sum()), len(own))
            numbers = numbers_of_sets(P, calibration, epsilon, self.power)
            values[f"label-sets at {epsilon:g}"] = _mean(numbers)
            values[f"rows with one label-set at {epsilon:g}"] = _share(int((numbers == 1).sum()), len(numbers))
            counted[f"{epsilon:g}"] = float(np.median(numbers))
        return values, counted


def _share(hits: int, of: int) -> Estimate:
    low, high = wilson([hits], [of])
    return hits / of, float(low[0]), float(high[0])


def _mean(values: npt.NDArray[Any]) -> Estimate:
    """The mean with its 95 % interval by the normal law."""
    mean, half = float(values.mean()), 1.96 * float(values.std()) / np.sqrt(len(values))
    return mean, mean - half, mean + half
