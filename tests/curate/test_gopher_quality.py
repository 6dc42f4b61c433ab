"""Gopher quality against its rules in plain Python."""

from __future__ import annotations

import pytest

from dross.core.errors import DrossError
from dross.curate.gopher_quality import GopherQuality
from dross.signals.document_statistics import STOP_WORDS
from tests.curate import reference
from tests.curate.judged import check_batches, judged

TEXTS = reference.texts(1)


def rule(text: str, step: GopherQuality) -> str:
    """The rules as they are written in the paper, one after the other."""
    c = reference.counts(text, step.stop_words, 30)
    mean = c["word_characters"] / c["words"] if c["words"] else 0.0
    of_tokens = {name: c[name] / c["tokens"] if c["tokens"] else 0.0 for name in ("hashes", "ellipses", "alphabetic")}
    of_lines = {name: c[name] / c["lines"] if c["lines"] else 0.0 for name in ("bullet_lines", "ellipsis_lines")}
    tests = {
        "too_few_words": c["words"] < step.min_words,
        "too_many_words": c["words"] > step.max_words,
        "words_too_short": mean < step.min_word_length,
        "words_too_long": mean > step.max_word_length,
        "too_many_hashes": of_tokens["hashes"] > step.max_hashes,
        "too_many_ellipses": of_tokens["ellipses"] > step.max_ellipses,
        "too_many_bullet_lines": of_lines["bullet_lines"] > step.max_bullet_lines,
        "too_many_lines_end_in_an_ellipsis": of_lines["ellipsis_lines"] > step.max_ellipsis_lines,
        "too_few_alphabetic_words": of_tokens["alphabetic"] < step.min_alphabetic,
        "too_few_stop_words": c["stop_words"] < step.min_stop_words,
    }
    return next((name for name, strikes in tests.items() if strikes), "")


@pytest.mark.parametrize(
    "step",
    [
        GopherQuality(),
        GopherQuality(min_words=5, min_word_length=1.0, min_alphabetic=0.4, min_stop_words=1),
        GopherQuality(
            min_words=0, max_words=40, min_word_length=1.2, max_word_length=3.0, max_hashes=0.02, max_ellipses=0.02
        ),
        GopherQuality(min_words=0, min_word_length=0, max_bullet_lines=0.2, max_ellipsis_lines=0.1, min_alphabetic=0.0),
        GopherQuality(stop_words=("a", "語"), min_words=1, min_word_length=0, min_alphabetic=0.1),
    ],
)
def test_verdicts_are_those_of_the_rules(step: GopherQuality) -> None:
    assert judged(step, TEXTS) == [rule(text, step) for text in TEXTS]


def test_every_reason_is_reached() -> None:
    prose = "We went to the sea and that was good for all of us who have been with them. "
    words = prose * 10
    made = {
        "too_few_words": prose,
        "too_many_words": "the be to of " * 30_000,
        "words_too_short": "a of to I " * 20,
        "words_too_long": "thetheoremofthatandwith " * 60,
        "too_many_hashes": "".join(f"#{word} " for word in words.split()),
        "too_many_ellipses": "".join(f"{word}... " for word in words.split()),
        "too_many_bullet_lines": f"- {prose}\n" * 10,
        "too_many_lines_end_in_an_ellipsis": f"{prose.strip('. ')}…\n" * 10,
        "too_few_alphabetic_words": words + "1234 + 5678 = 6912 " * 40,
        "too_few_stop_words": "some words have nothing here stands between " * 10,
    }
    assert judged(GopherQuality(), list(made.values())) == list(made)
    assert judged(GopherQuality(), [words]) == [""]


def test_batches_do_not_matter() -> None:
    check_batches(GopherQuality(min_words=3, min_word_length=1.0), TEXTS)


def test_stop_words_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(DrossError, match="must have 2 of 1 stop words"):
        GopherQuality(stop_words=("the",))
    assert len(STOP_WORDS) == 8
