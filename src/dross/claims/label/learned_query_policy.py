"""Learned query policy: twenty questions with noisy answers, better in the worst class than uncertainty sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dross.claims import Budget, Evidence, claim, interval
from dross.label.learned_query_policy import DIFFICULTIES, LearnedQueryPolicy, learn, matches, play, worlds

PAPER = "Learning to Actively Learn: A Robust Approach"
QUESTIONS, REPEATS, PROFILES = 20, 20, 6
Array = npt.NDArray[Any]
ASKED = (
    "hair, feathers, lays eggs, gives milk, flies, lives in water, hunts, has teeth, has a backbone, "
    "breathes with lungs, venomous, fins, legs, four legs, six legs or more, tail, kept by people, larger than a cat, "
    "eats mainly plants, hooves, warm-blooded, hard shell"
)
"""What the columns of the table are."""
ANIMALS = {
    "dog": "1001001111001101110010",
    "horse": "1001000111001101111110",
    "rabbit": "1001000111001101101010",
    "bat": "1001101111001001000010",
    "dolphin": "0001011111010001010010",
    "platypus": "1011011011101101000010",
    "chicken": "0110000011001001101010",
    "eagle": "0110101011001001010010",
    "penguin": "0110011011001001010010",
    "duck": "0110110011001001101010",
    "crocodile": "0010011111001101010000",
    "cobra": "0010001111100001000000",
    "tortoise": "0010000011001101001001",
    "frog": "0010011111001100000000",
    "shark": "0000011110010001010000",
    "goldfish": "0010010110010001100000",
    "bee": "1010100000101010101000",
    "spider": "1010001000101010000000",
    "crab": "0010011000001010000001",
    "snail": "0010000001000000001001",
}
"""Twenty animals and their attributes, in the order of ``ASKED``."""


@claim(
    method="learned-query-policy",
    paper=PAPER,
    says="one learned algorithm competes with the best one for each problem class, with a few dozen queries",
    fast=False,
)
def learned_questions_find_the_animal_in_the_worst_class(budget: Budget) -> Evidence:
    """Twenty questions about twenty animals by 22 attributes, answered with noise; a few questions mislead.

    Worlds (animal, noise of each question) are drawn afresh for the test, in three classes of difficulty. Uncertainty
    sampling asks the most undecided question under a posterior that trusts an answer to nine tenths; all ways name the
    animal that the fewest answers contradict. The worst class is that of largest error; 'regret' is the excess over
    the best of all ways in that class, and the worst of it.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        error = _one(seed)
        names = [f"class {level + 1}" for level in range(len(DIFFICULTIES))]
        for way, values in error.items():
            for name, value in zip(names, values, strict=True):
                kept.setdefault(f"error, {way}, {name}", []).append(value)
            kept.setdefault(f"worst-class error, {way}", []).append(float(values.max()))
            regret = values - np.min(list(error.values()), axis=0)
            kept.setdefault(f"worst regret, {way}", []).append(float(regret.max()))
        for other in ("uncertainty", "random"):
            gain = error[other].max() - error["learned"].max()
            kept.setdefault(f"points of worst-class error below {other}", []).append(float(gain))
    measured = {name: interval(values) for name, values in kept.items()}
    holds = all(measured[f"points of worst-class error below {other}"][1] > 0 for other in ("uncertainty", "random"))
    note = "The policy is a softmax over ten features of a question, not a network; the noise is simulated."
    return Evidence(measured, holds, over=budget.seeds, note=note)


def _one(seed: int) -> dict[str, Array]:
    match, policy = matches(attributes().T, 2), LearnedQueryPolicy()
    rng = np.random.default_rng(seed)
    weights, _ = learn(match, QUESTIONS, policy.rounds, policy.batch, rng)
    fresh = worlds(match, np.random.default_rng(1000 + seed), PROFILES)
    games = np.tile(np.arange(len(fresh.truth)), REPEATS)
    found = {}
    for way, rule in (("learned", weights), ("uncertainty", "uncertainty"), ("random", "random")):
        loss, _ = play(rule, match, fresh.truth[games], fresh.reliability[games], QUESTIONS, rng)
        level = fresh.level[games]
        found[way] = np.array([100 * loss[level == k].mean() for k in range(len(DIFFICULTIES))])
    return found


def attributes() -> Array:
    """The table of animals by attributes, shape (20, 22), 0 or 1."""
    return np.array([[int(mark) for mark in marks] for marks in ANIMALS.values()])
