"""LLM annotation: several answers and several prompts label better than one answer, and their chances are honest."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, _scripted, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Labels
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.llm_annotation import LlmAnnotation
from dross.llm.asking import Models
from dross.llm.prompt import Answer, Complete, Prompt

PAPER = "Self-Consistency Improves Chain of Thought Reasoning in Language Models"
ROWS, KNOWN, CLASSES, SAMPLES = 300, 60, ("billing", "delivery", "fault"), 9


@claim(
    method="llm-annotation",
    paper=PAPER,
    says="the most frequent of several sampled answers is better than the single likeliest one, its share a confidence",
)
def several_answers_beat_one(budget: Budget) -> Evidence:
    """Texts whose label a simulated model gets by a line of reasoning that goes wrong now and then, by text.

    The chance that one line of reasoning ends right differs from text to text (Beta(3, 1.5), so that some are mostly
    wrong); the single answer is one such line. Measured: accuracy of one and of nine answers, whether the share tells
    right from wrong labels (AUROC), and how far the confidence given is from the accuracy there (expected calibration
    error), beside that of the bare votes.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, value in _one(seed).items():
            kept.setdefault(name, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    holds = (
        measured["points gained by several answers"][1] > 0
        and measured["AUROC of the share, right against wrong"][1] > 0.6
    )
    note = (
        "A simulated model; how often it reasons wrongly is set. The share of nine answers is a ranking, not a chance: "
        "the commonest of nine is right more often than its share says. Known labels, where there are some, mend that."
    )
    return Evidence(measured, holds, over=budget.seeds, note=note)


def _one(seed: int) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(CLASSES), ROWS)
    sure = rng.beta(3, 1.5, ROWS)
    texts = [f"Ticket {i}" for i in range(ROWS)]
    known = np.arange(ROWS) < KNOWN
    table = pa.table({"text": texts, "label": pa.array([CLASSES[c] for c in truth], mask=~known)})
    data, taught = (Dataset(table, {Role.TEXT: ["text"], **roles}) for roles in ({}, {Role.LABEL: ["label"]}))
    model = simulated({text: (int(c), float(p)) for text, c, p in zip(texts, truth, sure, strict=True)}, str(seed))
    found = {n: _labelled(data, model, n) for n in (1, SAMPLES)}
    right = {n: one.codes == truth for n, one in found.items()}
    several, scaled = found[SAMPLES], _labelled(taught, model, SAMPLES)
    bare = (several.confidence * (SAMPLES + 1) - 1 / len(CLASSES)) / SAMPLES
    return {
        "one answer": 100 * float(right[1].mean()),
        "several answers": 100 * float(right[SAMPLES].mean()),
        "points gained by several answers": 100 * float(right[SAMPLES].mean() - right[1].mean()),
        "AUROC of the share, right against wrong": float(roc_auc_score(right[SAMPLES], several.confidence)),
        "calibration error, one answer": calibration_error(found[1].confidence, right[1]),
        "calibration error, one bare vote": 1 - float(right[1].mean()),
        "calibration error, several answers": calibration_error(several.confidence, right[SAMPLES]),
        "calibration error, several answers, 60 labels known": calibration_error(
            scaled.confidence[~known], right[SAMPLES][~known]
        ),
        "calibration error, several bare votes": calibration_error(bare, right[SAMPLES]),
    }


def _labelled(data: Dataset, model: Complete, samples: int) -> Labels:
    method = LlmAnnotation(Models(functions=(model,)), classes=CLASSES, templates=("reasoned",), samples=samples)
    found = method.run(data, Signals(data))
    assert isinstance(found, Labels)
    return found


def calibration_error(confidence: npt.NDArray[Any], right: npt.NDArray[np.bool_]) -> float:
    """The mean distance of confidence and accuracy over ten bins, weighted by rows."""
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = [(bins == b).mean() * abs(confidence[bins == b].mean() - right[bins == b].mean()) for b in np.unique(bins)]
    return float(np.sum(gaps))


def simulated(known: dict[str, tuple[int, float]], name: str) -> Complete:
    """A model whose every answer is a fresh line of reasoning."""

    def one(prompt: Prompt) -> Answer:
        text = _scripted.data(_scripted.last(prompt))[-1]
        truth, sure = known[text]
        own = _scripted.whim(name, text, str(prompt.sample))
        wrong = (truth + int(own.integers(1, len(CLASSES)))) % len(CLASSES)
        label = CLASSES[truth if own.random() < sure else wrong]
        return Answer(json.dumps({"reason": "so it seems", "label": label}))

    return lambda prompts: [one(prompt) for prompt in prompts]
