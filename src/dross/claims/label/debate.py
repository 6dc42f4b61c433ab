"""Debate: two biased sides and a judge label edge cases better than the same agents do alone or by vote."""

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
from dross.label.debate import Debate
from dross.label.llm_annotation import LlmAnnotation
from dross.llm.asking import Models
from dross.llm.prompt import Answer, Complete, Prompt

PAPER = "T2Vs Meet VLMs: A Scalable Multimodal Dataset for Visual Harmfulness Recognition"
ROWS = 400
CLASSES = (("refund", "the shop's policy grants one"), ("no refund", "the shop's policy grants none"))
SPEAKS = (
    {"it arrived broken": 3, "a part was missing": 2, "it was never opened": 2, "I wrote the same day": 1},
    {"it was on sale": 1, "I wore it for a month": 3, "I lost the receipt": 2, "the box is gone": 1},
)
"""What speaks for a refund and what against it, with its weight."""
FILLER = ("I bought it in May", "it is blue", "my sister likes it", "the courier was kind", "it is a gift", "hello")
SEEN = (0.95, 0.25)
"""The chance to notice what lies open, and what lies hidden."""
HIDDEN = 0.45
SOUGHT = 0.6
"""The chance to notice, in each round, a hidden thing that one is looking for."""
INVENTED, BELIEVED = 0.2, 0.1
"""How often a side makes something up in a round, and how often the judge takes it for true."""
BIAS = 2


@claim(
    method="debate",
    paper=PAPER,
    says="annotation by debate of two sides before a judge agrees well with people, above all in edge cases",
)
def a_debate_beats_its_own_agents(budget: Budget) -> Evidence:
    """Letters about refunds under a shop's policy; half have something on both sides that nearly balances.

    Simulated annotators overlook things, the same ones whenever they are asked, unless they look for them; one leans to
    a refund, one against, one neither way. In the debate each looks for its own side's grounds, and now and then makes
    one up; the judge notices no more by itself than the neutral annotator, but checks what it is told against the
    letter. Baselines: each annotator alone, their majority vote, and the neutral one asked seven times.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, value in _one(seed).items():
            kept.setdefault(name, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    best, edge = measured["points over the best annotator"], measured["points over majority vote, edge cases"]
    holds = best[0] >= 3 and best[1] > 0 and edge[1] > 0
    return Evidence(
        measured, holds, over=budget.seeds, note="Simulated agents: how much they overlook is set, not found."
    )


def _one(seed: int) -> dict[str, float]:
    data, edge = letters(seed)
    agents = tuple(annotator(lean, str(seed)) for lean in (BIAS, -BIAS, 0))
    truth = np.array(data.table["label"].to_pylist(), object)
    debated = Debate(Models(functions=agents), classes=CLASSES).run(data, Signals(data))
    voted = _annotate(data, agents, samples=1)
    often = _annotate(data, agents[2:], samples=7)
    assert isinstance(debated, Labels)
    single = [100 * voter["measured"]["accuracy"] for voter in voted.summary["voters"]]
    rights = {
        name: _right(found, truth) for name, found in (("debate", debated), ("majority", voted), ("often", often))
    }
    return {
        "debate": 100 * rights["debate"].mean(),
        "best annotator": max(single),
        "majority vote": 100 * rights["majority"].mean(),
        "neutral annotator asked seven times": 100 * rights["often"].mean(),
        "debate, edge cases": 100 * rights["debate"][edge].mean(),
        "majority vote, edge cases": 100 * rights["majority"][edge].mean(),
        "points over the best annotator": 100 * rights["debate"].mean() - max(single),
        "points over majority vote, edge cases": 100
        * (rights["debate"][edge].mean() - rights["majority"][edge].mean()),
    }


def _annotate(data: Dataset, agents: tuple[Complete, ...], samples: int) -> Labels:
    found = LlmAnnotation(Models(functions=agents), classes=CLASSES, samples=samples, combine="majority")
    labels = found.run(data, Signals(data))
    assert isinstance(labels, Labels)
    return labels


def _right(found: Labels, truth: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    """Which rows are right; a row at even chances counts half."""
    said = np.array(found.classes, object)[found.codes] == truth
    return np.where(found.confidence > 0.5 + 1e-6, said.astype(float), 0.5)


def letters(seed: int) -> tuple[Dataset, npt.NDArray[np.bool_]]:
    """Letters with their right labels, and which of them are edge cases."""
    rng = np.random.default_rng(seed)
    texts: list[str] = []
    labels: list[str] = []
    edge: list[bool] = []
    while len(texts) < ROWS:
        both = len(texts) % 2 == 0
        sides = (True, True) if both else ((True, False) if rng.random() < 0.5 else (False, True))
        grounds: list[str] = []
        for there, cues in zip(sides, SPEAKS, strict=True):
            grounds += rng.permutation(list(cues))[: int(rng.integers(1, 4))].tolist() if there else []
        weight = balance(grounds)
        if weight == 0 or (both and abs(weight) > 2):
            continue
        parts = rng.permutation([*grounds, *rng.permutation(FILLER)[:3]]).tolist()
        texts.append(f"Letter {len(texts)}: " + ". ".join(map(str, parts)) + ".")
        labels.append(CLASSES[0][0] if weight > 0 else CLASSES[1][0])
        edge.append(both)
    table = pa.table({"text": texts, "label": labels})
    return Dataset(table, {Role.TEXT: ["text"], Role.LABEL: ["label"]}), np.array(edge)


def balance(grounds: list[str]) -> int:
    """What speaks for a refund less what speaks against it."""
    return sum(SPEAKS[0].get(g, 0) - SPEAKS[1].get(g, 0) for g in set(grounds))


def annotator(lean: int, name: str) -> Complete:
    """An agent that can label, argue and judge, with a leaning."""

    def noticed(text: str, cues: Any, sought: bool, turn: str) -> list[str]:
        found = []
        for cue in (c for c in cues if c in text):
            hidden = _scripted.whim(name, text, cue).random() < HIDDEN
            chance = SEEN[0] if not hidden else SOUGHT if sought else SEEN[1]
            if _scripted.whim(name, text, cue, str(lean), turn).random() < chance:
                found.append(cue)
        return found

    def fooled(text: str, cue: str) -> bool:
        return bool(_scripted.whim(name, text, cue, "believed").random() < BELIEVED)

    def one(prompt: Prompt) -> Answer:
        told, said = _scripted.rules(prompt), _scripted.last(prompt)
        text, *arguments = _scripted.data(said)
        cues = [*SPEAKS[0], *SPEAKS[1]]
        if " side of a debate" in told:
            side = 0 if "the affirmative side" in told else 1
            found = noticed(text, SPEAKS[side], sought=True, turn=f"debate {len(arguments)}")
            own = _scripted.whim(name, text, "invents", str(side), str(len(arguments)))
            invented = [str(own.choice(list(SPEAKS[side])))] if own.random() < INVENTED else []
            return Answer(json.dumps({"argument": "; ".join([*found, *invented]) or "it is plain"}))
        found = noticed(text, cues, sought=False, turn="alone" if arguments else f"alone {prompt.sample}")
        cited = [cue for cue in cues if cue in " ".join(arguments) and (cue in text or fooled(text, cue))]
        weight = balance([*found, *cited]) + lean
        even = _scripted.whim(name, text, "even").random() < 0.5
        label = CLASSES[0 if weight > 0 or (weight == 0 and even) else 1][0]
        return Answer(json.dumps({"reason": "; ".join(cited), "label": label} if arguments else {"label": label}))

    return lambda prompts: [one(prompt) for prompt in prompts]
