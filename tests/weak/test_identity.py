from __future__ import annotations

from pathlib import Path

import pytest

from dross.weak.identity import Parts, identity
from dross.weak.worker import import_rules

BASE = """
import re
from helpers import double
from dross.weak import labeling_function
WORDS = ["free"]
WORDS.append("win")
OTHER = 3

def has(text):
    return any(word in text for word in WORDS)

@labeling_function(timeout=5)
def one(row):
    return "spam" if has(row["text"]) else None

@labeling_function
def two(row):
    return "ham" if double(len(row["text"])) < OTHER else None
"""


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "helpers", raising=False)


def digests(folder: Path, text: str = BASE, helper: str = "def double(x):\n    return 2 * x\n") -> dict[str, str]:
    (folder / "helpers.py").write_text(helper)
    path = folder / "rules.py"
    path.write_text(text)
    return {rule.name: identity(rule, Parts(path)) for rule in import_rules(path)}


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ('"spam" if', '"junk" if', {"one"}),
        ("< OTHER", "<= OTHER", {"two"}),
        ("OTHER = 3", "OTHER = 4", {"two"}),
        ('["free"]', '["free", "cash"]', {"one"}),
        ('append("win")', 'append("won")', {"one"}),
        ("any(word", "all(word", {"one"}),
        ("timeout=5", "timeout=50", set()),
        ("OTHER = 3", "OTHER = 3  # three", set()),
        ("import re\n", "\n\n\n", set()),
    ],
)
def test_only_what_is_used_counts(tmp_path: Path, old: str, new: str, changed: set[str]) -> None:
    before = digests(tmp_path)
    after = digests(tmp_path, BASE.replace(old, new))
    assert {name for name in before if before[name] != after[name]} == changed


def test_files_beside_the_rules_count(tmp_path: Path) -> None:
    before = digests(tmp_path)
    after = digests(tmp_path, helper="def double(x):\n    return 3 * x\n")
    assert {name for name in before if before[name] != after[name]} == {"two"}


def test_rules_of_a_factory_hang_on_the_whole_file(tmp_path: Path) -> None:
    text = BASE + '\nfor word in ("a", "b"):\n    labeling_function(name=word)(lambda row, w=word: w)\n'
    before = digests(tmp_path, text)
    after = digests(tmp_path, text.replace("OTHER = 3", "OTHER = 4"))
    assert before["a"] != before["b"]
    assert {name for name in before if before[name] != after[name]} == {"two", "a", "b"}


def test_a_file_among_the_resources_counts(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    text = f"""
from pathlib import Path
from dross.weak import labeling_function
@labeling_function(resources={{"words": Path({str(words)!r})}})
def one(row, words):
    return None
"""
    words.write_text("a")
    before = digests(tmp_path, text)
    words.write_text("b")
    assert digests(tmp_path, text) != before
