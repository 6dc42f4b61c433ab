"""Rules written by machine: thresholds on few features that vote for a class, chosen for accuracy and for variety."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dross.models.label_models import fit
from dross.models.votes import from_matrix

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

CANDIDATES = 12
"""Rules of each class that are weighed against each other in a round."""
PATIENCE = 3
"""Rounds without progress before no more rules are written."""
LEAST_WEIGHT = 0.1


@dataclass(frozen=True)
class Rule:
    """Votes for a class where every condition holds; each is a feature, a threshold, and whether to be above it."""

    label: int
    conditions: tuple[tuple[int, float, bool], ...]
    f1: float

    def fires(self, X: Vectors) -> Flags:
        """Where the rule votes, shape (n,).

        >>> Rule(0, ((0, 0.5, True),), 1.0).fires(np.array([[0.0], [1.0]], np.float32)).tolist()
        [False, True]
        """
        out = np.ones(len(X), bool)
        for feature, threshold, above in self.conditions:
            out &= (X[:, feature] > threshold) == above
        return out

    def __str__(self) -> str:
        """The conditions in words.

        >>> str(Rule(0, ((3, 0.5, True), (1, 2.0, False)), 1.0))
        'feature 3 > 0.5 and feature 1 <= 2'
        """
        return " and ".join(f"feature {f} {'>' if above else '<='} {t:.4g}" for f, t, above in self.conditions)


def stumps(X: Vectors, positive: Flags, weights: Floats, within: Flags) -> tuple[Floats, Floats]:
    """The best threshold of each feature in each direction and its F1, both of shape (d, 2): below, above.

    F1 is of "positive" by "the feature is below (above) and the row is ``within``", rows counting by their weight. Only
    thresholds halfway between two different values are tried. O(d l log l).

    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32)
    >>> f1, at = stumps(X, np.array([False, False, True, True]), np.ones(4), np.ones(4, bool))
    >>> f1.tolist(), at[0, 1]
    ([[0.4, 1.0]], np.float64(1.5))
    """
    order = np.argsort(X, axis=0, kind="stable")
    values = np.take_along_axis(X, order, axis=0).astype(np.float64)
    hits, fired = (weights * within * positive)[order], (weights * within)[order]
    total = max(float((weights * positive).sum()), 1e-12)
    below_hits, below_fired = np.cumsum(hits, axis=0)[:-1], np.cumsum(fired, axis=0)[:-1]
    f1 = np.stack(
        [
            2 * below_hits / (below_fired + total),
            2 * (hits.sum(axis=0) - below_hits) / (fired.sum(axis=0) - below_fired + total),
        ],
        axis=2,
    )
    f1[values[1:] <= values[:-1]] = -1
    if not len(f1):
        return np.full((X.shape[1], 2), -1.0), np.zeros((X.shape[1], 2))
    best = f1.argmax(axis=0)
    middles = (values[1:] + values[:-1]) / 2
    return np.take_along_axis(f1, best[None], axis=0)[0], middles[best, np.arange(X.shape[1])[:, None]]


def best_stumps(
    X: Vectors, positive: Flags, weights: Floats, within: Flags, count: int
) -> list[tuple[float, tuple[int, float, bool]]]:
    """The conditions of greatest F1, the best first."""
    f1, at = stumps(X, positive, weights, within)
    order = np.argsort(-f1, axis=None, kind="stable")[:count]
    return [(float(f1.flat[i]), (int(i) // 2, float(at.flat[i]), bool(i % 2))) for i in order if f1.flat[i] > 0]


def synthesize(X: Vectors, codes: Ints, label: int, weights: Floats, conditions: int) -> list[Rule]:
    """Candidate rules for one class from labelled rows: single conditions, and the best of them with more added."""
    positive = codes == label
    everywhere = np.ones(len(codes), bool)
    found = [Rule(label, (c,), f1) for f1, c in best_stumps(X, positive, weights, everywhere, CANDIDATES)]
    grown = found[: CANDIDATES // 3]
    for _ in range(conditions - 1):
        longer = []
        for rule in grown:
            for f1, condition in best_stumps(X, positive, weights, rule.fires(X), 2):
                if f1 > rule.f1 + 1e-9:
                    longer.append(Rule(label, (*rule.conditions, condition), f1))
        found += longer
        grown = sorted(longer, key=lambda rule: -rule.f1)[: CANDIDATES // 3]
    return found


def apart(fires: Flags, covered: Flags) -> float:
    """How little a rule's rows overlap with those covered already: one less their Jaccard similarity.

    >>> apart(np.array([True, True, False]), np.array([False, True, False]))
    0.5
    """
    either = int((fires | covered).sum())
    return 1 - int((fires & covered).sum()) / either if either else 0.0


def prune(candidates: list[Rule], X: Vectors, covered: Flags, known: set[tuple[object, ...]]) -> Rule | None:
    """The candidate that is best by F1 and by variety together, None where nothing new is left."""
    scored = [
        (rule.f1 + apart(rule.fires(X), covered), -i, rule)
        for i, rule in enumerate(candidates)
        if rule.conditions not in known
    ]
    return max(scored)[2] if scored else None


def votes_matrix(rules: list[Rule], X: Vectors) -> npt.NDArray[np.int64]:
    """Each rule's vote on each row, -1 where it abstains, (n, r)."""
    return np.stack([np.where(rule.fires(X), rule.label, -1) for rule in rules], axis=1)


