"""FineWeb quality against its rules in plain Python."""

from __future__ import annotations

import pytest

from dross.curate.fineweb_quality import FinewebQuality
from dross.signals.document_statistics import STOP_WORDS
from tests.curate import reference
from tests.curate.judged import check_batches, judged

TEXTS = reference.texts(3)


def rule(text: str, step: FinewebQuality) -> str:
    c = reference.counts(text, STOP_WORDS, step.short_line)
    if not c["lines"]:
        return "empty"
    if c["terminal_lines"] / c["lines"] < step.min_terminal_lines:
        return "too_few_lines_end_a_sentence"
    if c["short_lines"] / c["lines"] > step.max_short_lines:
        return "too_many_short_lines"
    if c["duplicate_line_characters"] / (len(text) - c["line_ends"]) > step.max_duplicate_characters:
        return "too_many_characters_in_duplicate_lines"
    ends = c["line_ends"] / c["tokens"] if c["tokens"] else 0.0
    return "too_many_line_ends" if ends > step.max_line_ends else ""


@pytest.mark.parametrize(
    "step",
    [
        FinewebQuality(),
        FinewebQuality(min_terminal_lines=0.0, max_short_lines=1.0),
        FinewebQuality(
            min_terminal_lines=0.5, max_short_lines=0.9, short_line=8, max_duplicate_characters=0.2, max_line_ends=0.1
        ),
    ],
)
def test_verdicts_are_those_of_the_rules(step: FinewebQuality) -> None:
    found = judged(step, TEXTS)
    assert found == [rule(text, step) for text in TEXTS]
    assert len(set(found)) > 2


def test_batches_do_not_matter() -> None:
    check_batches(FinewebQuality(), TEXTS)
