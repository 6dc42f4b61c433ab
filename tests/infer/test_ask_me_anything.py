"""Ask me anything: every chain over a real local server, dependences found, votes given."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.llm.served import FENCE, Does, served

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Predictions
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.infer.ask_me_anything import CHAINS, AskMeAnything, mentioned
from dross.llm.asking import Models
from dross.llm.prompt import Answer
from dross.llm.transport import Server
from dross.testing import check_method


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ("The text is positive.", 1),
        ("NEGATIVE", 0),
        ("positive or negative", -1),
        ("not positive", -1),
        ("unpositive", -1),
        ("", -1),
    ],
)
def test_an_open_answer_names_one_class_or_none(answer: str, place: int) -> None:
    assert mentioned(answer, ["negative", "positive"]) == place


def texts(n: int) -> Dataset:
    rng = np.random.default_rng(0)
    good = rng.random(n) < 0.5
    rows = [f"film {i} was {'lovely' if g else 'dreadful'}" for i, g in enumerate(good)]
    table = pa.table({"text": rows, "label": np.where(good, "positive", "negative").tolist()})
    return Dataset(table, {Role.TEXT: ["text"], Role.LABEL: ["label"]})


def answers(body: dict[str, Any], number: int) -> Does:
    """A model that reads the film's word and answers whatever form it is asked in."""
    told, said = body["messages"][0]["content"], body["messages"][-1]["content"]
    shown = [text for _, text in FENCE.findall(said)]
    row = next((text for text in shown[::-1] if "film" in text), "")
    label = "positive" if "lovely" in row else "negative"
    other = {"positive": "negative", "negative": "positive"}[label]
    if told.startswith("Write one question"):
        return Does("Did the writer like it?")
    if told.startswith("Say in one sentence"):
        return Does(f"The film was {'lovely' if label == 'positive' else 'dreadful'}.")
    if "Judge each claim" in told:
        return Does(json.dumps({label: "true", other: "false"}))
    if "Rule out" in told:
        return Does(json.dumps({"excluded": [other]}))
    if "somebody's answer" in told:
        return Does(json.dumps({"label": "positive" if "liked" in shown[0] else "negative"}))
    if "JSON object" in told:
        return Does(json.dumps({"label": label}))
    return Does("They liked it." if label == "positive" else "It is negative.")


def test_every_chain_works_over_a_server() -> None:
    data = texts(40)
    with served(answers) as seen:
        method = AskMeAnything(
            Models((Server(seen.url, "tiny", key_variable=""),)), "Is the review positive or negative?", shots=2
        )
        found = method.run(data, Signals(data))
    assert isinstance(found, Predictions)
    truth = np.array(data.table["label"].to_pylist())
    assert (np.array(found.classes)[found.probs.argmax(axis=1)] == truth).all()
    assert [voter["voter"] for voter in found.summary["voters"]] == [f"tiny/{name}" for name in CHAINS]
    assert all(voter["labelled"] == 1 and voter["measured"]["accuracy"] == 1 for voter in found.summary["voters"])
    assert found.summary["models"][0]["errors"] == {}


def test_votes_that_are_there_are_combined_with_their_dependences() -> None:
    rng = np.random.default_rng(0)
    n = 3000
    truth = rng.integers(0, 2, n)
    shared = np.where(rng.random(n) < 0.62, truth, 1 - truth)
    alike = [np.where(rng.random(n) < 0.95, shared, 1 - shared) for _ in range(4)]
    others = [np.where(rng.random(n) < p, truth, 1 - truth) for p in (0.8, 0.78, 0.82, 0.8, 0.75)]
    names = [f"p{j}" for j in range(9)]
    table = pa.table({name: [f"c{v}" for v in votes] for name, votes in zip(names, [*alike, *others], strict=True)})
    data = Dataset(table, {Role.VOTES: names})
    right = {}
    for combine in ("dependent", "majority"):
        found = AskMeAnything(combine=combine).run(data, Signals(data))
        assert isinstance(found, Predictions)
        right[combine] = (found.probs.argmax(axis=1) == truth).mean()
    assert right["dependent"] > right["majority"] + 0.02
    pairs = AskMeAnything().run(data, Signals(data)).summary["dependent"]
    assert all(pair["one"] in names[:4] and pair["other"] in names[:4] for pair in pairs)


def test_rows_on_which_no_prompt_speaks_are_left_even() -> None:
    data = texts(6)
    method = AskMeAnything(Models(functions=(lambda prompts: [Answer("no idea") for _ in prompts],)))
    found = method.run(data, Signals(data))
    assert isinstance(found, Predictions)
    assert np.allclose(found.probs, 0.5)
    assert found.summary["answered"] == 0


@pytest.mark.parametrize(
    "fields", [{"chains": ("none",)}, {"chains": ()}, {"chains": ("open", "open")}, {"combine": "x"}]
)
def test_a_configuration_that_cannot_work_is_refused(fields: dict[str, Any]) -> None:
    data = texts(4)
    with pytest.raises(DrossError):
        AskMeAnything(Models(functions=(lambda prompts: [],)), **fields).run(data, Signals(data))


def test_where_it_does_not_apply() -> None:
    data = texts(4)
    assert isinstance(AskMeAnything().run(data, Signals(data)), NotApplicable)
    two = Dataset(pa.table({"a": ["x", "y"], "b": ["x", "y"]}), {Role.VOTES: ["a", "b"]})
    assert isinstance(AskMeAnything().run(two, Signals(two)), NotApplicable)
    check_method(AskMeAnything)
