"""Planted wrong labels: the labels of some rows replaced, by the mistakes the model suspects and by others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.calibrate.planting import Planting, Rows
from dross.core.dataset import Codes, Dataset
from dross.core.results import Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signal, Signals
from dross.signals.neighbours import Neighbours
from dross.signals.probabilities import Probabilities

Matrix = npt.NDArray[np.float64]

ISSUES = (Issue.LABEL, Issue.VALUE)
WANTED = 2000
"""Planted defects to aim at."""
AT_ONCE = 0.05
"""Share of the rows that carry a planted defect at one time."""
ROUNDS = {Issue.LABEL: 16, Issue.VALUE: 2}
"""Most variants of the data; valuing every row again is slow."""
MOST_CLASSES = 2000
ENOUGH = 200_000
"""Rows that tell the rates of mistakes."""
PRIOR_ROWS = 3.0
"""Rows of each class by whose weight the mistakes seen are drawn towards uniform ones."""


def plant(
    data: Dataset, signals: Signals, issue: Issue, rng: np.random.Generator
) -> Iterator[Planting] | NotApplicable:
    """Change the label of a random sample of the labelled rows, in several rounds where rows are few."""
    if not data.has(Role.LABEL):
        return NotApplicable("the rows have no label to change")
    k = len(data.classes)
    if k < 2:
        return NotApplicable("the labels have fewer than two classes")
    labelled = np.flatnonzero(data.codes >= 0)
    if len(labelled) < 20:
        return NotApplicable(f"{len(labelled)} labelled rows are too few to plant defects among")
    return _rounds(data, signals, labelled, noise_of(data, signals), ROUNDS[issue], rng)


def noise_of(data: Dataset, signals: Signals) -> Matrix:
    """How likely each class is given as each other, shape (k, k), zero diagonal, from the model where there is one."""
    k = len(data.classes)
    if k <= MOST_CLASSES and Probabilities() in signals:
        probs = signals[Probabilities()]
        if probs.shape == (len(data), k):
            step = -(-len(data) // ENOUGH)
            rates = noise_rates(data.codes[::step], np.asarray(probs[::step]))
            rates[:, np.bincount(data.codes[data.codes >= 0], minlength=k) == 0] = 0.0  # nobody writes such a label
            return rates
    return np.full((1, k), 1 / max(1, k - 1))


def noise_rates(codes: Codes, probs: npt.NDArray[Any], prior: float = PRIOR_ROWS) -> Matrix:
    """How often the rows that the model is sure are class i carry the label j, shape (k, k), zero diagonal.

    Rows weigh by the square of the lead of their first class over the second, which does not depend on their label,
    so the rates are those of the labels and not of the model's doubts; each class starts from ``prior`` rows of the
    average rate spread evenly over the other classes.

    >>> sure = np.eye(2)[[0, 0, 0, 1]]
    >>> noise_rates(np.array([0, 0, 1, 1], np.int32), sure, prior=0.0).round(2).tolist()
    [[0.0, 0.33], [0.0, 0.0]]
    """
    k = probs.shape[1]
    known = codes >= 0
    given, probs = codes[known], probs[known]
    best = probs.argmax(axis=1)
    first = probs[np.arange(len(given)), best]
    rest = probs.copy()
    rest[np.arange(len(given)), best] = -1.0
    weight = np.square((first - rest.max(axis=1)).astype(np.float64))
    counts = np.bincount(best.astype(np.int64) * k + given, weight, k * k).reshape(k, k)
    total = counts.sum(axis=1)
    np.fill_diagonal(counts, 0.0)
    rate = max(counts.sum() / max(total.sum(), 1e-12), 1e-6)
    start = prior * max(float(weight.mean()), 1e-12)
    even = (1 - np.eye(k)) * rate / (k - 1)
    rates: Matrix = (counts + start * even) / np.maximum(total + start, 1e-12)[:, None]
    return rates


def draw_labels(codes: Codes, rates: Matrix, rng: np.random.Generator) -> Codes:
    """Another label for each row, drawn by the rates of its own; shape (m,).

    >>> draw_labels(np.array([0, 1], np.int32), np.array([[0.0, 1.0], [1.0, 0.0]]), np.random.default_rng(0)).tolist()
    [1, 0]
    """
    k = rates.shape[1]
    even: Codes = ((codes + rng.integers(1, k, len(codes))) % k).astype(np.int32)
    if len(rates) != k:
        return even
    towards = np.cumsum(rates, axis=1)
    point = rng.random(len(codes)) * towards[codes, -1]
    drawn = np.empty(len(codes), np.int32)
    for c in np.unique(codes):
        own = codes == c
        drawn[own] = np.searchsorted(towards[c], point[own], "right")
    return np.where((drawn == codes) | (drawn >= k), even, drawn).astype(np.int32)


def model_outputs(signals: Signals) -> tuple[type[Signal[Any]], ...]:
    """The kinds of signal in use that learnt from the labels: they stay those of the data as it is.

    Their value at a row comes from a model that did not see that row's label, so each planted defect is scored as if
    it were the only one.
    """
    learnt = {Role.LABEL, Role.LABELS, Role.TARGET}
    kinds = [kind for kind in signals.used() if learnt & set(kind.reads)]
    return tuple(sorted(kinds, key=lambda kind: kind.__name__))


def spread(candidates: Rows, signals: Signals, n: int) -> Rows:
    """Those candidates that have no other candidate among their nearest rows: they would hide each other."""
    if Neighbours() not in signals:
        return candidates
    near = signals[Neighbours()].indices[candidates]
    chosen = np.zeros(n + 1, np.bool_)  # the last place stands for "no neighbour", position -1
    chosen[candidates] = True
    chosen[n] = False
    return candidates[~chosen[near].any(axis=1)]


def pick(weights: npt.NDArray[np.float64], m: int, rng: np.random.Generator) -> Rows:
    """``m`` positions without repetition, ascending, likelier the larger their weight (exponential keys)."""
    keys = rng.exponential(size=len(weights)) / np.maximum(weights, 1e-300)
    return np.sort(np.argpartition(keys, min(m, len(keys)) - 1)[:m])


def rounds_for(n: int, most: int) -> tuple[int, int]:
    """How many rows to change at once, and in how many variants, to plant :data:`WANTED` defects.

    >>> rounds_for(1_000_000, 16), rounds_for(2000, 16)
    ((2000, 1), (100, 16))
    """
    at_once = int(np.clip(AT_ONCE * n, 1, WANTED))
    kept = at_once * (1 - at_once / n) ** 10
    return at_once, int(np.clip(np.ceil(0.95 * WANTED / kept), 1, most))


def _rounds(
    data: Dataset, signals: Signals, labelled: Rows, rates: Matrix, most: int, rng: np.random.Generator
) -> Iterator[Planting]:
    codes = data.codes
    at_once, rounds = rounds_for(len(labelled), most)
    own = rates.sum(axis=1) if len(rates) > 1 else np.ones(rates.shape[1])
    weights = own[codes[labelled]]
    sizes = np.bincount(codes[labelled], minlength=len(data.classes))
    carry = model_outputs(signals)
    often = _frequencies(data, signals, rates)
    for _ in range(rounds):
        rows = spread(labelled[pick(weights, at_once, rng)], signals, len(data))
        taken = np.bincount(codes[rows], minlength=len(sizes))
        rows = rows[(taken < sizes)[codes[rows]]]  # no class may vanish: the codes would shift
        changed = codes.copy()
        changed[rows] = draw_labels(codes[rows], rates, rng)
        planted = with_codes(data, changed)
        yield Planting(
            planted,
            signals.derive(planted, carry=carry),
            rows,
            rows,
            decoys=np.empty(0, np.int64),
            strata=(changed[rows], codes),
            frequencies=None if often is None else (rates[codes[rows], changed[rows]], often),
        )


def _frequencies(data: Dataset, signals: Signals, rates: Matrix) -> npt.NDArray[np.float64] | None:
    """How frequent the mistake is that each row makes if the model is right, shape (n,); infinite where they agree."""
    k = rates.shape[1]
    if len(rates) != k or k < 3:
        return None
    best = np.asarray(signals[Probabilities()]).argmax(axis=1)
    rate: npt.NDArray[np.float64] = np.where(best == data.codes, np.inf, rates[best, np.maximum(data.codes, 0)])
    return rate


def label_array(data: Dataset, codes: Codes) -> pa.Array:
    """Labels as values of the label column's type, from class codes; -1 is missing."""
    kind = data.column(Role.LABEL).type
    values = pa.array(data.classes, kind.value_type if pa.types.is_dictionary(kind) else kind)
    labels = values.take(pa.array(codes, mask=codes < 0))
    return labels.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else labels


def with_codes(data: Dataset, codes: Codes) -> Dataset:
    """The same rows with other labels, given as class codes; -1 is missing."""
    return data.with_column(data.name_of(Role.LABEL), label_array(data, codes))