def write_rules(
    X: Vectors, rows: Ints, codes: Ints, k: int, *, rounds: int, conditions: int, model: str
) -> tuple[list[Rule], Floats]:
    """Write rules until the labelled rows are no longer better explained; the rules and all rows' chances, (n, k).

    Varma, Ré, "Snuba: Automating Weak Supervision to Label Training Data", 2019: a synthesizer proposes rules on few
    features, a pruner keeps the one best in accuracy and variety, a verifier (a label model on all rows, labelled or
    not) says which labelled rows are still in doubt, and the next rules are written for those. Here a rule votes for
    one class or abstains, so that there may be many classes, and each round writes one rule a class.
    """
    balance: Floats = np.asarray(np.bincount(codes, minlength=k) + 1.0, np.float64)
    balance /= balance.sum()
    weights = np.ones(len(rows))
    rules: list[Rule] = []
    best: tuple[float, list[Rule], Floats] = (-np.inf, [], np.tile(balance, (len(X), 1)))
    waited = 0
    for _ in range(rounds):
        before = len(rules)
        for label in range(k):
            own = [rule for rule in rules if rule.label == label]
            covered = np.any([rule.fires(X) for rule in own], axis=0) if own else np.zeros(len(X), bool)
            chosen = prune(
                synthesize(X[rows], codes, label, weights, conditions), X, covered, {rule.conditions for rule in own}
            )
            if chosen:
                rules.append(chosen)
        if len(rules) == before:
            break
        probs = judge(rules, X, k, balance, model)
        own_chance = probs[rows, codes]
        progress = float(np.log(np.maximum(own_chance, 1e-3)).mean())
        waited = 0 if progress > best[0] + 1e-3 else waited + 1
        if progress > best[0]:
            best = progress, list(rules), probs
        if waited >= PATIENCE:
            break
        weights = np.maximum(1 - own_chance, LEAST_WEIGHT)
    return best[1], best[2]


def judge(rules: list[Rule], X: Vectors, k: int, balance: Floats, model: str) -> Floats:
    """What a label model makes of the rules' votes, (n, k); the class balance where no rule fires."""
    votes = votes_matrix(rules, X)
    out = np.tile(balance, (len(X), 1))
    some = (votes >= 0).any(axis=1)
    if some.any():
        out[some] = fit(model, from_matrix(votes[some], k), balance).probs
    return out
