"""Black-box prompts: the gradient against enumeration, sure rows, learning over a real local server."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm.served import Does, row_of, served

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.black_box_prompts import BlackBoxPrompts, chosen_examples, policy_gradient, reliable, softmax
from dross.llm.asking import Models
from dross.llm.prompt import Answer
from dross.llm.transport import Server
from dross.testing import check_method


def test_the_policy_gradient_is_unbiased() -> None:
    """Averaged over all pairs of prompts, by their chance, it is the derivative of the expected loss."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3))
    prompts = np.array(list(itertools.product(range(3), repeat=2)))
    loss = rng.normal(size=9)

    def chance(z: np.ndarray) -> np.ndarray:
        return softmax(z)[0][prompts[:, 0]] * softmax(z)[1][prompts[:, 1]]

    exact = np.zeros((2, 3))
    for place in np.ndindex(2, 3):
        step = np.zeros((2, 3))
        step[place] = 1e-6
        exact[place] = (chance(logits + step) - chance(logits - step)) @ loss / 2e-6
    p = chance(logits)
    mean = sum(p[i] * p[j] * policy_gradient(logits, prompts[[i, j]], loss[[i, j]]) for i in range(9) for j in range(9))
    assert np.allclose(mean, exact, atol=1e-6)


@given(st.integers(1, 60), st.integers(2, 4), st.floats(0.01, 1), st.integers(0, 99))
def test_sure_rows_are_the_surest_of_each_class(n: int, k: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probs = softmax(rng.normal(size=(n, k)))
    probs[rng.random(n) < 0.2] = np.nan
    rows = reliable(probs, share)
    known = np.flatnonzero(~np.isnan(probs).any(axis=1))
    best = np.nan_to_num(probs).argmax(axis=1)
    for c in range(k):
        mine = known[best[known] == c]
        taken = np.intersect1d(rows, mine)
        assert len(taken) == (max(1, round(share * len(mine))) if len(mine) else 0)
        left = np.setdiff1d(mine, taken)
        assert not len(left) or not len(taken) or probs[taken, c].min() >= probs[left, c].max()


def test_examples_are_of_every_class() -> None:
    codes = np.array([0, 0, 0, 1, 1, 2])
    rows = chosen_examples(np.arange(6), codes, 3, 2, np.random.default_rng(0))
    assert sorted(codes[rows].tolist()) == [0, 0, 1, 1, 2]


def texts(n: int) -> Dataset:
    rng = np.random.default_rng(0)
    strength = rng.normal(size=n)
    table = pa.table(
        {"text": [f"row {s:.3f}" for s in strength], "label": np.where(strength > 0, "up", "down").tolist()}
    )
    return Dataset(table, {Role.TEXT: ["text"], Role.LABEL: ["label"]})


def shaky(body: dict[str, Any], number: int) -> Does:
    """Reads a number through noise that the word "calm" lessens and the word "loud" raises."""
    told, row = body["messages"][0]["content"], row_of(body)
    first = told.split("\n")[0].split()
    noise = 1.5 * 0.4 ** (first.count("calm") - first.count("loud"))
    own = np.random.default_rng(list(f"{row} {first}".encode()))
    z = 3 * (float(row.split()[1]) + noise * own.normal())
    p = 1 / (1 + math.exp(-max(min(z, 30), -30)))
    tops = [{"token": t, "logprob": math.log(max(q, 1e-12))} for t, q in (("up", p), ("down", 1 - p))]
    label = "up" if p >= 0.5 else "down"
    chosen = {**next(t for t in tops if t["token"] == label), "top_logprobs": tops}
    ends = [{"token": t, "logprob": 0.0, "top_logprobs": []} for t in ('{"label": "', '"}')]
    return Does(json.dumps({"label": label}), tokens=[ends[0], chosen, ends[1]])


def test_a_prompt_is_learnt_from_answers_alone() -> None:
    data = texts(60)
    with served(shaky) as seen:
        method = BlackBoxPrompts(
            Models((Server(seen.url, "tiny", key_variable="", concurrency=2),)),
            vocabulary=("calm", "loud", "plain", "round"),
            slots=2,
            steps=12,
            prompts=4,
            batch=8,
        )
        found = method.run(data, Signals(data))
    assert isinstance(found, Labels)
    assert "calm" in found.summary["prompt"]
    assert "loud" not in found.summary["prompt"]
    assert found.summary["measured"]["accuracy"] > found.summary["measured_before"]["accuracy"]
    assert len(found.summary["loss"]) == 12


def test_a_model_without_usable_answers_is_named() -> None:
    data = texts(30)
    found = BlackBoxPrompts(Models(functions=(lambda prompts: [Answer("…") for _ in prompts],))).run(
        data, Signals(data)
    )
    assert isinstance(found, NotApplicable)
    assert "no JSON object" in found.reason


@pytest.mark.parametrize(
    "fields",
    [{"vocabulary": ("a",)}, {"slots": 0}, {"prompts": 1}, {"share": 0.0}, {"rate": 0.0}, {"vocabulary": ("a", " ")}],
)
def test_a_configuration_that_cannot_work_is_refused(fields: dict[str, Any]) -> None:
    data = texts(30)
    with pytest.raises(DrossError):
        BlackBoxPrompts(Models(functions=(lambda prompts: [],)), **fields).run(data, Signals(data))


def test_where_it_does_not_apply() -> None:
    data = texts(30)
    assert isinstance(BlackBoxPrompts().run(data, Signals(data)), NotApplicable)
    few = data.slice(0, 10)
    assert isinstance(BlackBoxPrompts(Models(functions=(lambda p: [],))).run(few, Signals(few)), NotApplicable)
    check_method(BlackBoxPrompts)
