"""Word list against plain Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dross.core.errors import DrossError
from dross.curate.word_list import WordList
from tests.curate import reference
from tests.curate.judged import check_batches, judged

PHRASES = ("a b", "a b c", "C", "the be", "語", "x y z w", "a-b", "1.2")
TEXTS = [*reference.texts(4), *reference.texts(5)[len(reference.ODD) : len(reference.ODD) + 300]]


def found(text: str, phrases: list[list[str]]) -> tuple[int, int, int]:
    """Phrases, words in them, and words of one text."""
    cut, i, count, inside = reference.tokens(text), 0, 0, 0
    while i < len(cut):
        size = max((len(p) for p in phrases if cut[i : i + len(p)] == p), default=0)
        count += size > 0
        inside += sum(map(reference.is_word, cut[i : i + size]))
        i += max(1, size)
    return count, inside, sum(map(reference.is_word, cut))


@pytest.mark.parametrize(
    "step",
    [
        WordList(words=PHRASES),
        WordList(words=PHRASES, max_count=2, case=True),
        WordList(words=PHRASES, max_count=None, max_share=0.3),
    ],
)
def test_verdicts_are_those_of_plain_python(step: WordList) -> None:
    def fold(text: str) -> str:
        return text if step.case else text.lower()

    phrases = [reference.tokens(fold(phrase)) for phrase in PHRASES]
    want = []
    for text in TEXTS:
        count, inside, words = found(fold(text), phrases)
        much = step.max_count is not None and count > step.max_count
        share = inside / words if words else 0.0
        want.append(step.reasons[0] if much else (step.reasons[1] if share > step.max_share else ""))
    assert judged(step, TEXTS) == want
    assert len(set(want)) == 2


def test_lists_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("# a comment\nbad word\n\n  worse \n", encoding="utf-8")
    step = WordList(words=(f"file:{tmp_path / 'bad.txt'}", "worst"))
    texts = ["a bad  word", "bad, word", "worse!", "worst", "a comment", ""]
    assert [bool(reason) for reason in judged(step, texts)] == [True, False, True, True, False, False]


def test_bad_lists_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DrossError, match="no words"):
        judged(WordList(), ["a"])
    with pytest.raises(DrossError, match="cannot be read"):
        judged(WordList(words=(f"file:{tmp_path / 'none.txt'}",)), ["a"])
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(DrossError, match="not UTF-8"):
        judged(WordList(words=(f"file:{tmp_path / 'latin.txt'}",)), ["a"])


def test_batches_do_not_matter() -> None:
    check_batches(WordList(words=PHRASES, max_count=1), TEXTS)
    assert np.isin(["too_many_listed_words"], judged(WordList(words=("a",)), ["a" * 3, "a b"])).all()
