"""Long-output quality data: lengths asked and given, the score, what is kept, ordinary answers, bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.realdata import real

from dross.claims.select.long_output_quality_data import long_answers
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.long_output_quality_data import (
    LongOutputQualityData,
    asked_length,
    length_of,
    length_scores,
    repeated,
)
from dross.testing import check_method

ROLES = {Role.PROMPT: ["q"], Role.RESPONSE: ["a"]}


def story(words: int) -> str:
    return " ".join(f"w{i}" for i in range(words))


def dataset(*rows: tuple[str | None, str | None]) -> Dataset:
    return Dataset(pa.table({"q": [q for q, _ in rows], "a": [a for _, a in rows]}), ROLES)


def chosen(method: LongOutputQualityData, data: Dataset) -> Selection:
    found = method.run(data, Signals(data))
    assert isinstance(found, Selection)
    return found


def test_contract() -> None:
    check_method(LongOutputQualityData)


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        ("Write a 5000-word essay", (5000, "words")),
        ("in 1,200 words, and again: 1200 words", (1200, "words")),
        ("写一篇800字的作文", (800, "words")),
        ("写一篇两万字的小说", (20_000, "words")),
        ("5千字以内", (5000, "words")),
        ("Give me 10 short tips in 300 words", (300, "words")),
        ("Give me 10 short tips", (10, "items")),
        ("Between 200 words and 300 words", None),
        ("Tell me about 1984", None),
        ("Use 0 words", None),
        ("", None),
    ],
)
def test_the_length_asked_for_is_read(prompt: str, asked: tuple[int, str] | None) -> None:
    assert asked_length(prompt) == asked


@given(st.integers(1, 10_000), st.integers(0, 50_000))
def test_the_score_is_that_of_longbench_write(asked: int, got: int) -> None:
    """Against the formula of the benchmark, written out for one answer."""
    if got > asked:
        expected = 100 * max(0, 1 - (got / asked - 1) / 3)
    else:
        expected = 100 * max(0, 1 - (asked / got - 1) / 2) if got else 0.0
    assert length_scores([asked], [got])[0] == pytest.approx(expected)


def test_lengths_are_counted_in_any_script() -> None:
    assert length_of("你好 world, isn't it") == 5
    assert length_of("") == 0
    assert length_of("intro\n1) one\n2. two\n  * three\n12.5 is no item", "items") == 3
    assert repeated("") == 0
    assert repeated("One here. two there\nONE  here!") == pytest.approx(1 / 3)


def test_answers_of_the_length_asked_for_are_kept_the_best_first() -> None:
    data = dataset(
        ("Write 100 words", story(70)),  # scores 78
        ("Write 100 words", story(120)),  # 93
        ("Write 100 words", story(100)),
        ("Write 100 words", "\n".join(["all of it again"] * 25)),  # repeats itself
        ("Write", story(100)),  # names no length
        ("Write 100 words", story(170)),  # 77
        ("Write 20 words", story(20)),  # short
    )
    found = chosen(LongOutputQualityData(long=50), data)
    assert found.rows.tolist() == [2, 1]
    assert found.weights is None
    counts = {name: found.summary[name] for name in found.summary if name.startswith("long")}
    assert counts == {"long": 6, "long_without_one_length": 1, "long_of_another_length": 2, "long_with_repetitions": 1}
    assert chosen(LongOutputQualityData(long=50, most=1), data).rows.tolist() == [2]
    assert set(chosen(LongOutputQualityData(long=50, threshold=75.0), data).rows.tolist()) == {0, 1, 2, 5}


def test_ordinary_answers_come_along() -> None:
    rows = [("Write 100 words", story(100))] * 2 + [("Hi", f"hello {i}") for i in range(30)]
    found = chosen(LongOutputQualityData(long=50, ordinary=10.0), dataset(*rows))
    assert sorted(found.rows[:2].tolist()) == [0, 1]
    assert len(found) == 22
    assert found.rows[2:].min() >= 2


def test_planted_answers_of_the_right_length_fill_a_tenth() -> None:
    data = long_answers(np.random.default_rng(0))
    found = chosen(LongOutputQualityData(long=0, most=100), data)
    table = data.take(found.rows).table.to_pydict()
    assert len(found) == 100
    assert all(asked_length(q) == (length_of(a, "items"), "items") for q, a in zip(table["q"], table["a"], strict=True))
    turned = data.take(np.random.default_rng(1).permutation(len(data)))
    again = chosen(LongOutputQualityData(long=0, most=100), turned)
    assert np.array_equal(data.row_ids[found.rows], turned.row_ids[again.rows])


def test_real_instructions_that_name_a_length_mostly_get_it() -> None:
    folder = real("instruct_alpaca_raw")
    table = pa.concat_tables([pq.read_table(file) for file in sorted(folder.glob("*.parquet"))])
    names = [
        next(n for n in table.column_names if n in kind) for kind in ({"instruction", "prompt"}, {"output", "response"})
    ]
    data = Dataset(table.select(names).rename_columns(["q", "a"]), ROLES)
    found = chosen(LongOutputQualityData(long=30), data)
    assert 0 < len(found) < found.summary["long"]
    prompts = data.take(found.rows).table.column("q").to_pylist()
    assert all(asked_length(prompt) is not None for prompt in prompts)


def test_gaps_and_bad_input() -> None:
    data = dataset(("Write 100 words", None), (None, story(100)), ("Write 100 words", story(100)))
    assert chosen(LongOutputQualityData(long=50), data).rows.tolist() == [2]
    empty = dataset(("Hi", "hello"))
    assert len(chosen(LongOutputQualityData(), empty)) == 0
    with pytest.raises(DrossError, match="threshold"):
        LongOutputQualityData(threshold=101.0).run(data, Signals(data))
    with pytest.raises(DrossError, match="most"):
        LongOutputQualityData(most=0).run(data, Signals(data))
    bare = Dataset(data.table, {Role.TEXT: ["a"]})
    assert isinstance(LongOutputQualityData().run(bare, Signals(bare)), NotApplicable)
