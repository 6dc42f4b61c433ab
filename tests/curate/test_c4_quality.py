"""C4 quality against its rules in plain Python."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pyarrow as pa
import pytest

from dross.claims._texts import docstrings
from dross.core.errors import DrossError
from dross.core.step import Rows
from dross.curate.c4_quality import POLICIES, C4Quality
from tests.curate import reference
from tests.curate.judged import check_batches

PARTS = [
    "The sea was calm. ",
    "We swam",
    " for {hours}",
    "!",
    "...",
    "…",
    "[12]",
    "[edit]",
    "[",
    "]",
    " [citation needed]",
    " javaScript ",
    "LOREM Ipsum",
    " use of Cookies ",
    "e.g. this",
    "\n",
    "\n",
    "\r\n",
    "\n\n",
    " ",
    "’",
    '"',
    "語です。語",
    " J. Smith",
    "?!",
    " one two three.",
    "x" * 50,
    "\t",
    "\u2028",
    "(Well.) ",
]


def drawn(seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    random = ["".join(rng.choice(PARTS, rng.integers(0, 25))) for _ in range(600)]
    return [*reference.ODD, *random, *docstrings()[:150]]


def sentences(line: str) -> int:
    """As the docstring of the kernel says, one character at a time."""
    count, begun, ended, letters, dots = 0, False, False, 0, 0
    for c in line:
        if reference.terminal(c):
            dots = dots + 1 if c == "." else 0
            ended = c != "." or (dots == 1 and letters != 1)
            begun, letters = True, 0
            if ord(c) >= 0x3000:
                count, begun, ended = count + 1, False, False
        elif reference.sort(c) == "space":
            count, begun = (count + 1, False) if ended else (count, begun)
            ended, letters, dots = False, 0, 0
        elif c not in "\"'’”)]}）»」』":
            letters = letters + 1 if unicodedata.category(c)[0] == "L" or ord(c) >= 0x20000 else 0
            begun, ended, dots = True, False, 0
    return count + begun


def cleaned(text: str, step: C4Quality) -> tuple[str, str]:
    """The reason and the text that is left."""
    kept, count = [], 0
    for whole in reference.LINE_END.split(text):
        line = reference.visible(whole)
        if step.citations:
            line = reference.visible(re.sub(r"\[[0-9]*\]|\[edit\]|\[citation needed\]", "", line))
        blanks = "".join(" " if reference.sort(c) == "space" else c for c in line)
        words, low = blanks.split(" "), line.lower()
        words = [word for word in words if word]
        ends = bool(line) and (reference.terminal(line[-1]) or line[-1] in "\"'’”") and not line.endswith("...")
        if not words or max(map(len, words)) > step.max_word_length or len(words) < step.min_words:
            continue
        if step.sentence_lines and not ends:
            continue
        if step.lorem_ipsum and "lorem ipsum" in low:
            return "lorem_ipsum", text
        if step.javascript and "javascript" in low:
            continue
        if step.curly_bracket and "{" in line:
            return "curly_bracket", text
        if any(phrase in low for phrase in step.policies):
            continue
        count += sentences(line)
        kept.append(line)
    if not kept:
        return "no_line_left", text
    return ("too_few_sentences", text) if count < step.min_sentences else ("", "\n".join(kept))


@pytest.mark.parametrize(
    "step",
    [
        C4Quality(),
        C4Quality(min_sentences=1),
        C4Quality(min_sentences=2, citations=False, lorem_ipsum=False, curly_bracket=False, max_word_length=20),
        C4Quality(sentence_lines=False, min_words=1, min_sentences=0, javascript=False, policies=("swam",)),
    ],
)
def test_texts_and_verdicts_are_those_of_the_rules(step: C4Quality) -> None:
    texts = drawn(0)
    verdict = step.judge(Rows(pa.table({"text": texts}), "text"), None)
    left = verdict.changed["text"].to_pylist()
    for i, text in enumerate(texts):
        reason = step.reasons[verdict.reason[i]] if verdict.reason[i] >= 0 else ""
        assert (reason, left[i]) == cleaned(text, step), text[:200]
    assert len(set(verdict.reason.tolist())) >= 3


def test_sentences_are_counted_where_they_end() -> None:
    told = {
        "One. Two! Three?": 3,
        "J. Smith et al. wrote it.": 2,
        "It is 3.14... or so": 1,
        '"Ok." (Well.) Yes': 3,
        "語。語！語": 3,
    }
    for text, count in told.items():
        assert sentences(text) == count, text
        verdict = C4Quality(sentence_lines=False, min_words=1, min_sentences=count + 1).judge(
            Rows(pa.table({"text": [text]}), "text"), None
        )
        assert verdict.value is not None
        assert verdict.value[0] == count, text


def test_batches_and_nulls_do_not_matter() -> None:
    check_batches(C4Quality(min_sentences=2), drawn(1))
    verdict = C4Quality().judge(Rows(pa.table({"text": pa.array([None, None], pa.string())}), "text"), None)
    assert verdict.reason.tolist() == [2, 2]
    assert verdict.changed["text"].type == pa.string()


def test_too_many_policies_are_refused() -> None:
    with pytest.raises(DrossError, match="policies"):
        C4Quality(policies=POLICIES * 20)
