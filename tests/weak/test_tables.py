from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.weak import apply_rules
from tests.weak.made import column, messages, yaml


def votes(folder: Path, body: str, data: Dataset | None = None) -> list:
    """What one rule says."""
    path = yaml(folder, body)
    applied = apply_rules(data or messages(), path)
    (source,) = (s for s in applied.sources if s.where)
    return column(applied, source.name)


def rule(body: str) -> str:
    return "rules:\n  - name: r\n    label: spam\n" + "".join(f"    {line}\n" for line in body.splitlines())


@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("keywords: [free, win]", [0, 2, 4]),
        ("keywords: free\ncase: true", [0]),
        ("keywords: ['!!!']", [2]),
        ("keywords: [fre]", []),
        ("keywords: [fre]\nwhole_words: false", [0, 2]),
        ("keywords: ['free   prize']", [0]),
        ("pattern: '^[a-z]+$'", [5]),
        ("pattern: ['\\d$', '^ok']", [3, 5]),
        ("pattern: FREE\ncase: true", [2]),
        ("where: {column: length, above: 12}", [0, 2, 4]),
        ("where: {column: length, at_least: 12, below: 13}", [3]),
        ("where:\n  - {column: length, at_most: 9}\n  - {column: length, equals: 9}", [1]),
        ("where: {column: length, one_of: [2, 9]}", [1, 5]),
        ("where: {column: text, missing: true}", []),
        ("keywords: win\nwhere: {column: length, below: 16}", [4]),
        ("keywords: win\nunless: {pattern: now}", [0]),
        ("where: {column: length, above: 0}\nunless: {keywords: [free, win]}", [1, 3, 5]),
    ],
)
def test_conditions(tmp_path: Path, body: str, fires: list[int]) -> None:
    found = votes(tmp_path, rule(body))
    assert [i for i, vote in enumerate(found) if vote == "spam"] == fires
    assert set(found) <= {"spam", None}


def test_words_are_those_of_any_language(tmp_path: Path) -> None:
    data = messages(texts=["Grüße aus Köln", "GRÜSSE", "köln", "Kölner", "日本語です"])
    assert votes(tmp_path, rule("keywords: [köln]"), data) == ["spam", None, "spam", None, None]
    assert votes(tmp_path, rule("keywords: [日本]\nwhole_words: false"), data)[4] == "spam"


def test_nulls_never_match(tmp_path: Path) -> None:
    data = Dataset(pa.table({"text": ["free", None], "n": [None, 1.0]}), {Role.TEXT: ["text"]})
    assert votes(tmp_path, rule("keywords: free"), data) == ["spam", None]
    assert votes(tmp_path, rule("where: {column: n, above: 0}"), data) == [None, "spam"]
    assert votes(tmp_path, rule("where: {column: n, missing: true}"), data) == ["spam", None]
    assert votes(tmp_path, rule("where: {column: n, missing: false}\nunless: {keywords: free}"), data) == [None, "spam"]


def test_many_keywords_from_a_file(tmp_path: Path) -> None:
    words = [f"word{i}" for i in range(2000)] + ["prize", "c++", ""]
    (tmp_path / "words.txt").write_text("\n".join(words))
    data = messages(texts=["a prize", "c++ rules", "word1999", "word2000", "c"])
    assert votes(tmp_path, rule("keywords: {file: words.txt}"), data) == ["spam", "spam", "spam", None, None]


def test_soft_labels(tmp_path: Path) -> None:
    body = "rules:\n  - {name: r, label: {spam: 0.75, ham: 0.25}, keywords: free}\n"
    applied = apply_rules(messages(), yaml(tmp_path, body))
    rows, chances = applied.soft["r"]
    assert rows.tolist() == [0, 2]
    assert {name: part.tolist() for name, part in chances.items()} == {"spam": [0.75, 0.75], "ham": [0.25, 0.25]}
    found = applied.votes()
    assert found.classes == ["ham", "spam"]
    assert found.weights is not None
    assert found.weights.tolist() == [0.25, 0.75, 0.25, 0.75]
    assert found.starts.tolist() == [0, 2, 2, 4, 4, 4, 4]


SENDERS = Dataset(
    pa.table(
        {"sender": ["bob", "eve", "zoe", None], "score": [0.9, 0.2, 0.9, 0.1], "bot": ["POS", "NEG", "huh", None]}
    ),
    {Role.FEATURES: ["score"]},
)


def test_lookup(tmp_path: Path) -> None:
    (tmp_path / "senders.csv").write_text("who,what,note\nbob,ham,friend\neve,spam,\nzoe,,\n")
    body = "rules:\n  - {name: r, lookup: {file: senders.csv, column: sender, key: who, label: what}}\n"
    assert votes(tmp_path, body, SENDERS) == ["ham", "spam", None, None]


def test_model(tmp_path: Path) -> None:
    body = "rules:\n  - {name: r, model: bot}\n"
    assert votes(tmp_path, body, SENDERS) == ["POS", "NEG", "huh", None]
    body = "rules:\n  - name: r\n    model: {column: bot, map: {POS: spam, NEG: ham}}\n"
    body += "    where: {column: score, above: 0.5}\n"
    assert votes(tmp_path, body, SENDERS) == ["spam", None, None, None]


def test_no_and_on_are_words(tmp_path: Path) -> None:
    body = "classes: [yes, no]\nrules:\n  - {name: r, label: no, keywords: [on, ok]}\n"
    assert votes(tmp_path, body) == [None] * 5 + ["no"]


