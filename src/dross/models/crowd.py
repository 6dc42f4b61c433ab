"""Models of annotators: what several fallible people say about a row, and what is probably true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel
from dross.core.dataset import Dataset
from dross.core.results import Findings, Issue
from dross.core.roles import Role
from dross.models.votes import Votes, majority

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Consensus:
    """What a model of the annotators believes.

    Attributes
    ----------
    probs
        The chance of each class on each row, shape (n, k).
    quality
        The chance that each annotator's vote is right, shape (a,), averaged over the classes they met.
    difficulty
        How hard each row is, shape (n,), 0 easy to 1 coin toss; None when the model knows no difficulty.
    confusion
        Shape (a, k, k): the chance of voting ``j`` when the truth is ``i``; None when the model has none.
    model
        The name of the model.
    interval
        A 95 % interval of each quality, shape (a, 2).
    balance
        The share of each class among the rows, given or estimated, shape (k,).
    log_likelihood
        Of the votes under the model; None for a model without one.
    dependent
        Pairs of sources (positions) that agree or err together beyond what the truth explains, the strongest first,
        each with that strength.
    why
        What a person should know of how the model was chosen and what it saw, one sentence each.
    """

    probs: Floats
    quality: Floats
    difficulty: Floats | None = None
    confusion: Floats | None = None
    model: str = ""
    interval: Floats | None = None
    balance: Floats | None = None
    log_likelihood: float | None = None
    dependent: tuple[tuple[int, int, float], ...] = ()
    why: tuple[str, ...] = ()


@kernel()
def expect(starts: Any, annotators: Any, labels: Any, log_confusion: Any, log_prior: Any, probs: Any) -> float:
    """E-step of Dawid and Skene: the posterior of each row's class; returns the log-likelihood."""
    k = len(log_prior)
    total = 0.0
    for i in range(len(starts) - 1):
        top = -np.inf
        for c in range(k):
            s = log_prior[c]
            for v in range(starts[i], starts[i + 1]):
                s += log_confusion[annotators[v], labels[v], c]
            probs[i, c] = s
            top = max(top, s)
        z = 0.0
        for c in range(k):
            probs[i, c] = np.exp(probs[i, c] - top)
            z += probs[i, c]
        for c in range(k):
            probs[i, c] /= z
        total += top + np.log(z)
    return total


@kernel()
def count(starts: Any, annotators: Any, labels: Any, probs: Any, out: Any) -> None:
    """M-step: how often, in expectation, each annotator voted ``j`` on class ``c``: ``out[a, j, c]``."""
    k = probs.shape[1]
    for i in range(len(starts) - 1):
        for v in range(starts[i], starts[i + 1]):
            for c in range(k):
                out[annotators[v], labels[v], c] += probs[i, c]


def dawid_skene(votes: Votes, *, iterations: int = 200, tolerance: float = 1e-6, smoothing: float = 0.1) -> Consensus:
    """Each annotator has a confusion matrix; rows' classes are latent; fitted by expectation maximisation.

    Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", 1979, equations 2.3
    to 2.5. ``smoothing`` pseudo-votes per cell (of the pooled confusion) keep an annotator with few votes from being
    believed without limit. O(iterations × votes × classes).
    """
    k, a = len(votes.classes), len(votes.names)
    probs = majority(votes)
    before = -np.inf
    confusion = np.zeros((a, k, k))
    for _ in range(iterations):
        counted = np.zeros((a, k, k))
        count(votes.starts, votes.annotators, votes.labels, probs, counted)
        pooled = counted.sum(axis=0) + 1e-3
        pooled /= pooled.sum(axis=0, keepdims=True)
        confusion = counted + smoothing * k * pooled
        confusion /= confusion.sum(axis=1, keepdims=True)
        prior = (probs.sum(axis=0) + smoothing) / (len(probs) + k * smoothing)
        log_confusion, log_prior = np.log(np.maximum(confusion, 1e-12)), np.log(prior)
        now = expect(votes.starts, votes.annotators, votes.labels, log_confusion, log_prior, probs)
        if abs(now - before) <= tolerance * abs(now):
            break
        before = now
    by_truth = confusion.transpose(0, 2, 1)
    prior = probs.mean(axis=0)
    quality = np.einsum("akk,k->a", by_truth, prior / prior.sum())
    return Consensus(probs, quality, confusion=by_truth)


