"""Label-powerset conformal prediction: error rates as promised, the answer of all label-sets, in a part of the time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Metrics
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.evaluate import label_powerset_conformal as lp
from dross.models.conformal import p_values
from dross.signals.multilabel_probabilities import MultilabelProbabilities, given_labels

PAPER = "Well-calibrated Confidence Measures for Multi-label Text Classification with a Large Number of Labels"
SIGNIFICANCE = (0.05, 0.1, 0.15, 0.2, 0.25)
LABELS, ROWS = 22, 1600
Probs = npt.NDArray[Any]


@claim(
    method="label-powerset-conformal",
    paper=PAPER,
    says="keeps its error rate over more label-sets than can be looked at, with the answer of brute force",
)
def label_sets_are_pruned_without_changing_the_answer(budget: Budget) -> Evidence:
    """Generated texts of 22 labels that tend to come together; five significance levels; brute force beside it.

    Error rates are judged over all seeds together. Brute force is timed in its fast form, one matrix product that
    scores all 2^20 sets of the twenty most frequent labels, on six rows of each seed; on the ten most frequent labels
    the two answers are compared, set by set.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, value in _one(seed).items():
            kept.setdefault(name, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    judged = ROWS / 2 * len(budget.seeds)
    within = [
        measured[f"error rate at {e:g}, %"][0] <= 100 * (e + 2 * float(np.sqrt(e * (1 - e) / judged)))
        for e in SIGNIFICANCE
    ]
    holds = (
        all(within)
        and min(kept["rows with the answer of brute force, %"]) == 100
        and min(kept["times faster than brute force"]) >= 10
    )
    return Evidence(measured, holds, over=budget.seeds, note="The texts are generated.")


def _one(seed: int) -> dict[str, float]:
    data = tagged_texts(seed)
    signals = Signals(data)
    found = lp.LabelPowersetConformal(significance=SIGNIFICANCE, seed=seed).run(data, signals)
    assert isinstance(found, Metrics)
    out = {f"error rate at {e:g}, %": 100 * found.values[f"error rate at {e:g}"][0] for e in SIGNIFICANCE}
    out |= {f"label-sets at {e:g}": found.values[f"label-sets at {e:g}"][0] for e in SIGNIFICANCE}
    out["accuracy of the best label-set, %"] = 100 * found.values["accuracy of the best label-set"][0]
    given, P = given_labels(data).matrix, np.asarray(signals[MultilabelProbabilities()], np.float64)
    frequent = np.argsort(-given.sum(axis=0), kind="stable")
    out["rows with the answer of brute force, %"] = _same_answers(P[:, frequent[:10]], given[:, frequent[:10]])
    out["times faster than brute force"] = _times_faster(P[:, frequent[:20]], given[:, frequent[:20]])
    return out


def _same_answers(P: Probs, given: npt.NDArray[np.bool_]) -> float:
    half = len(P) // 2
    calibration = lp.nonconformity(P[:half], given[:half], 2.0)
    every, same = _every_set(10), []
    for probs in P[half : half + 100]:
        for epsilon in SIGNIFICANCE:
            p = p_values(calibration, lp.nonconformity(probs[None], every, 2.0) - 1e-9)
            sets, values = lp.label_sets(probs, calibration, epsilon, 2.0)
            chosen = p > epsilon
            ours = dict(zip((sets @ (1 << np.arange(10))).tolist(), values.tolist(), strict=True))
            theirs = dict(zip(np.flatnonzero(chosen).tolist(), p[chosen].tolist(), strict=True))
            same.append(ours == theirs)
    return 100 * float(np.mean(same))


def _times_faster(P: Probs, given: npt.NDArray[np.bool_]) -> float:
    half = len(P) // 2
    calibration = lp.nonconformity(P[:half], given[:half], 2.0)
    every = _every_set(P.shape[1]).astype(np.float32)
    lp.label_sets(P[half], calibration, 0.1, 2.0)  # compilation
    spent = [0.0, 0.0]
    for probs in P[half : half + 6]:
        started = time.process_time()
        absent, present = probs**2, (1 - probs) ** 2
        scores = every @ (present - absent).astype(np.float32) + absent.sum()
        np.flatnonzero(p_values(calibration, scores) > SIGNIFICANCE[0])
        spent[0] += time.process_time() - started
        started = time.process_time()
        lp.label_sets(probs, calibration, SIGNIFICANCE[0], 2.0, most=1 << 21)
        spent[1] += time.process_time() - started
    return spent[0] / max(spent[1], 1e-6)


def _every_set(k: int) -> npt.NDArray[np.bool_]:
    return (np.arange(1 << k)[:, None] >> np.arange(k) & 1).astype(bool)


def tagged_texts(seed: int) -> Dataset:
    """Texts of words, each label with words of its own that some of its texts lack; labels come in clusters."""
    rng = np.random.default_rng(seed)
    affinity = np.where(rng.random((ROWS, 4)) < 0.35, 0.35, 0.03)
    given = rng.random((ROWS, LABELS)) < affinity[:, np.arange(LABELS) % 4]
    texts = []
    for row in given:
        words = [f"common{w}" for w in rng.zipf(1.6, 14).clip(max=400)]
        for c in np.flatnonzero(row):
            words += [f"topic{c}word{w}" for w in rng.integers(0, 12, rng.integers(0, 6))]
        words += [f"topic{rng.integers(LABELS)}word{rng.integers(12)}"]
        texts.append(" ".join(rng.permutation(words)))
    lists = [[f"label {c:02d}" for c in np.flatnonzero(row)] for row in given]
    table = pa.table({"text": texts, "labels": pa.array(lists, pa.list_(pa.string()))})
    return Dataset(table, {Role.TEXT: ["text"], Role.LABELS: ["labels"]})
