"""Weaver: verifiers weighed without labels pick better answers than majorities and averages; a cheap scorer too."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Predictions
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.infer.weaver import Weaver
from dross.models.verifiers import best_of, distil, normalised

PAPER = "Shrinking the Generation-Verification Gap with Weak Verifiers"
QUERIES, CANDIDATES, DIMENSIONS = 400, 12, 24
STRENGTHS = (1.5, 1.1, 0.9, 0.7, 0.5, 0.15, 0.0, 0.0)
"""By how many standard deviations each verifier tells right from wrong answers; the last three are near chance."""
Array = npt.NDArray[Any]


@claim(
    method="weaver",
    paper=PAPER,
    says="verifiers weighed without labels beat majority voting and averages; a distilled scorer keeps most of it",
)
def weak_verifiers_together_pick_the_right_answer(budget: Budget) -> Evidence:
    """Simulated: 400 queries of unequal difficulty, 12 candidates each, eight verifiers on four kinds of scale.

    Wrong candidates agree on wrong answers as language models do: one wrong answer of four gets half of them. Three
    verifiers are at chance or nearly; some nearly always say "right". Baselines: the most frequent answer, the mean of
    the normalised scores, most verdicts at a cut of one half, and logistic regression on the labels of all candidates.
    Beside it: one of the nearly useless verifiers stands there three times, a little altered.
    The scorer is distilled on half the queries from an embedding and judged on the others.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, value in _one(seed).items():
            kept.setdefault(name, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    holds = (
        min(measured[f"points over {name}"][0] for name in ("most frequent answer", "mean score", "most verdicts")) >= 5
        and measured["points over mean score"][1] > 0
        and measured["share of the gain over the most frequent answer kept by the scorer, %"][0] >= 50
    )
    return Evidence(measured, holds, over=budget.seeds, note="Simulated verifiers; no language model was run.")


def _one(seed: int) -> dict[str, float]:
    from sklearn.linear_model import LogisticRegression

    right, queries, answers, scores, X = simulated(seed)
    data = as_dataset(queries, scores)
    found = Weaver().run(data, Signals(data))
    binary = Weaver(levels=2).run(data, Signals(data))
    assert isinstance(found, Predictions)
    assert isinstance(binary, Predictions)
    N = normalised(scores)
    model = LogisticRegression().fit(N, right)
    frequency = _frequency(queries, answers)
    mean = N.mean(axis=1)

    def picked(chance: Array) -> float:
        return 100 * float(right[best_of(queries, chance, mean)].mean())

    out = {
        "Weaver": 100 * float(right[found.summary["chosen"]].mean()),
        "Weaver with binary verdicts": 100 * float(right[binary.summary["chosen"]].mean()),
        "first candidate": 100 * float(right[::CANDIDATES].mean()),
        "most frequent answer": picked(frequency + 1e-3 * np.random.default_rng(seed).random(len(right))),
        "mean score": picked(mean),
        "most verdicts": picked((N > 0.5).mean(axis=1)),
        "with labels": picked(model.decision_function(N)),
        "some candidate right": 100 * float((np.bincount(queries, right) > 0).mean()),
    }
    copied = np.concatenate(
        [scores, scores[:, 5:6] + 0.2 * np.random.default_rng(seed).normal(size=(len(right), 2))], 1
    )
    again = as_dataset(queries, copied)
    doubled = Weaver().run(again, Signals(again))
    assert isinstance(doubled, Predictions)
    out["Weaver, a weak verifier thrice"] = 100 * float(right[doubled.summary["chosen"]].mean())
    tripled = normalised(copied).mean(axis=1)
    out["mean score, a weak verifier thrice"] = 100 * float(right[best_of(queries, tripled, tripled)].mean())
    for name in ("most frequent answer", "mean score", "most verdicts"):
        out[f"points over {name}"] = out["Weaver"] - out[name]
    learnt = queries < QUERIES // 2
    chance = found.probs[:, 1].astype(np.float64)
    guess = distil(X[learnt], chance[learnt])(X)
    held = [100 * float(right[~learnt][best_of(queries[~learnt], c[~learnt], mean[~learnt])].mean())
            for c in (guess, chance, frequency)]  # fmt: skip
    out["distilled scorer, new queries"], out["Weaver, new queries"] = held[0], held[1]
    out["share of the gain over the most frequent answer kept by the scorer, %"] = (
        100 * (held[0] - held[2]) / max(held[1] - held[2], 1e-9)
    )
    return out


def simulated(seed: int) -> tuple[Array, Array, Array, Array, Array]:
    """Which candidates are right, their queries, answers, verifier scores (n, 8) and embeddings (n, 24)."""
    rng = np.random.default_rng(seed)
    ease = rng.beta(1, 1.6, QUERIES)
    queries = np.repeat(np.arange(QUERIES), CANDIDATES)
    n = len(queries)
    right = rng.random(n) < ease[queries]
    answers = np.where(right, 0, rng.choice([1, 2, 3, 4], n, p=[0.5, 0.2, 0.2, 0.1]))
    raw = right[:, None] * np.array(STRENGTHS) + rng.normal(size=(n, len(STRENGTHS)))
    for j in range(len(STRENGTHS)):
        shift = rng.normal()
        if j % 4 == 0:
            raw[:, j] = 1 / (1 + np.exp(-2 * (raw[:, j] + shift)))  # a probability, badly calibrated
        elif j % 4 == 1:
            raw[:, j] = np.round(np.clip(5 + 2 * raw[:, j] + shift, 1, 10))  # a mark of ten
        elif j % 4 == 2:
            raw[:, j] = 10 * raw[:, j] - 30  # the logit of a reward model
        else:
            raw[:, j] = raw[:, j] > shift  # a verdict
    hidden = rng.normal(size=(2, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    X = right[:, None] * 1.2 * hidden[0] + rng.normal(size=(n, DIMENSIONS)) * 0.7 + ease[queries][:, None] * hidden[1]
    return right, queries, answers, raw, X


def as_dataset(queries: Array, scores: Array) -> Dataset:
    """Candidates with their query and one column per verifier."""
    columns = {f"verifier_{j}": scores[:, j] for j in range(scores.shape[1])}
    table = pa.table({"query": [f"q{i}" for i in queries.tolist()], **columns})
    return Dataset(table, {Role.GROUP: ["query"], Role.FEATURES: list(columns)})


def _frequency(queries: Array, answers: Array) -> Array:
    """How many candidates of the same query give the same answer, shape (n,)."""
    _, place, counts = np.unique(queries * 10 + answers, return_inverse=True, return_counts=True)
    return np.asarray(counts[place], np.float64)
