"""Self annotator: an example chosen by how well its record is recovered makes better summaries than a random one."""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, _scripted, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Labels
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.self_annotator import Example, Record, SelfAnnotator, tried
from dross.llm.asking import Asker, Models
from dross.llm.prompt import Answer, Complete, Prompt

PAPER = "GPT Self-Supervision for a Better Data Annotator"
TASK = "Write a short summary of the wine."
SUPPORT = 90
LAPSE = 0.08
"""How often a field that the example shows is forgotten all the same."""
_SAID = re.compile(r"the (\w+) is (\w+) (-?[\d.]+)")


@claim(
    method="self-annotator",
    paper=PAPER,
    says="choosing the one-shot example by how well its record is recovered gives better data-to-summary annotation",
)
def the_example_that_is_recovered_best_serves_best(budget: Budget) -> Evidence:
    """Analyses of 178 wines (scikit-learn) as records, summarised and recovered by a scripted model.

    Without an example the model mentions some fields and rounds them as it happens; with one it imitates what the
    example mentions and how closely. The alignment of held-out records with what is recovered from their summaries is
    compared for the chosen example, random ones of the same making, and none.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, value in _one(seed).items():
            kept.setdefault(name, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    holds = measured["gain over a random example"][1] > 0
    return Evidence(
        measured, holds, over=budget.seeds, note="The model is scripted: it imitates the example it is shown."
    )


def _one(seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    records = wines()
    order = rng.permutation(len(records))
    support, held_out = ([records[i] for i in part] for part in (order[:SUPPORT], order[SUPPORT:]))
    names = list(records[0])
    model = scripted(str(seed))
    table = pa.table({name: [record[name] for record in support] for name in names})
    data = Dataset(table, {Role.FEATURES: names})
    found = SelfAnnotator(Models(functions=(model,)), task=TASK, seed=seed).run(data, Signals(data))
    assert isinstance(found, Labels)
    asker = Asker("model", model)
    first = [one for one in tried(support[:40], TASK, names, None, asker, asker) if one is not None]
    chosen = Example(found.summary["example"]["record"], found.summary["example"]["summary"], 0.0)
    random = [_alignment(held_out, first[i], asker) for i in rng.choice(len(first), 10, replace=False)]
    best = _alignment(held_out, chosen, asker)
    return {
        "chosen example": best,
        "random example": float(np.mean(random)),
        "no example": _alignment(held_out, None, asker),
        "best of ten random examples": float(np.max(random)),
        "gain over a random example": best - float(np.mean(random)),
    }


def _alignment(records: list[Record], example: Example | None, asker: Asker) -> float:
    found = tried(records, TASK, list(records[0]), example, asker, asker)
    return float(np.mean([one.score if one is not None else 0.0 for one in found]))


def wines() -> list[Record]:
    """The analyses as records."""
    from sklearn.datasets import load_wine

    loaded = load_wine()
    names = [re.sub(r"\W", "_", name) for name in loaded.feature_names]
    return [dict(zip(names, map(float, row), strict=True)) for row in loaded.data]


def scripted(name: str) -> Complete:
    """A model that writes summaries in the manner of the example, and reads records out of summaries."""

    def write(record: Record, example: str) -> str:
        own = _scripted.whim(name, json.dumps(record))
        shown = {field: kind for field, kind, _ in _SAID.findall(example)}
        if not shown:
            kinds = own.choice(["about", "exactly"], len(record))
            share = own.uniform(0.2, 1.0)
            shown = {f: str(k) for f, k in zip(record, kinds, strict=True) if own.random() < share}
        parts = []
        for field, kind in shown.items():
            if field in record and own.random() >= LAPSE:
                value = record[field] if kind == "exactly" else float(f"{record[field]:.0e}")
                parts.append(f"the {field} is {kind} {value:g}")
        return "; ".join(parts) or "a wine"

    def one(prompt: Prompt) -> Answer:
        shown = _scripted.data(_scripted.last(prompt))[-1]
        if _scripted.rules(prompt).startswith("Write the record"):
            return Answer(json.dumps({field: float(value.rstrip(".")) for field, _, value in _SAID.findall(shown)}))
        example = next((m.text for m in prompt.messages if m.role == "assistant"), "")
        return Answer(json.dumps({"summary": write(json.loads(shown), example)}))

    return lambda prompts: [one(prompt) for prompt in prompts]