def test_labels_of_a_model_that_are_no_class_are_counted(tmp_path: Path) -> None:
    path = yaml(tmp_path, "classes: [POS, NEG]\nrules:\n  - {name: r, model: bot}\n")
    applied = apply_rules(SENDERS, path)
    (source,) = applied.sources
    assert column(applied, "r") == ["POS", "NEG", None, None]
    assert [(f["kind"], f["row"], f["count"]) for f in source.failures] == [("unknown label", 2, 1)]


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("rules: [", 1, "not YAML"),
        ("rules:\n  - name: a\n    label: x\n   keywords: b\n", 4, "not YAML"),
        ("rulez: []\n", 1, "did you mean 'rules'"),
        ("rules: []\n", 1, "holds no rules"),
        ("- a\n", 1, "must begin with"),
        ("rules:\n  - label: x\n    keywords: a\n", 2, "no name"),
        ("rules:\n  - name: ' '\n    label: x\n    keywords: a\n", 2, "no name"),
        ("rules:\n  - name: a\n    keywords: b\n", 2, "none of them"),
        ("rules:\n  - name: a\n    label: x\n    model: length\n", 2, "label and model"),
        ("rules:\n  - name: a\n    label: x\n", 2, "every row"),
        ("rules:\n  - name: a\n    label:\n    keywords: b\n", 3, "'label' is empty"),
        ("rules:\n  - name: a\n    label: x\n    keyword: b\n", 4, "did you mean 'keywords'"),
        ("rules:\n  - name: a\n    label: x\n    keywords: []\n", 4, "list of texts"),
        ("rules:\n  - name: a\n    label: x\n    pattern: '('\n", 4, "regular expression"),
        ("rules:\n  - name: a\n    label: x\n    pattern: 'a(?=b)'\n", 4, "look-around"),
        ("rules:\n  - name: a\n    label: x\n    keywords: b\n    column: txt\n", 5, "did you mean 'text'"),
        ("rules:\n  - name: a\n    label: x\n    column: text\n", 4, "says nothing"),
        ("rules:\n  - name: a\n    label: x\n    keywords: b\n    case: maybe\n", 5, "true or false"),
        ("rules:\n  - name: a\n    label: x\n    where: {column: text, above: 3}\n", 2, "does not fit"),
        ("rules:\n  - name: a\n    label: x\n    where: {column: length}\n", 4, "compares with nothing"),
        ("rules:\n  - name: a\n    label: x\n    where: {column: length, over: 3}\n", 4, "no entry 'over'"),
        ("rules:\n  - name: a\n    label: x\n    where: length > 3\n", 4, "column and a comparison"),
        ("rules:\n  - name: a\n    label: x\n    where: {column: length, above: true}\n", 4, "a number or a text"),
        ("rules:\n  - name: a\n    label: x\n    where: {column: label, equals: ham}\n", 4, "rules do not see it"),
        ("rules:\n  - name: a\n    lookup: {file: none.csv, column: text}\n", 3, "no file"),
        ("rules:\n  - name: a\n    label: {x: 0.5, y: 0.2}\n    keywords: b\n", 3, "add up to 0.7"),
        ("classes: [ham, spam]\nrules:\n  - name: a\n    label: spma\n    keywords: b\n", 4, "did you mean 'spam'"),
        ("rules:\n  - name: a\n    label: x\n    keywords: b\n    name: c\n", 5, "twice"),
        ("rules: &a\n  - *a\n", 1, "endless"),
        ("classes: ham\nrules: []\n", 1, "list of labels"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, body: str, line: int, words: str) -> None:
    path = yaml(tmp_path, body)
    with pytest.raises(DrossError) as caught:
        apply_rules(messages(gold=True), path)
    assert words in str(caught.value)
    assert caught.value.where == f"{path}:{line}"


def test_a_table_with_two_labels_for_one_key(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("who,what\nbob,ham\nbob,spam\n")
    path = yaml(tmp_path, "rules:\n  - {name: r, lookup: {file: t.csv, column: sender}}\n")
    with pytest.raises(DrossError, match="two labels") as caught:
        apply_rules(SENDERS, path)
    assert caught.value.where == f"{tmp_path / 't.csv'}:3"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("who,what\nb\xf6b,ham\n".encode("latin-1"))
    path = yaml(tmp_path, "rules:\n  - {name: r, lookup: {file: t.csv, column: sender}}\n")
    with pytest.raises(DrossError, match="not UTF-8"):
        apply_rules(SENDERS, path)
    (tmp_path / "t.csv").write_text("who,what\n" + "b" * 200_000 + ",ham\n")
    with pytest.raises(DrossError, match="no CSV") as caught:
        apply_rules(SENDERS, path)
    assert caught.value.where == f"{tmp_path / 't.csv'}:2"
    (tmp_path / "t.csv").write_text("who,what\nbob\n")
    with pytest.raises(DrossError, match="too short"):
        apply_rules(SENDERS, path)


def test_columns_of_odd_types_do_not_matter(tmp_path: Path) -> None:
    odd = pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64()))
    data = Dataset(pa.table({"text": ["free", "x"], "odd": odd}), {Role.TEXT: ["text"]})
    assert votes(tmp_path, rule("keywords: free"), data) == ["spam", None]


def test_references_cannot_blow_up(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join(f'*a{i - 1}' for _ in range(10))}]" for i in range(1, 9)]
    path = yaml(tmp_path, "\n".join(levels) + "\n")
    with pytest.raises(DrossError, match="too large"):
        apply_rules(messages(), path)


def test_no_yaml_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(DrossError, match="pip install"):
        apply_rules(messages(), yaml(tmp_path, rule("keywords: a")))
