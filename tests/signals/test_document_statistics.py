"""Words, lines and repetition of texts against plain Python."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.curate import reference

from dross.core.errors import DrossError
from dross.signals.document_statistics import COUNTED, STOP_WORDS, DocumentStatistics, stop_table
from dross.signals.ngram_repetition import REPEATED, ngram_repetition
from dross.signals.words import TERMINALS, tokens_of

TEXTS = reference.texts()


def test_words_are_those_of_the_definition() -> None:
    for text in TEXTS:
        cut = reference.tokens(text)
        hashes, sizes, kinds = tokens_of(text)
        assert sizes.tolist() == [len(token) for token in cut], text[:80]
        assert (kinds > 0).tolist() == [reference.is_word(token) for token in cut], text[:80]
        assert len(set(hashes.tolist())) == len(set(cut)), text[:80]


def test_counts_are_those_of_plain_python() -> None:
    found = DocumentStatistics(STOP_WORDS, 12)(pa.array(TEXTS, pa.large_string()))
    for i, text in enumerate(TEXTS):
        want = reference.counts(text, STOP_WORDS, 12)
        assert dict(zip(COUNTED, found[i].tolist(), strict=True)) == want, text[:80]


def test_repetition_is_that_of_plain_python() -> None:
    found = ngram_repetition(pa.array(TEXTS, pa.large_string()))
    for i, text in enumerate(TEXTS):
        want = reference.ngrams(text)
        assert dict(zip(REPEATED, found[i].tolist(), strict=True)) == want, text[:80]


def test_slices_and_empty_arrays_are_counted_alike() -> None:
    whole = pa.array(TEXTS, pa.large_string())
    for function in (DocumentStatistics(), ngram_repetition):
        assert np.array_equal(function(whole)[40:90], function(whole.slice(40, 50)))
        assert len(function(whole.slice(0, 0))) == 0


def test_terminals_are_ascending_ranges_with_the_marks_of_many_scripts() -> None:
    edges = [edge for pair in TERMINALS for edge in pair]
    assert edges == sorted(edges)
    assert all(reference.terminal(c) for c in ".!?。！？؟।።։")
    assert not any(reference.terminal(c) for c in ",;:…\"'a ")


def test_bad_stop_words_are_refused() -> None:
    with pytest.raises(DrossError, match="not one word"):
        stop_table(("two words",))
    with pytest.raises(DrossError, match="100 stop words"):
        stop_table(tuple(f"w{i}" for i in range(100)))
