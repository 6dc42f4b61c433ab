"""Summary pairs: summaries that are no summaries of their documents are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.paper import Paper
from dross.core.step import Rows, RowStep, Verdict
from dross.signals.word_places import folded_words, runs


def copied(summaries: pa.LargeStringArray, documents: pa.LargeStringArray, n: int) -> Any:
    """The share of each summary's runs of ``n`` words that stand in its document, shape (n,), in [0, 1].

    >>> both = (pa.array([text], pa.large_string()) for text in ("the cat sat here", "Now the cat sat there"))
    >>> copied(*both, 2).round(2).tolist()
    [0.67]
    """
    own, own_at = runs(folded_words(summaries), n)
    other, other_at = runs(folded_words(documents), n)
    rows = np.repeat(np.arange(len(summaries)), np.diff(own_at)).astype(np.uint64)
    others = np.repeat(np.arange(len(documents)), np.diff(other_at)).astype(np.uint64)
    salt = np.uint64(0x9E3779B97F4A7C15)  # a run counts in its own document only
    found = np.isin(own ^ (rows * salt), other ^ (others * salt))
    counts = np.diff(own_at)
    return np.bincount(rows.astype(np.int64), found, len(summaries)) / np.maximum(counts, 1)


@dataclass(frozen=True)
class SummaryPairs(RowStep):
    """Pairs of a document and its summary are checked: empty, short, long, cut out of the document, or its lead.

    Aumiller, Fan, Gertz, "On the State of German (Abstractive) Text Summarization", 2023: more than half of a
    well-known training set was unsuitable, mostly summaries copied from the document. Copies of pairs are for the step
    ``exact-deduplication``, of the summary and of the document.

    Attributes
    ----------
    document, summary
        The columns.
    min_summary, min_document
        Words.
    max_ratio
        Length of the summary as a share of the document's.
    max_copied
        Share of the summary's word triples that may stand in the document.
    """

    paper: ClassVar = Paper("On the State of German (Abstractive) Text Summarization", 2023, "2301.07095")
    alias: ClassVar[str | None] = "german-summ-audit"
    reasons: ClassVar[tuple[str, ...]] = (
        "summary_is_empty", "document_is_empty", "summary_too_short", "document_too_short", "summary_too_long",
        "summary_is_the_lead", "summary_is_cut_out",
    )  # fmt: skip

    document: str = "document"
    summary: str = "summary"
    min_summary: int = 3
    min_document: int = 10
    max_ratio: float = 0.9
    max_copied: float = 0.8

    def reads(self) -> tuple[str, ...]:
        return (*super().reads(), self.document, self.summary)

    def judge(self, rows: Rows, ready: Any) -> Verdict:
        """The checks, in order."""
        summaries, documents = rows.text(self.summary), rows.text(self.document)
        short, long = (np.diff(folded_words(texts).offsets) for texts in (summaries, documents))
        ratio = short / np.maximum(long, 1)
        lead = _leads(summaries, documents)
        share = copied(summaries, documents, 3)
        return Verdict.first(
            (short == 0, short),
            (long == 0, long),
            (short < self.min_summary, short),
            (long < self.min_document, long),
            (ratio > self.max_ratio, ratio),
            (lead, ratio),
            (share > self.max_copied, share),
        )


def _leads(summaries: pa.LargeStringArray, documents: pa.LargeStringArray) -> Any:
    """Whether each document begins with its summary, shape (n,)."""
    plain = [pc.replace_substring_regex(pc.utf8_lower(texts), r"[^\pL\pN]+", " ") for texts in (summaries, documents)]
    found = [
        bool(one.strip()) and other.strip().startswith(one.strip())
        for one, other in zip(*(texts.to_pylist() for texts in plain), strict=True)
    ]
    return np.array(found, bool)