@kernel()
def glad_expect(
    starts: Any, annotators: Any, labels: Any, weights: Any, ability: Any, ease: Any, log_prior: Any, probs: Any
) -> None:
    """E-step of GLAD: a vote is right with probability sigmoid(ability × ease), else uniformly wrong."""
    k = len(log_prior)
    for i in range(len(starts) - 1):
        top = -np.inf
        for c in range(k):
            probs[i, c] = log_prior[c]
        for v in range(starts[i], starts[i + 1]):
            x = ability[annotators[v]] * ease[i]
            right = -np.log1p(np.exp(-x)) if x > 0 else x - np.log1p(np.exp(x))
            wrong = (-x + right) - np.log(max(1, k - 1))
            w = weights[v] if len(weights) > 0 else 1.0
            for c in range(k):
                probs[i, c] += w * (right if labels[v] == c else wrong)
        for c in range(k):
            top = max(top, probs[i, c])
        z = 0.0
        for c in range(k):
            probs[i, c] = np.exp(probs[i, c] - top)
            z += probs[i, c]
        for c in range(k):
            probs[i, c] /= z


@kernel()
def glad_gradient(
    starts: Any, annotators: Any, labels: Any, weights: Any, times: Any, ability: Any, log_ease: Any, probs: Any,
    by_ability: Any, by_ease: Any,
) -> None:  # fmt: skip
    """Gradient (column 0) and curvature (column 1) of the expected log-likelihood, by annotator and by row."""
    for i in range(len(starts) - 1):
        ease = np.exp(log_ease[i])
        for v in range(starts[i], starts[i + 1]):
            a = annotators[v]
            x = ability[a] * ease
            s = 1 / (1 + np.exp(-x))
            w = weights[v] if len(weights) > 0 else 1.0
            count = times[i] if len(times) > 0 else 1.0
            residual = w * (probs[i, labels[v]] - s)
            spread = w * s * (1 - s)
            by_ability[a, 0] += count * residual * ease
            by_ability[a, 1] += count * spread * ease * ease
            by_ease[i, 0] += residual * x
            by_ease[i, 1] += spread * x * x


def glad(
    votes: Votes, balance: Floats | None = None, *, iterations: int = 100, steps: int = 3, tolerance: float = 1e-5
) -> Consensus:
    """Annotators differ in ability and rows in difficulty; both and the truth are inferred together.

    Whitehill et al., "Whose Vote Should Count More: Optimal Integration of Labels from Labelers of Unknown Expertise",
    2009: P(vote right) = sigmoid(ability_a × ease_i), ease positive; normal priors on ability (mean 1) and log ease
    (mean 0) as in the paper's section 3; the M-step takes damped Newton steps instead of their gradient ascent.
    O(iterations × steps × votes). Difficulty runs from 0 (everybody right) to 1 (even the able guess).
    """
    n, k, a = len(votes.starts) - 1, len(votes.classes), len(votes.names)
    ability, log_ease = np.ones(a), np.zeros(n)
    log_prior = np.full(k, -np.log(max(1, k)))  # an estimated one lets the model call every row the common class
    if balance is not None:
        log_prior = np.log(np.maximum(balance, 1e-12))
    weights = np.empty(0) if votes.weights is None else votes.weights
    times = np.empty(0) if votes.times is None else votes.times
    probs = majority(votes)
    for _ in range(iterations):
        for _ in range(steps):
            by_ability, by_ease = np.zeros((a, 2)), np.zeros((n, 2))
            glad_gradient(
                votes.starts, votes.annotators, votes.labels, weights, times, ability, log_ease, probs, by_ability,
                by_ease,
            )  # fmt: skip
            ability = ability + np.clip((by_ability[:, 0] - (ability - 1)) / (by_ability[:, 1] + 1), -1, 1)
            log_ease = log_ease + np.clip((by_ease[:, 0] - log_ease) / (by_ease[:, 1] + 1), -1, 1)
            log_ease = np.clip(log_ease, -4, 4)
        before = probs.copy()
        glad_expect(votes.starts, votes.annotators, votes.labels, weights, ability, np.exp(log_ease), log_prior, probs)
        if np.abs(probs - before).max(initial=0.0) < tolerance:
            break
    quality = 1 / (1 + np.exp(-ability))
    return Consensus(probs, quality, difficulty=2 / (1 + np.exp(np.exp(log_ease))))


