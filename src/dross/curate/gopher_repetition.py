"""Gopher repetition: texts that repeat their own lines, paragraphs or runs of words are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.paper import Paper
from dross.core.step import Rows, RowStep, Verdict
from dross.signals.document_statistics import DocumentStatistics, shares
from dross.signals.ngram_repetition import DUPLICATE, TOP, ngram_repetition


@dataclass(frozen=True)
class GopherRepetition(RowStep):
    """Texts are dropped of which too much is said more than once.

    Rae et al., "Scaling Language Models: Methods, Analysis & Insights from Training Gopher", 2021, table A1, as
    datatrove reads it. A line, paragraph or n-gram is a duplicate where the same one stood before, to the letter; of
    n-grams that overlap the first counts. N-grams are of the words and symbols of :mod:`dross.signals.words`, and of
    the commonest one all places count, with a space between its words. Shares are of the characters of the text, but
    those of lines and paragraphs by number. At a limit a text stays. N-grams are looked for in a text's first 4 million
    words.

    Attributes
    ----------
    max_duplicate_paragraphs, max_duplicate_paragraph_characters, max_duplicate_lines, max_duplicate_line_characters
        Shares of paragraphs and lines that stood before, by number and by characters.
    max_top_2_gram, max_top_3_gram, max_top_4_gram
        Shares of the n-gram that stands most often.
    min_times
        How often it must stand there at least. Datatrove's answer is had with 1, where the share is high in every short
        text.
    max_duplicate_5_grams, ..., max_duplicate_10_grams
        Shares of n-grams that stood before.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from dross.core.dataset import Dataset
    >>> from dross.core.roles import Role
    >>> from dross.core.signal import Signals
    >>> texts = ["Buy now\\n" * 4, "We went to the sea and that was good.", "spam and eggs, " * 3 + "then nothing else"]
    >>> data = Dataset(pa.table({"text": texts}), {Role.TEXT: ["text"]})
    >>> GopherRepetition().run(data, Signals(data)).summary
    {'dropped': {'duplicate_lines': 1, 'top_2_gram': 1}}
    """

    paper: ClassVar = Paper("Scaling Language Models: Methods, Analysis & Insights from Training Gopher", 2021,
                            "2112.11446")  # fmt: skip
    reasons: ClassVar[tuple[str, ...]] = (
        "empty", "duplicate_paragraphs", "duplicate_paragraph_characters", "duplicate_lines",
        "duplicate_line_characters", *(f"top_{n}_gram" for n in TOP), *(f"duplicate_{n}_grams" for n in DUPLICATE),
    )  # fmt: skip

    max_duplicate_paragraphs: float = 0.30
    max_duplicate_paragraph_characters: float = 0.20
    max_duplicate_lines: float = 0.30
    max_duplicate_line_characters: float = 0.20
    max_top_2_gram: float = 0.20
    max_top_3_gram: float = 0.18
    max_top_4_gram: float = 0.16
    min_times: int = 2
    max_duplicate_5_grams: float = 0.15
    max_duplicate_6_grams: float = 0.14
    max_duplicate_7_grams: float = 0.13
    max_duplicate_8_grams: float = 0.12
    max_duplicate_9_grams: float = 0.11
    max_duplicate_10_grams: float = 0.10

    def judge(self, rows: Rows, ready: Any) -> Verdict:
        """The rules, in order."""
        found = rows.measured(DocumentStatistics(), self.column)
        size = found["characters"]
        paragraphs = shares(found["duplicate_paragraphs"], found["paragraphs"])
        lines = shares(found["duplicate_lines"], found["lines"])
        in_paragraphs = shares(found["duplicate_paragraph_characters"], size)
        in_lines = shares(found["duplicate_line_characters"], size)
        return Verdict.first(
            (found["lines"] == 0, size),
            (paragraphs > self.max_duplicate_paragraphs, paragraphs),
            (in_paragraphs > self.max_duplicate_paragraph_characters, in_paragraphs),
            (lines > self.max_duplicate_lines, lines),
            (in_lines > self.max_duplicate_line_characters, in_lines),
            *self._ngrams(rows, size),
        )

    def _ngrams(self, rows: Rows, size: npt.NDArray[np.int64]) -> list[tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]]:
        found = rows.measured(ngram_repetition, self.column)
        tests = []
        for n in TOP:
            share = shares(found[f"top_{n}"], size)
            often = found[f"times_{n}"] >= self.min_times
            tests.append((often & (share > getattr(self, f"max_top_{n}_gram")), share))
        for n in DUPLICATE:
            share = shares(found[f"duplicate_{n}"], size)
            tests.append((share > getattr(self, f"max_duplicate_{n}_grams"), share))
        return tests
