from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.core.errors import DrossError
from dross.weak.answers import RAISED, UNFIT, UNKNOWN, Columns, answer_rows, answer_table, text_of
from dross.weak.functions import LabelingFunction, labeling_function


def ask(function, values, known=None):
    rule = LabelingFunction("rule", function)
    return answer_rows(rule, Columns(pa.table({"x": values})), 0, known)


def named(answers):
    return [None if c < 0 else answers.classes[c] for c in answers.codes]


def test_the_decorator():
    @labeling_function
    def plain(row):
        return "a"

    @labeling_function(name="other", resources={"least": 2}, vectorised=True, timeout=3)
    def named_one(table, least):
        return least

    assert (plain.name, plain.vectorised, plain.timeout) == ("plain", False, None)
    assert (named_one.name, named_one.vectorised, named_one.timeout, named_one({})) == ("other", True, 3, 2)
    with pytest.raises(DrossError, match="timeout of -1"):
        labeling_function(timeout=-1)(len)
    with pytest.raises(DrossError, match="no name"):
        labeling_function(name="")(len)


@pytest.mark.parametrize(
    ("answer", "label"),
    [("a", "a"), (3, 3), (np.int64(3), 3), (True, True), (2.0, 2.0), (None, None), (float("nan"), None), (-1, None)],
)
def test_labels_of_every_kind(answer, label):
    got = ask(lambda row: answer, [0])
    assert named(got) == [label]
    assert not got.failures


def test_minus_one_is_a_class_where_it_is_declared():
    assert named(ask(lambda row: -1, [0], known=["-1", "1"])) == [-1]


def test_labels_of_equal_text_are_one_class():
    answers = iter([1, 1.0, "1", np.int8(1)])
    got = ask(lambda row: next(answers), [0, 0, 0, 0])
    assert got.codes.tolist() == [0, 0, 0, 0]
    assert [text_of(label) for label in got.classes] == ["1"]


def test_true_is_not_one():
    answers = iter([True, 1])
    assert ask(lambda row: next(answers), [0, 0]).codes.tolist() == [0, 1]


def test_several_labels_and_chances():
    answers = iter([["a", "b"], {"a": 0.2, "b": 0.8}, ["b"], [], {}, {"b": 1.0}])
    got = ask(lambda row: next(answers), range(6))
    assert got.soft_rows.tolist() == [0, 1]
    np.testing.assert_allclose(got.soft, [[0.5, 0.5], [0.2, 0.8]], atol=1e-6)
    assert named(got) == ["a", "b", "b", None, None, "b"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"a": 0.5, "b": 0.2}, "add up to 0.7"),
        ({"a": -0.5, "b": 1.5}, "at least 0"),
        ({"a": float("nan")}, "at least 0"),
        ({"a": "much"}, "much"),
        (object(), "no label"),
        (b"a", "no label"),
        (float("inf"), "no label"),
        ([["a"]], "no label"),
        (lambda: 1, "no label"),
    ],
)
def test_answers_that_are_no_vote(answer, words):
    got = ask(lambda row: answer, [0, 0])
    (failure,) = got.failures.values()
    assert (failure.kind, failure.count, failure.row) == (UNFIT, 2, 0)
    assert words in failure.message
    assert got.codes.tolist() == [-1, -1]


def test_an_unknown_label_names_the_nearest():
    got = ask(lambda row: "spma" if row["x"] else "ham", [0, 1, 1], known=["ham", "spam"])
    (failure,) = got.failures.values()
    assert (failure.kind, failure.count, failure.row) == (UNKNOWN, 2, 1)
    assert "'spma'" in failure.message
    assert "did you mean 'spam'" in failure.message
    assert named(got) == ["ham", None, None]


def test_what_a_rule_raises_is_counted_by_type_with_the_first_row():
    def rule(row):
        if row["x"] == 0:
            raise SystemExit(3)
        return {1: "a"}[row["x"]]

    got = ask(rule, [1, 2, 0, 3])
    told = {key: (f.kind, f.row, f.count) for key, f in got.failures.items()}
    assert told == {"raised: KeyError": (RAISED, 1, 2), "raised: SystemExit": (RAISED, 2, 1)}
    assert named(got) == ["a", None, None, None]


def test_a_missing_column_says_which_there_are():
    got = ask(lambda row: row["y"], [1])
    assert "there is no column 'y'; choose one of: x" in next(iter(got.failures.values())).message


def test_hidden_columns():
    rule = LabelingFunction("rule", lambda row: row["label"])
    got = answer_rows(rule, Columns(pa.table({"x": [1]}), ["label"]), 0, None)
    assert "rules do not see it" in next(iter(got.failures.values())).message


def test_a_slow_rule_gives_what_it_has():
    got = answer_rows(LabelingFunction("slow", lambda row: "a"), Columns(pa.table({"x": range(9)})), 4, None, 0.0)
    assert (len(got), got.codes.tolist()) == (1, [0])


SAID = [None, "b", "a", "b"]


@pytest.mark.parametrize(
    "kind", [list, np.array, pa.array, pl.Series, lambda v: pa.chunked_array([v[:2], v[2:]]), tuple,
             lambda v: pa.array(v).dictionary_encode()]
)  # fmt: skip
def test_vectorised_answers_of_every_kind(kind):
    rule = LabelingFunction("rule", lambda table: kind(SAID), vectorised=True)
    got = answer_table(rule, pa.table({"x": range(4)}), None)
    assert named(got) == SAID
    assert not got.failures


def test_vectorised_numbers_and_chances():
    numbers = LabelingFunction("n", lambda table: np.array([1.0, np.nan, 0.0]), vectorised=True)
    got = answer_table(numbers, pa.table({"x": range(3)}), None)
    assert named(got) == [1.0, None, 0.0]
    soft = LabelingFunction("s", lambda t: {"a": [0.25, np.nan, 1], "b": [0.75, 0.1, 0]}, vectorised=True)
    got = answer_table(soft, pa.table({"x": range(3)}), None)
    assert named(got) == ["b", None, "a"]
    assert got.soft_rows.tolist() == [0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([1, 2], "2 answers for 3 rows"),
        ("abc", "not one answer for each row"),
        (7, "not one answer"),
        ({"a": [1.0]}, "1 answers for 3 rows"),
        ([b"x", b"y", b"z"], "no label"),
    ],
)
def test_vectorised_answers_that_do_not_fit(answer, words):
    got = answer_table(LabelingFunction("r", lambda t: answer, vectorised=True), pa.table({"x": range(3)}), None)
    assert sum(one.count for one in got.failures.values()) == 3
    assert words in next(iter(got.failures.values())).message
    assert named(got) == [None] * 3


@given(st.lists(st.sampled_from([None, "a", "b", 1, 2.5, True, "zzz"]), max_size=30))
def test_both_ways_agree(values):
    """A vectorised rule and one that sees row after row are checked alike."""
    known = ["a", "b", "1", "true", "2.5"]
    answers = iter(values)
    one = ask(lambda row: next(answers), range(len(values)), known)
    rule = LabelingFunction("r", lambda t: values, vectorised=True)
    other = answer_table(rule, pa.table({"x": range(len(values))}), known)
    assert [text_of(a) for a in named(one)] == [text_of(a) for a in named(other)]
    counts = [{f.kind: (f.count, f.row) for f in got.failures.values()} for got in (one, other)]
    assert counts[0] == counts[1]