def judge(data: Dataset, votes: Votes, belief: Consensus) -> Findings:
    """Findings about annotated rows: how little the annotators, weighed by their quality, support the label.

    The label judged is the given one where the data has labels, else the majority's. The suggestion is the consensus as
    text; the summary rates each annotator with a 95 % interval (Wilson, on the votes expected to be right).
    """
    given = _judged(data, votes)
    voted = np.diff(votes.starts) > 0
    rows = np.flatnonzero(voted & (given > -2))
    best = belief.probs[rows].argmax(axis=1)
    support = np.where(given[rows] >= 0, belief.probs[rows, np.maximum(given[rows], 0)], 0.0)
    agree = votes.counts()[rows, best] / np.diff(votes.starts)[rows]
    evidence: dict[str, npt.NDArray[Any]] = {
        "consensus_probability": belief.probs[rows, best].astype(np.float32),
        "share_of_votes": agree.astype(np.float32),
    }
    if belief.difficulty is not None:
        evidence["difficulty"] = belief.difficulty[rows].astype(np.float32)
    names = np.array(votes.classes, dtype=object)
    scores = np.clip(1 - support, 0, 1).astype(np.float32)
    return Findings(Issue.ANNOTATOR, rows, scores, names[best], evidence, {"annotators": rate(votes, belief)})


def rate(votes: Votes, belief: Consensus) -> list[dict[str, Any]]:
    """Each annotator's name, number of votes, quality with a 95 % interval and verdict, the worst first.

    ``unreliable`` means that the whole interval lies below the quality of the middle annotator.
    """
    total = np.bincount(votes.annotators, minlength=len(votes.names)).astype(float)
    share = np.clip(belief.quality, 0, 1)
    z = 1.959964
    centre = (share + z * z / (2 * np.maximum(total, 1))) / (1 + z * z / np.maximum(total, 1))
    half = z * np.sqrt(share * (1 - share) / np.maximum(total, 1) + z * z / (4 * np.maximum(total, 1) ** 2))
    half /= 1 + z * z / np.maximum(total, 1)
    middle = float(np.median(share[total > 0])) if (total > 0).any() else 0.0
    return [
        {
            "annotator": votes.names[a],
            "votes": int(total[a]),
            "quality": round(float(share[a]), 4),
            "low": round(float(centre[a] - half[a]), 4),
            "high": round(float(centre[a] + half[a]), 4),
            "unreliable": bool(total[a] > 0 and centre[a] + half[a] < middle),
        }
        for a in np.argsort(share, kind="stable")
    ]


def _judged(data: Dataset, votes: Votes) -> npt.NDArray[np.int64]:
    """The class each row's label has among the votes; -1 for a label nobody ever voted for, -2 for a missing one."""
    if not data.has(Role.LABEL):
        return np.asarray(votes.counts().argmax(axis=1))
    position = {str(name): i for i, name in enumerate(votes.classes)}
    known = np.array([position.get(str(value), -1) for value in data.classes] + [-2])
    return np.asarray(known[data.codes])
