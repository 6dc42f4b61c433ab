"""Self annotator: alignment against closed form, the example kept, over a real local server."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm.served import FENCE, Does, served

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.self_annotator import SelfAnnotator, alignment, word_f1
from dross.llm.asking import Models
from dross.llm.prompt import Answer
from dross.llm.transport import Server
from dross.testing import check_method

VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
RECORDS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@given(RECORDS, RECORDS)
def test_alignment_is_a_share_symmetric_and_full_for_the_same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert 0 <= alignment(a, b) <= 1
    assert alignment(a, b) == pytest.approx(alignment(b, a))
    assert alignment(a, a) == 1


def test_alignment_counts_values_and_structure() -> None:
    assert alignment({"n": 10, "t": "a b"}, {"n": 8, "t": "a b"}) == pytest.approx(0.9)
    assert alignment({"n": 10}, {"n": 10, "made up": 1}) == 0.5
    assert alignment({"l": [1, 2]}, {"l": [1]}) == 0.5
    assert alignment({"r": {"x": 1, "y": 2}}, {"r": {"x": 1}}) == 0.5
    assert alignment({"n": "3.0"}, {"n": 3}) == 1
    assert alignment({"n": 1}, {"n": -5}) == 0
    assert word_f1("a a b", "a b b") == pytest.approx(2 / 3)


def records(n: int) -> Dataset:
    rng = np.random.default_rng(0)
    table = pa.table(
        {"name": [f"item{i}" for i in range(n)], "price": rng.integers(1, 99, n), "stock": rng.integers(0, 9, n)}
    )
    return Dataset(table, {Role.FEATURES: ["name", "price", "stock"]})


def imitates(body: dict[str, Any], number: int) -> Does:
    """Writes the fields that the example mentions; without an example, one field for each odd digit of the price."""
    messages = body["messages"]
    shown = FENCE.findall(messages[-1]["content"])[-1][1]
    if messages[0]["content"].startswith("Write the record"):
        return Does(json.dumps(dict(re.findall(r"(\w+) is (\w+)", shown))))
    record = json.loads(shown)
    example = next((m["content"] for m in messages if m["role"] == "assistant"), "")
    fields = re.findall(r"(\w+) is", example) or list(record)[: 1 + record["price"] % 3]
    return Does(json.dumps({"summary": "; ".join(f"{f} is {record[f]}" for f in fields)}))


def test_the_example_recovered_best_is_taken_and_followed() -> None:
    data = records(30)
    with served(imitates) as seen:
        found = SelfAnnotator(Models((Server(seen.url, "tiny", key_variable=""),))).run(data, Signals(data))
    assert isinstance(found, Labels)
    example = found.summary["example"]
    assert all(name in example["summary"] for name in ("name", "price", "stock"))
    assert found.summary["best_score_by_round"] == sorted(found.summary["best_score_by_round"])
    assert found.summary["alignment"] == 1.0
    assert found.summary["annotations"][3].startswith("name is item3; price is")
    assert (found.codes == 0).all()


def test_answers_that_cannot_be_used_leave_the_row_out() -> None:
    data = records(6)
    found = SelfAnnotator(Models(functions=(lambda prompts: [Answer("…") for _ in prompts],))).run(data, Signals(data))
    assert isinstance(found, Labels)
    assert found.abstained.all()
    assert found.summary["annotations"] == [None] * 6
    assert found.summary["example"] is None


def test_configurations_and_data_it_is_not_for() -> None:
    data, model = records(6), Models(functions=(lambda prompts: [],))
    with pytest.raises(DrossError):
        SelfAnnotator(model, rounds=0).run(data, Signals(data))
    with pytest.raises(DrossError):
        SelfAnnotator(Models(functions=model.functions * 3)).run(data, Signals(data))
    few = data.slice(0, 3)
    assert isinstance(SelfAnnotator(model).run(few, Signals(few)), NotApplicable)
    assert isinstance(SelfAnnotator().run(data, Signals(data)), NotApplicable)
    check_method(SelfAnnotator)
