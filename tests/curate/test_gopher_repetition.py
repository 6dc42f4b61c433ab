"""Gopher repetition against its rules in plain Python."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.step import Rows
from dross.curate.fineweb_quality import FinewebQuality
from dross.curate.gopher_repetition import GopherRepetition
from dross.signals.document_statistics import STOP_WORDS
from tests.curate import reference
from tests.curate.judged import check_batches, judged

TEXTS = reference.texts(2)


def rule(text: str, step: GopherRepetition) -> str:
    c, g = reference.counts(text, STOP_WORDS, 30), reference.ngrams(text)
    if not c["lines"]:
        return "empty"
    tests = {
        "duplicate_paragraphs": (c["duplicate_paragraphs"] / c["paragraphs"], step.max_duplicate_paragraphs),
        "duplicate_paragraph_characters": (
            c["duplicate_paragraph_characters"] / len(text),
            step.max_duplicate_paragraph_characters,
        ),
        "duplicate_lines": (c["duplicate_lines"] / c["lines"], step.max_duplicate_lines),
        "duplicate_line_characters": (c["duplicate_line_characters"] / len(text), step.max_duplicate_line_characters),
    }
    for n in (2, 3, 4):
        often = g[f"times_{n}"] >= step.min_times
        tests[f"top_{n}_gram"] = (often * g[f"top_{n}"] / len(text), getattr(step, f"max_top_{n}_gram"))
    for n in range(5, 11):
        tests[f"duplicate_{n}_grams"] = (g[f"duplicate_{n}"] / len(text), getattr(step, f"max_duplicate_{n}_grams"))
    return next((name for name, (share, most) in tests.items() if share > most), "")


@pytest.mark.parametrize(
    "step",
    [
        GopherRepetition(),
        GopherRepetition(min_times=1),
        GopherRepetition(max_top_2_gram=0.9, max_top_3_gram=0.9, max_duplicate_5_grams=0.5, max_duplicate_7_grams=0.01),
        GopherRepetition(max_duplicate_lines=1.0, max_duplicate_line_characters=0.4, max_top_2_gram=1.0),
    ],
)
def test_verdicts_are_those_of_the_rules(step: GopherRepetition) -> None:
    found = judged(step, TEXTS)
    assert found == [rule(text, step) for text in TEXTS]
    assert len(set(found)) > 4


def test_batches_do_not_matter() -> None:
    check_batches(GopherRepetition(), TEXTS)


def test_what_was_measured_goes_with_the_rows_that_are_kept() -> None:
    """A batch is counted once for all filters, also where one of them drops rows."""
    rows = Rows(pa.table({"text": TEXTS}), "text")
    kept = rows.where(GopherRepetition().judge(rows, None).kept)
    known = len(kept._measured)
    verdict = FinewebQuality().judge(kept, None)
    fresh = FinewebQuality().judge(Rows(kept.table, "text"), None)
    assert known == 2
    assert np.array_equal(verdict.reason, fresh.reason)
    assert np.array_equal(verdict.value, fresh.value, equal_nan=True)
