"""Ask me anything: partly correlated prompts, combined with their dependences, beat majority and single prompts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, _scripted, claim, interval
from dross.claims.label._docstrings import first_words, topics
from dross.core.dataset import Dataset
from dross.core.results import Predictions
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.infer.ask_me_anything import AskMeAnything
from dross.llm.asking import Models
from dross.llm.prompt import Answer, Complete, Prompt

PAPER = "Ask Me Anything: A simple strategy for prompting language models"
CLASSES, PER_CLASS, KNOWN = 4, 150, 60
DRAWS = 3
"""Sets of modules that each seed averages over."""
SAME, OTHERS = ("open", "asked", "cloze"), ("claims", "choice", "exclude", "gist")
ALL = SAME + OTHERS
"""Prompts that ask for the same in other words: the model reads the same part of the text for them."""
WHIM = 0.15
"""How often such a prompt's own wording leads to another answer than its siblings'."""


@claim(
    method="ask-me-anything",
    paper=PAPER,
    says="several imperfect prompts, combined by a label model of accuracies and dependences, beat a single prompt",
    fast=False,
)
def dependent_prompts_are_combined_well(budget: Budget) -> Evidence:
    """Docstrings of four modules at a time, labelled by seven prompts of a scripted model with real errors.

    The model's competence is a naive Bayes classifier of other docstrings of these modules. How it is asked decides
    what it reads: three prompts that ask the same in other words read no more than the first three words (and go
    their own way one time in seven), the four others the rest of the text, a quarter of it each. So errors are real
    errors on real text, and the three poorest prompts share theirs. Beside it, the limit: the same with six prompts,
    half of which share their errors.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        drawn = [_one(seed * DRAWS + draw) for draw in range(DRAWS)]
        for name in drawn[0]:
            kept.setdefault(name, []).append(float(np.mean([one[name] for one in drawn])))
    measured = {name: interval(values) for name, values in kept.items()}
    gain, single = measured["points over majority vote"], measured["points over the average prompt"]
    holds = gain[0] >= 2 and gain[1] > 0 and single[0] >= 5 and single[1] > 0
    note = (
        "The model is scripted: what it reads for which prompt is set, not found. With half of the prompts sharing "
        "their errors nothing in the votes tells which half is right, and the majority vote is better."
    )
    return Evidence(measured, holds, over=budget.seeds, note=note)


def _one(seed: int) -> dict[str, float]:
    data, model = setting(seed)
    found = {name: _run(data, model, name, ALL) for name in ("dependent", "majority", "dawid-skene")}
    single = 100 * np.array([voter["measured"]["accuracy"] for voter in found["dependent"].summary["voters"]])
    right = {name: _right(one) for name, one in found.items()}
    half = [_right(_run(data, model, name, ALL[:-1])) for name in ("dependent", "majority")]
    return {
        "accuracy": right["dependent"],
        "majority vote": right["majority"],
        "independent prompts assumed (Dawid-Skene)": right["dawid-skene"],
        "average prompt": float(single.mean()),
        "best prompt": float(single.max()),
        "points over majority vote": right["dependent"] - right["majority"],
        "points over the average prompt": right["dependent"] - float(single.mean()),
        "points over majority vote, half of the prompts alike": half[0] - half[1],
    }


def _right(found: Predictions) -> float:
    return float(100 * found.summary["measured"]["accuracy"])


def _run(data: Dataset, model: Complete, combine: str, chains: tuple[str, ...]) -> Predictions:
    found = AskMeAnything(
        Models(functions=(model,)),
        task="Which module is documented?",
        classes=tuple(data.classes),
        chains=chains,
        combine=combine,
    ).run(data, Signals(data))
    assert isinstance(found, Predictions)
    return found


def setting(seed: int) -> tuple[Dataset, Complete]:
    """Texts with their true classes, and the model."""
    rng = np.random.default_rng(seed)
    known = topics(PER_CLASS + KNOWN)
    names = [str(name) for name in rng.permutation(sorted(known))[:CLASSES]]
    drawn = {name: rng.permutation(np.array(known[name][1], object))[: PER_CLASS + KNOWN] for name in names}
    taught = [(str(text), c) for c, name in enumerate(names) for text in drawn[name][:KNOWN]]
    rows = [(str(text), name) for name in names for text in drawn[name][KNOWN:]]
    table = pa.table({"text": [text for text, _ in rows], "label": [name for _, name in rows]})
    return Dataset(table, {Role.TEXT: ["text"], Role.LABEL: ["label"]}), scripted(taught, names)


def part(text: str, which: str) -> str:
    """What the model reads of a text: its first words, or every fourth word of what follows the first line."""
    opening = first_words(text).split()
    if which == "opening":
        return " ".join(opening[:3])
    words = text.split()[len(opening) :] or text.split()
    return " ".join(words[int(which) :: len(OTHERS)])


def scripted(taught: list[tuple[str, int]], names: list[str]) -> Complete:
    """A model that answers any of the chains' prompts from what it reads of the text."""
    readers = {which: _reader(taught, which) for which in ("opening", "0", "1", "2", "3")}

    def choose(text: str, chain: str) -> str:
        if chain not in SAME:
            return names[readers[str(OTHERS.index(chain))](text)]
        own = _scripted.whim(chain, text)
        if own.random() < WHIM:
            return names[int(own.integers(len(names)))]
        return names[readers["opening"](text)]

    def one(prompt: Prompt) -> Answer:
        told, said = _scripted.rules(prompt), _scripted.last(prompt)
        shown = _scripted.data(said)
        if told.startswith("Write one question"):
            return Answer("Which of the modules does this come from?")
        if told.startswith("Say in one sentence"):
            return Answer(f"It reads like {choose(shown[-1], 'gist')}.")
        if "Judge each claim" in told:
            chosen = choose(shown[-1], "claims")
            return Answer(json.dumps({name: "true" if name == chosen else "false" for name in names}))
        if "Rule out" in told:
            chosen = choose(shown[-1], "exclude")
            return Answer(json.dumps({"excluded": [name for name in names if name != chosen]}))
        if said.rstrip().endswith("Answer:"):
            asked = len(shown) == 2
            return Answer(f"It is {choose(shown[0], 'asked' if asked else 'open')}.")
        if said.rstrip().endswith("is:"):
            return Answer(f"{choose(shown[-1], 'cloze')}")
        gist = shown[-1].removeprefix("It reads like ").removesuffix(".")
        return Answer(json.dumps({"label": gist if gist in names else choose(shown[-1], "choice")}))

    return lambda prompts: [one(prompt) for prompt in prompts]


def _reader(taught: list[tuple[str, int]], which: str) -> Callable[[str], int]:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    counter = CountVectorizer(min_df=2)
    X: Any = counter.fit_transform([part(text, which) for text, _ in taught])
    labels: npt.NDArray[np.int64] = np.array([c for _, c in taught])
    model = MultinomialNB().fit(X, labels)
    kept: dict[str, int] = {}

    def read(text: str) -> int:
        if text not in kept:
            kept[text] = int(model.predict(counter.transform([part(text, which)]))[0])
        return kept[text]

    return read
