"""Gopher quality: texts whose words and lines are not those of prose are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.step import Rows, RowStep, Verdict
from dross.signals.document_statistics import STOP_WORDS, DocumentStatistics, shares, stop_table


@dataclass(frozen=True)
class GopherQuality(RowStep):
    """Texts are dropped that are too short or long, or whose words and lines are not those of prose.

    Rae et al., "Scaling Language Models: Methods, Analysis & Insights from Training Gopher", 2021, appendix A.1.1, as
    datatrove reads it: shares are of the words and symbols of :mod:`dross.signals.words`, and at a limit a text stays.
    Different from it, blank lines count for nothing, stop words are found in any case, and a word has a letter or a
    digit. The limits are for scripts with spaces: Chinese or Thai text needs ``min_word_length: 1`` and, like all
    other languages, stop words of its own.

    Attributes
    ----------
    min_words, max_words
        Of a text.
    min_word_length, max_word_length
        The mean number of characters of a word.
    max_hashes, max_ellipses
        Signs ``#``, and ``...`` or ``…``, for each word or symbol.
    max_bullet_lines, max_ellipsis_lines
        Shares of the lines that begin with a bullet, dash or star, and that end in an ellipsis.
    min_alphabetic
        Share of the words and symbols that have a letter.
    min_stop_words
        How many different ones of the stop words must be there.
    stop_words
        At most 64 words.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from dross.core.dataset import Dataset
    >>> from dross.core.roles import Role
    >>> from dross.core.signal import Signals
    >>> texts = ["We went to the sea and that was good.", "# # # to the sea # and that", "Menu | Home | Login | Help"]
    >>> data = Dataset(pa.table({"text": texts}), {Role.TEXT: ["text"]})
    >>> GopherQuality(min_words=3).run(data, Signals(data)).summary
    {'dropped': {'too_few_alphabetic_words': 1, 'too_many_hashes': 1}}
    """

    paper: ClassVar = Paper("Scaling Language Models: Methods, Analysis & Insights from Training Gopher", 2021,
                            "2112.11446")  # fmt: skip
    reasons: ClassVar[tuple[str, ...]] = (
        "too_few_words", "too_many_words", "words_too_short", "words_too_long", "too_many_hashes", "too_many_ellipses",
        "too_many_bullet_lines", "too_many_lines_end_in_an_ellipsis", "too_few_alphabetic_words", "too_few_stop_words",
    )  # fmt: skip

    min_words: int = 50
    max_words: int = 100_000
    min_word_length: float = 3.0
    max_word_length: float = 10.0
    max_hashes: float = 0.1
    max_ellipses: float = 0.1
    max_bullet_lines: float = 0.9
    max_ellipsis_lines: float = 0.3
    min_alphabetic: float = 0.8
    min_stop_words: int = 2
    stop_words: tuple[str, ...] = STOP_WORDS

    def __post_init__(self) -> None:
        if self.min_stop_words > len(set(self.stop_words)):
            what = f"a text must have {self.min_stop_words} of {len(set(self.stop_words))} stop words"
            raise DrossError(what, where="gopher-quality", fix="name more stop_words or lower min_stop_words")

    def ready(self, place: Any) -> None:
        """Refuse stop words that are no words before the first row is read."""
        stop_table(self.stop_words)

    def judge(self, rows: Rows, ready: Any) -> Verdict:
        """The ten rules, in order."""
        found = rows.measured(DocumentStatistics(self.stop_words), self.column)
        words, tokens, lines = found["words"], found["tokens"], found["lines"]
        length = shares(found["word_characters"], words)
        hashes, ellipses = shares(found["hashes"], tokens), shares(found["ellipses"], tokens)
        bullets, ends = shares(found["bullet_lines"], lines), shares(found["ellipsis_lines"], lines)
        alphabetic = shares(found["alphabetic"], tokens)
        return Verdict.first(
            (words < self.min_words, words),
            (words > self.max_words, words),
            (length < self.min_word_length, length),
            (length > self.max_word_length, length),
            (hashes > self.max_hashes, hashes),
            (ellipses > self.max_ellipses, ellipses),
            (bullets > self.max_bullet_lines, bullets),
            (ends > self.max_ellipsis_lines, ends),
            (alphabetic < self.min_alphabetic, alphabetic),
            (found["stop_words"] < self.min_stop_words, found["stop_words"]),
        )
