"""Weak supervision: a label model beats the majority vote where sources differ, and is not worse where they do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Labels
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.weak_supervision import WeakSupervision

Array = npt.NDArray[Any]
ROWS = 4000


@claim(
    method="weak-supervision",
    paper="Snorkel: Rapid Training Data Creation with Weak Supervision",
    says="modelling the sources' accuracies and dependences from their votes alone labels better than a majority vote",
)
def modelled_sources_label_better_than_a_majority(budget: Budget) -> Evidence:
    """Points of accuracy that ``auto`` gains over the majority vote, on votes made in six ways.

    Rules that fire for one class each, on 4 to 25 % of the rows and 55 to 95 % of them right; the same with two
    shadowing others; people of accuracy 0.55 to 0.95; people of whom six of twenty repeat a leader; people all alike,
    where there is nothing to gain; and three sources that seldom meet. It must gain two points, surely, in the first
    four, and lose no more than half a point in any.
    """
    gains: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, (votes, truth) in _made(seed).items():
            gains.setdefault(name, []).append(_gain(votes, truth))
    measured = {f"points gained: {name}": interval(values) for name, values in gains.items()}
    surely = [measured[f"points gained: {name}"] for name in ("rules", "shadowed rules", "people", "repeating people")]
    holds = all(mean >= 2 and low > 0 for mean, low, _ in surely)
    holds = holds and min(mean for mean, _, _ in measured.values()) > -0.5
    return Evidence(measured, holds, over=budget.seeds)


def _gain(votes: Array, truth: Array) -> float:
    columns = {f"source_{j}": pa.array(votes[:, j].astype(np.int64)) for j in range(votes.shape[1])}
    data = Dataset(pa.table(columns), {Role.VOTES: list(columns)})
    chosen, plain = (_accuracy(WeakSupervision(model=model).run(data, Signals(data)), truth) for model in _PAIR)
    return 100 * (chosen - plain)


_PAIR = ("auto", "majority")


def _accuracy(labels: Any, truth: Array) -> float:
    """The share of labelled rows whose likeliest class is right; a tie of ``t`` classes counts ``1 / t``."""
    assert isinstance(labels, Labels)
    known = ~labels.abstained
    probs, right = labels.probs[known], truth[known]
    best = probs >= probs.max(axis=1, keepdims=True) - 1e-7
    return float((best[np.arange(len(right)), right] / best.sum(axis=1)).mean())


def _made(seed: int) -> dict[str, tuple[Array, Array]]:
    rng = np.random.default_rng(seed)
    shadowed, truth = _rules(rng, 20)
    for leader, follower in ((0, 2), (1, 3)):
        copied = rng.random(ROWS) < 0.7
        shadowed[copied, follower] = shadowed[copied, leader]
    apart = np.full((ROWS, 3), -1)
    met, met_truth = _people(rng, np.array([0.9, 0.7, 0.6]))
    alone = np.arange(ROWS), rng.integers(0, 3, ROWS)
    apart[alone] = met[alone]
    return {
        "rules": _rules(rng, 20),
        "shadowed rules": (shadowed, truth),
        "people": _people(rng, np.linspace(0.55, 0.95, 7)),
        "repeating people": _repeating(rng),
        "people all alike": _people(rng, np.full(7, 0.75)),
        "sources that seldom meet": (apart, met_truth),
    }


def _rules(rng: np.random.Generator, m: int) -> tuple[Array, Array]:
    balance = np.array([0.6, 0.4])
    truth = rng.choice(2, ROWS, p=balance)
    votes = np.full((ROWS, m), -1)
    for j in range(m):
        fires, right = rng.uniform(0.04, 0.25), rng.uniform(0.55, 0.95)
        chance = fires * np.where(truth == j % 2, right / balance[j % 2], (1 - right) / balance[1 - j % 2])
        votes[rng.random(ROWS) < chance, j] = j % 2
    return votes, truth


def _people(rng: np.random.Generator, accuracy: Array) -> tuple[Array, Array]:
    """Each sees 80 % of the rows."""
    truth = rng.integers(0, 2, ROWS)
    right = rng.random((ROWS, len(accuracy))) < accuracy
    votes = np.where(right, truth[:, None], 1 - truth[:, None])
    votes[rng.random(votes.shape) < 0.2] = -1
    return votes, truth


def _repeating(rng: np.random.Generator) -> tuple[Array, Array]:
    votes, truth = _people(rng, np.linspace(0.6, 0.8, 20))
    leader = np.where(rng.random(ROWS) < 0.7, truth, 1 - truth)
    who = rng.permutation(20)[:6]
    copied = (rng.random((ROWS, 6)) < 0.9) & (votes[:, who] >= 0)
    votes[:, who] = np.where(copied, leader[:, None], votes[:, who])
    return votes, truth
