from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.models.votes import votes_of
from dross.weak import apply_rules, labeling_function
from tests.weak.made import column, messages, python, yaml

GOOD = """
    @labeling_function
    def free(row):
        return "spam" if "free" in row["text"].lower() else None
"""


def failures(source: Any) -> list[tuple[str, int, int]]:
    return [(one["kind"], one["row"], one["count"]) for one in source.failures]


def test_rules_of_every_kind_together(tmp_path: Path) -> None:
    py = python(
        tmp_path,
        GOOD
        + """
    import pyarrow.compute as pc

    @labeling_function(vectorised=True)
    def short(table):
        return pc.if_else(pc.less(table["length"], 10), "ham", None)
    """,
    )
    yml = yaml(tmp_path, "rules:\n  - {name: win, label: spam, keywords: win}\n")
    loud = labeling_function(name="loud")(lambda row: "spam" if "!" in row["text"] else None)
    done = apply_rules(messages(gold=True), [py, yml, loud])
    assert column(done, "free") == ["spam", None, "spam", None, None, None]
    assert column(done, "short") == [None, "ham", None, None, None, "ham"]
    assert column(done, "win") == ["spam", None, None, None, "spam", None]
    assert column(done, "loud") == [None, None, "spam", None, None, None]
    assert done.data.roles[Role.VOTES] == ("free", "short", "win", "loud")
    assert [source.votes for source in done.sources] == [2, 2, 2, 1]
    assert done.sources[0].where == f"{py}:3"
    np.testing.assert_array_equal(done.data.row_ids, messages(gold=True).row_ids)
    votes = done.votes()
    assert (votes.names, votes.classes) == (["free", "short", "win", "loud"], ["ham", "spam"])
    assert np.diff(votes.starts).tolist() == [2, 1, 2, 0, 1, 1]


def test_columns_of_votes_work_without_rules() -> None:
    table = pa.table({"a": [1, -1, 0], "b": [1, 1, -1]})
    done = apply_rules(Dataset(table, {Role.VOTES: ["a", "b"]}))
    assert [source.votes for source in done.sources] == [2, 2]
    assert done.votes().classes == ["0", "1"]
    assert {key: done.values[key] for key in ("0", "1")} == {"0": 0, "1": 1}


def test_a_rule_that_raises_is_counted_and_the_others_work(tmp_path: Path) -> None:
    py = python(
        tmp_path,
        GOOD
        + """
    @labeling_function
    def broken(row):
        return {16: "spam"}[row["length"]]

    @labeling_function
    def unknown(row):
        return "spma"

    @labeling_function
    def silent(row):
        print("noise on standard output")
        return None

    @labeling_function
    def leaver(row):
        raise SystemExit(1)
    """,
    )
    done = apply_rules(messages(), py, classes=["ham", "spam"])
    by = {source.name: source for source in done.sources}
    assert failures(by["free"]) == []
    assert failures(by["broken"]) == [("raised", 1, 5)]
    assert by["broken"].failures[0]["message"] == "KeyError: 9"
    assert column(done, "broken") == ["spam"] + [None] * 5
    assert failures(by["unknown"]) == [("unknown label", 0, 6)]
    assert by["unknown"].left_out == "it failed on every row"
    assert (by["silent"].votes, by["silent"].left_out) == (0, None)
    assert failures(by["leaver"]) == [("raised", 0, 6)]
    assert done.votes().names == ["free", "broken", "silent"]


def test_a_vote_for_a_class_no_given_label_is(tmp_path: Path) -> None:
    wrong = labeling_function(name="wrong")(lambda row: "spma")
    done = apply_rules(messages(gold=True), wrong)
    assert done.sources[0].remarks == ["votes for 'spma', which no given label is; did you mean 'spam'?"]


def test_rules_do_not_see_given_labels(tmp_path: Path) -> None:
    py = python(
        tmp_path,
        """
    @labeling_function
    def cheat(row):
        return row["label"]

    @labeling_function(vectorised=True)
    def cheat_all(table):
        return table["label"]
    """,
    )
    done = apply_rules(messages(gold=True), py)
    assert [source.left_out for source in done.sources] == ["it failed on every row"] * 2
    assert "rules do not see it" in done.sources[0].failures[0]["message"]


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("x = 1", "", "holds no rules"),
        ("def f(:", ":2", "SyntaxError"),
        ("x = 1\ny = x / 0", ":3", "ZeroDivisionError"),
        ("import not_there_at_all", ":2", "ModuleNotFoundError"),
        ("raise SystemExit(3)", ":2", "SystemExit"),
        ("import os; os._exit(3)", "", "exit code 3"),
        ("@labeling_function(timeout=0)\ndef f(row): ...", ":2", "timeout of 0"),
        ("@labeling_function(name='f')\ndef g(row): ...\n@labeling_function\ndef f(row): ...", ":4", "two rules"),
        ("@labeling_function\ndef text(row): ...", ":2", "like a column"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, body: str, line: str, words: str) -> None:
    path = python(tmp_path, body)
    with pytest.raises(DrossError) as caught:
        apply_rules(messages(), path)
    assert words in str(caught.value)
    assert caught.value.where == f"{path}{line}"


def test_other_mistakes(tmp_path: Path) -> None:
    (tmp_path / "rules.txt").touch()
    with pytest.raises(DrossError, match="no such file"):
        apply_rules(messages(), tmp_path / "none.py")
    with pytest.raises(DrossError, match="names no kind of rules"):
        apply_rules(messages(), tmp_path / "rules.txt")
    with pytest.raises(DrossError, match="cannot take"):
        apply_rules(messages(), timeout=0)
    with pytest.raises(DrossError, match="no rule and no column"):
        apply_rules(messages()).votes()


def test_votes_are_those_of_the_columns(tmp_path: Path) -> None:
    """The label model sees what anybody would who reads the columns."""
    rng = np.random.default_rng(0)
    codes = rng.integers(-1, 4, (500, 3))
    table = pa.table({"text": [str(i) for i in range(500)], "given": codes[:, 0]})
    data = Dataset(table, {Role.TEXT: ["text"], Role.VOTES: ["given"]})
    rules = [
        labeling_function(name=f"r{j}")(lambda row, j=j: int(codes[int(row["text"]), j]))  # -1 is an abstention
        for j in (1, 2)
    ]
    done = apply_rules(data, rules)
    one, other = done.votes(), votes_of(done.data, Role.VOTES)
    assert (one.names, one.classes) == (other.names, other.classes) == (["given", "r1", "r2"], ["0", "1", "2", "3"])
    for name in ("starts", "annotators", "labels"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.counts().sum(axis=1), (codes >= 0).sum(axis=1))
