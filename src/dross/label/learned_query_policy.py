"""Learned query policy: which rows to ask about, to learn in few noisy answers which candidate labelling is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Labeler
from dross.core.paper import Paper
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.votes import votes_of

Values = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

MOST_QUESTIONS, MOST_CANDIDATES = 64, 64
DIFFICULTIES = (1.0, 1.5, 2.25)
"""Sample complexities of the difficulty classes, as multiples of the median one without further noise."""
PROFILES = 3
"""Opponent's instances per candidate and difficulty class: different answers may be noisy to different degrees."""
RELIABLE, MISLED = (0.7, 1.0), 0.1
"""Relative reliability of the questions of an instance, and the share of questions whose answers mislead."""
SURE, UNSURE = 2.2, 0.6
"""Log-odds that one answer is given of being right, by the two posteriors that the policy looks at."""
START = np.array([40.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
"""The policy at first: nearly uncertainty sampling."""
RATE, BOLDNESS, UNIFORM = 1.0, 4.0, 0.25
"""Step of the policy's ascent, step of the opponent's, and the share of games that are drawn uniformly."""
ASKED_NEXT = 10


# ---- the game ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Instances:
    """Worlds the opponent may choose: which candidate is right and how reliable the answer to each question is.

    Attributes
    ----------
    truth
        The right candidate of each, shape (w,).
    reliability
        Shape (w, q), in [0, 1]: 1 for a right answer always, 0 for one at random.
    level
        The difficulty class of each, shape (w,).
    """

    truth: Ints
    reliability: Values
    level: Ints


def complexity(match: Values, truth: Ints, reliability: Values, steps: int = 150) -> Values:
    """The sample complexity of each world, shape (w,): the least questions, up to a factor, that tell its truth apart.

    ``min over designs max over other candidates of sum(1 / design) / gap²``, the sum over the questions on which the
    candidate differs from the truth, the gap the reliability summed over them: the information-theoretic bound for
    combinatorial pure exploration (Zhang and others, section 2). Solved by multiplicative weights on the candidates,
    given which the best design is closed-form. ``match`` is (h, q, k). Infinite where misleading answers favour another
    candidate over the truth.

    >>> match = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    >>> complexity(match, np.array([0]), np.ones((1, 1))).round(3).tolist()
    [1.0]
    """
    apart = 1 - np.einsum("hqa,wqa->whq", match, match[truth])
    gap, differ = (apart * reliability[:, None]).sum(axis=2), apart.sum(axis=2) > 0
    inverse = apart / np.square(np.maximum(gap, 1e-6))[:, :, None]
    weight = differ.astype(np.float64)
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    best = np.zeros(len(truth))
    for step in range(steps):
        root = np.sqrt(np.einsum("wh,whq->wq", weight, inverse))
        best = np.maximum(best, np.square(root.sum(axis=1)))  # each weighting bounds the value from below
        design = np.maximum(root / np.maximum(root.sum(axis=1, keepdims=True), 1e-12), 1e-9)
        cost = (inverse / design[:, None]).sum(axis=2)
        weight *= np.exp(cost / np.maximum(cost.max(axis=1, keepdims=True), 1e-12) * (2 / np.sqrt(step + 1)))
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    best[((gap <= 1e-6) & differ).any(axis=1)] = np.inf
    return best


def worlds(match: Values, rng: np.random.Generator, profiles: int = PROFILES) -> Instances:
    """Instances on the border of each difficulty class: every candidate as the truth, with several noise profiles.

    Most questions are answered reliably, to different degrees; a few are misleading: the answer is as often wrong as
    right, or more often. Complexity goes with the inverse square of reliability, so each profile is scaled to its
    class exactly; one that would have to be more than reliable is left out of that class.
    """
    h, q, k = match.shape
    truth = np.tile(np.arange(h), profiles)
    profile = rng.uniform(*RELIABLE, (len(truth), q))
    misled = rng.random(profile.shape) < MISLED
    profile[misled] = rng.uniform(-1 / (k - 1), 0, int(misled.sum()))
    need = complexity(match, truth, profile)
    middle = float(np.median(need[np.isfinite(need)])) if np.isfinite(need).any() else 1.0
    parts = []
    for level, factor in enumerate(DIFFICULTIES):
        scale = np.sqrt(need / (middle * factor))
        fit = np.flatnonzero(scale <= 1)
        parts.append(Instances(truth[fit], profile[fit] * scale[fit, None], np.full(len(fit), level)))
    columns = ([getattr(part, name) for part in parts] for name in ("truth", "reliability", "level"))
    return Instances(*(np.concatenate(column) for column in columns))


def softmax(scores: Values) -> Values:
    """Exponentials that add up to one along the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def doubt(wrong: Values, match: Values, odds: float | Values) -> Values:
    """How candidates are divided over each question, (b, q) in [0, 1], where an answer multiplies odds by exp(odds).

    ``wrong`` is (b, h): how many answers contradict each candidate. Candidates that say nothing do not divide.

    >>> doubt(np.array([[0.0, 0.0]]), np.array([[[1.0, 0.0]], [[0.0, 1.0]]]), 1.0).tolist()
    [[1.0]]
    """
    k = match.shape[2]
    belief = softmax(-odds * wrong)
    inside = np.zeros((len(wrong), match.shape[1]), match.dtype)
    for answer in range(k):  # few: a sum over a short last axis would take longer than all else
        said = match[:, :, answer]
        inside += belief @ np.square(said) - np.square(belief @ said)
    return np.asarray(inside * (k / (k - 1)), match.dtype)


def learnt_odds(wrong: Values, count: Values) -> Values:
    """Log-odds that an answer is right, by how many of ``count`` (b,) contradict the leading candidate, (b, 1).

    >>> learnt_odds(np.array([[0.0, 5.0]]), np.array([5.0])).round(2).tolist()
    [[1.95]]
    """
    least = wrong.min(axis=1, keepdims=True)
    return np.asarray(np.log(np.maximum(count[:, None] - least, 0) + 2) - np.log(least + 1))


def features(wrong: Values, asked: Values, progress: float, match: Values) -> Values:
    """What the policy sees of each question, shape (b, q, 10): nothing that depends on the order of the candidates.

    Doubt under a trusting posterior, a wary one and one as wary as the answers so far teach; whether the two leading
    candidates differ; how often it was asked; and the same five times the share of the budget that is used up.
    """
    each, first = np.arange(len(wrong)), wrong.argmin(axis=1)
    others = wrong.copy()
    others[each, first] = np.inf
    second = others.argmin(axis=1)
    learnt = learnt_odds(wrong, asked.sum(axis=1))
    differ = 1 - np.einsum("bqa,bqa->bq", match[first], match[second])
    seen = np.stack(
        [doubt(wrong, match, SURE), doubt(wrong, match, UNSURE), doubt(wrong, match, learnt), differ, np.log1p(asked)],
        axis=2,
    )
    return np.concatenate([seen, progress * seen], axis=2)


def play(
    policy: Values | str, match: Values, truth: Ints, reliability: Values, budget: int, rng: np.random.Generator
) -> tuple[Values, Values]:
    """Play games: the loss of each, (b,), and the slope of the log-chance of what the policy did, (b, 10).

    The policy is its weights, or "uncertainty" (the most undecided question under the trusting posterior) or "random".
    In the end the candidate that fewest answers contradict is named; the loss is the chance that it is not the truth.
    """
    b, (h, q, k) = len(truth), match.shape
    match = match.astype(np.float32)  # half the time, and the features need no more digits
    wrong, asked = np.zeros((b, h), np.float32), np.zeros((b, q), np.float32)
    slope, each = np.zeros((b, len(START))), np.arange(b)
    for step in range(budget):
        if isinstance(policy, str):
            undecided = doubt(wrong, match, SURE) if policy == "uncertainty" else np.zeros((b, q))
            chosen = (undecided + 1e-9 * rng.random((b, q))).argmax(axis=1)
        else:
            seen = features(wrong, asked, step / budget, match)
            chances = softmax(seen @ policy.astype(np.float32))
            chosen = np.minimum((chances.cumsum(axis=1) < rng.random((b, 1))).sum(axis=1), q - 1)
            slope += seen[each, chosen] - (chances[:, None] @ seen)[:, 0]
        right = reliability[each, chosen][:, None]
        said = right * match[truth, chosen] + (1 - right) / k
        answer = np.minimum((said.cumsum(axis=1) < rng.random((b, 1))).sum(axis=1), k - 1)
        wrong += 1 - match[:, chosen, answer].T
        asked[each, chosen] += 1
    first = wrong <= wrong.min(axis=1, keepdims=True) + 1e-9
    return 1 - first[each, truth] / first.sum(axis=1), slope


def train(
    match: Values,
    instances: Instances,
    allowed: Values,
    budget: int,
    rounds: int,
    batch: int,
    rng: np.random.Generator,
    start: Values,
) -> tuple[Values, float]:
    """A policy against an opponent who picks the world: its weights, and the loss of the opponent's mix at the end.

    The opponent climbs by multiplicative weights on the loss beyond what is ``allowed`` in each world, shape (w,); the
    policy descends by the score-function gradient (Adam). The policy's weights are averaged over the second half of
    the rounds, as the theory of such play asks for.
    """
    w = len(instances.truth)
    batch = min(batch, 8 * w)  # with few worlds more games teach no more
    weights, mean = start.copy(), np.zeros(len(START))
    total, moment, square = np.zeros(w), np.zeros(len(START)), np.zeros(len(START))
    expected, value = np.full(w, 0.5), []
    for step in range(1, rounds + 1):
        opponent = (1 - UNIFORM) * softmax(BOLDNESS * total) + UNIFORM / w
        drawn = rng.choice(w, batch, p=opponent)
        loss, slope = play(weights, match, instances.truth[drawn], instances.reliability[drawn], budget, rng)
        gradient = ((loss - expected[drawn])[:, None] * slope).mean(axis=0)
        seen = np.bincount(drawn, minlength=w)
        average = np.bincount(drawn, loss, w) / np.maximum(seen, 1)
        expected = np.where(seen > 0, 0.7 * expected + 0.3 * average, expected)
        total += np.where(seen > 0, expected - allowed, 0.0) / np.sqrt(rounds)
        moment, square = 0.8 * moment + 0.2 * gradient, 0.95 * square + 0.05 * gradient**2
        weights = weights - RATE * (moment / (1 - 0.8**step)) / (np.sqrt(square / (1 - 0.95**step)) + 1e-8)
        if 2 * step > rounds:
            mean += weights / (rounds - rounds // 2)
            value.append(float(opponent @ expected))
    return mean, float(np.mean(value))


def learn(match: Values, budget: int, rounds: int, batch: int, rng: np.random.Generator) -> tuple[Values, list[float]]:
    """The robust policy's weights, and the loss that a policy made for each difficulty class alone comes to.

    First one policy per class; then, starting from their mean, the one whose excess over them is least in the worst
    world of the worst class.
    """
    made = worlds(match, rng)
    levels = np.unique(made.level)
    alone, found = np.full(len(DIFFICULTIES), np.nan), []
    for level in levels:
        some = made.level == level
        part = Instances(made.truth[some], made.reliability[some], made.level[some])
        weights, alone[level] = train(match, part, np.zeros(int(some.sum())), budget, rounds, batch, rng, START)
        found.append(weights)
    start = np.mean(found, axis=0)
    weights, _ = train(match, made, alone[made.level], budget, rounds, batch, rng, start)
    return weights, alone.tolist()


# ---- the labeler -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LearnedQueryPolicy(Labeler):
    """Which of several candidate labellings is right, and which rows to ask about to find out in a few noisy answers.

    Zhang, Jain, Jamieson, "Learning to Actively Learn: A Robust Approach", 2020. The candidates are columns of votes:
    models, rules, annotators, or in a game of twenty questions the things one may think of (the rows are then the
    questions). The answers so far are the labels. A query policy is trained by playing against an opponent who picks
    the world: which candidate is right and how noisy each answer is. Worlds are sorted by the information-theoretic
    number of questions they need, and the policy is to come as near as it can, in the worst class, to a policy made
    for that class alone; so it needs no guess at the noise.

    The paper's policy is a network; this one is a softmax over ten features of a question, which learns in seconds.
    Rows that all candidates label alike tell nothing and are never asked; rows with the same votes are one question.
    Of more than 64 questions those that stand for most rows are kept.

    Attributes
    ----------
    budget
        How many answers there will be, those given included.
    rounds, batch
        Steps of training each policy, and games per step.
    seed
        Of the random numbers.
    """

    paper: ClassVar = Paper("Learning to Actively Learn: A Robust Approach", 2020, "2010.15382")
    alias: ClassVar = "learning-to-actively-learn"
    needs: ClassVar = (Role.VOTES,)

    budget: int = 20
    rounds: int = 60
    batch: int = 256
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Labels | NotApplicable:
        """Every row's label by the candidates, weighed by the answers; the summary names rows to ask about next."""
        if min(self.budget, self.rounds, self.batch) < 1:
            raise DrossError("budget, rounds and batch must be at least 1")
        table, classes, names = candidates_of(data)
        if len(names) < 2 or len(classes) < 2:
            return NotApplicable(
                f"{len(names)} different candidates of {len(classes)} classes leave nothing to find out"
            )
        if len(names) > MOST_CANDIDATES:
            return NotApplicable(f"{len(names)} candidates are more than the {MOST_CANDIDATES} that can be told apart")
        questions, question_of = questions_of(table)
        match = matches(questions, len(classes))
        given = answers_of(data, classes)
        known = np.flatnonzero(given >= 0)
        agreed = matches(table[known], len(classes))[:, np.arange(len(known)), given[known]]
        contradicted = (1 - agreed).sum(axis=1)[None]
        asked = np.bincount(question_of[known][question_of[known] >= 0], minlength=len(questions))[None]
        count = len(known)
        rng = np.random.default_rng(self.seed)
        weights, _ = learn(match, self.budget, self.rounds, self.batch, rng)
        belief = softmax(-learnt_odds(contradicted, np.array([float(count)])) * contradicted)[0]
        seen = features(contradicted, asked.astype(np.float64), min(count / self.budget, 1.0), match)
        order = np.argsort(-(seen @ weights)[0], kind="stable")
        free = np.flatnonzero((given < 0) & (question_of >= 0))
        first = {int(q): int(row) for q, row in zip(question_of[free][::-1], free[::-1], strict=True)}
        ask = [first[q] for q in order.tolist() if q in first][:ASKED_NEXT] if count < self.budget else []
        summary: dict[str, Any] = {
            "ask": ask,
            "answers": count,
            "candidates": {name: round(float(chance), 4) for name, chance in zip(names, belief, strict=True)},
            "best": names[int(belief.argmax())],
            "questions": len(questions),
            "expected_error_by_difficulty": simulated(match, weights, self.budget, rng),
        }
        return Labels(classes, weighed(table, belief, len(classes)), summary=summary)


def candidates_of(data: Dataset) -> tuple[Ints, list[Any], list[str]]:
    """What each different candidate says of each row, (n, h), -1 for nothing; the classes; the candidates' names.

    Columns that agree on every row are one candidate.
    """
    votes = votes_of(data, Role.VOTES)
    table = np.full((len(data), len(votes.names)), -1, np.int64)
    table[votes.rows, votes.annotators] = votes.labels
    _, first, inverse = np.unique(table.T, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    names = [" = ".join(np.array(votes.names, object)[inverse.ravel() == i]) for i in order]
    return table[:, first[order]], list(votes.classes), names


def questions_of(table: Ints) -> tuple[Ints, Ints]:
    """The different rows on which candidates disagree, (q, h), the most frequent first, and the question of each row.

    -1 for rows that ask nothing, or a question that is too rare to be kept.

    >>> questions, of = questions_of(np.array([[0, 1], [0, 0], [0, 1]])); questions.tolist(), of.tolist()
    ([[0, 1]], [0, -1, 0])
    """
    patterns, inverse, counts = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    differ = (patterns != patterns[:, :1]).any(axis=1)
    order = np.argsort(-counts * differ, kind="stable")[: min(MOST_QUESTIONS, int(differ.sum()))]
    place = np.full(len(patterns), -1, np.int64)
    place[order] = np.arange(len(order))
    return patterns[order], place[inverse.ravel()]


def matches(table: Ints, k: int) -> Values:
    """The chance that each candidate gives to each class of each row, (h, q, k): 1, 0, or 1/k where it says nothing."""
    said = np.concatenate([np.eye(k), np.full((1, k), 1 / k)])
    return np.ascontiguousarray(said[table].transpose(1, 0, 2))


def answers_of(data: Dataset, classes: list[Any]) -> Ints:
    """The class that each row's label answers, (n,); -1 where there is no label."""
    if not data.has(Role.LABEL):
        return np.full(len(data), -1, np.int64)
    position = {str(value): i for i, value in enumerate(classes)}
    strange = [value for value in data.classes if str(value) not in position]
    if strange:
        raise DrossError(
            f"the answer {strange[0]!r} is none that any candidate gives",
            where=f"column {data.name_of(Role.LABEL)!r}",
            fix=f"candidates say: {', '.join(map(str, classes[:10]))}",
        )
    return np.array([*(position[str(value)] for value in data.classes), -1], np.int64)[data.codes]


def weighed(table: Ints, belief: Values, k: int) -> npt.NDArray[np.float32]:
    """Class chances of every row, (n, k): the candidates' votes weighed by belief in them; NaN where none votes."""
    total = np.zeros((len(table), k))
    for column, chance in zip(table.T, belief, strict=True):
        said = np.flatnonzero(column >= 0)
        total[said, column[said]] += chance
    weight = total.sum(axis=1, keepdims=True)
    return np.where(weight > 0, total / np.maximum(weight, 1e-300), np.nan).astype(np.float32)


def simulated(match: Values, weights: Values, budget: int, rng: np.random.Generator) -> dict[str, list[float]]:
    """The error of the policy, of uncertainty sampling and of random questions in fresh worlds, per class."""
    fresh = worlds(match, rng, 4 * PROFILES)
    found: dict[str, list[float]] = {}
    for name, policy in (("learned", weights), ("uncertainty", "uncertainty"), ("random", "random")):
        loss, _ = play(policy, match, fresh.truth, fresh.reliability, budget, rng)
        found[name] = [round(float(loss[fresh.level == level].mean()), 4) for level in np.unique(fresh.level)]
    return found
