"""FineWeb quality: texts whose lines are those of lists, menus and boilerplate are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from dross.core.paper import Paper
from dross.core.step import Rows, RowStep, Verdict
from dross.signals.document_statistics import SHORT, DocumentStatistics, shares


@dataclass(frozen=True)
class FinewebQuality(RowStep):
    """Texts are dropped whose lines are those of lists, menus and boilerplate.

    Penedo et al., "The FineWeb Datasets: Decanting the Web for the Finest Text Data at Scale", 2024, section 3.6, as
    datatrove reads it: at a limit a text stays. Different from it, white space after a line's last mark does not hide
    the mark, and all line ends of Unicode count.

    Attributes
    ----------
    min_terminal_lines
        Share of the lines that end in a sentence's end: ``.``, ``!``, ``?`` and those of other scripts.
    max_short_lines
        Share of the lines with at most ``short_line`` characters.
    short_line
        Characters.
    max_duplicate_characters
        Share of the characters that stand in lines that stood before.
    max_line_ends
        Line ends for each word or symbol (:mod:`dross.signals.words`).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from dross.core.dataset import Dataset
    >>> from dross.core.roles import Role
    >>> from dross.core.signal import Signals
    >>> texts = ["We went to the sea, and that was good for all.", "Home\\nLogin\\nHelp", ""]
    >>> data = Dataset(pa.table({"text": texts}), {Role.TEXT: ["text"]})
    >>> FinewebQuality().run(data, Signals(data)).summary
    {'dropped': {'empty': 1, 'too_few_lines_end_a_sentence': 1}}
    """

    paper: ClassVar = Paper("The FineWeb Datasets: Decanting the Web for the Finest Text Data at Scale", 2024,
                            "2406.17557")  # fmt: skip
    reasons: ClassVar[tuple[str, ...]] = (
        "empty", "too_few_lines_end_a_sentence", "too_many_short_lines", "too_many_characters_in_duplicate_lines",
        "too_many_line_ends",
    )  # fmt: skip

    min_terminal_lines: float = 0.12
    max_short_lines: float = 0.67
    short_line: int = SHORT
    max_duplicate_characters: float = 0.01
    max_line_ends: float = 0.3

    def judge(self, rows: Rows, ready: Any) -> Verdict:
        """The rules, in order."""
        found = rows.measured(DocumentStatistics(short=self.short_line), self.column)
        lines = found["lines"]
        terminal, short = shares(found["terminal_lines"], lines), shares(found["short_lines"], lines)
        twice = shares(found["duplicate_line_characters"], found["characters"] - found["line_ends"])
        ends = shares(found["line_ends"], found["tokens"])
        return Verdict.first(
            (lines == 0, lines),
            (terminal < self.min_terminal_lines, terminal),
            (short > self.max_short_lines, short),
            (twice > self.max_duplicate_characters, twice),
            (ends > self.max_line_ends, ends),
        )
