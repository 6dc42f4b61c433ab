"""Documentation of code: pairs whose documentation is empty talk, or whose code is trivial or tangled, are dropped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.paper import Paper
from dross.core.step import Rows, RowStep, Verdict

PLACEHOLDER = (
    r"(?i)^\W*(todo|fixme|tbd|xxx|docstring|doc string|documentation|description|summary|none|n/?a|test|wip)\W*$"
)
UNFINISHED = (
    r"(?i)\b(todo|fixme|tbd|xxx)\b|lorem ipsum|\[.*(description|insert|add) .*\]|<[a-z_ ]*(description|here)[a-z_ ]*>"
)
GENERATED = (
    r"(?i)as an ai\b|language model|here(?:'s| is) (?:a|the) (?:docstring|documentation|function)|certainly[!,]|"
    r"i hope this helps|let me know if|this function (?:is designed|takes in|serves) (?:to|as)|(?:delve|"
    r"seamless(?:ly)?|leverag\w+|"
    r"robust and (?:efficient|scalable)|ensuring (?:that )?(?:optimal|smooth|seamless))"
)
"""How language models speak in documentation, and people hardly."""


def restated(documentation: list[str], names: list[str]) -> npt.NDArray[np.float64]:
    """The share of a documentation's first words that only say the function's name again, shape (n,).

    >>> restated(["Get the user name.", "Looks up who is logged in."], ["get_user_name"] * 2).tolist()
    [1.0, 0.0]
    """
    out = np.zeros(len(names))
    for i, (text, name) in enumerate(zip(documentation, names, strict=True)):
        said = {word.rstrip("s") for word in re.findall(r"[a-z0-9]+", text.lower())} - _SMALL
        known = {word.lower().rstrip("s") for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)}
        out[i] = len(said & known) / len(said) if said else 1.0
    return out


_SMALL = frozenset(
    {"the", "a", "an", "of", "to", "for", "thi", "function", "method", "return", "is", "in", "and", "it"}
)


@dataclass(frozen=True)
class CodeDocumentation(RowStep):
    """Pairs of a function and its documentation are checked on both sides.

    "Code2Doc: A Quality-First Curated Dataset for Code Documentation", 2025: documentation must be complete and clear,
    code neither trivial nor tangled, and documentation that a language model wrote is flagged, here by phrases that
    give it away.

    Attributes
    ----------
    code, documentation, function, branches
        The columns, as the step ``code-functions`` writes them; the last two may be missing.
    min_words, max_words
        Words of the documentation.
    min_lines, max_lines
        Lines of the code.
    max_branches
        Decisions in the code.
    max_restated
        Share of the documentation's words that may only repeat the function's name.
    """

    paper: ClassVar = Paper("Code2Doc: A Quality-First Curated Dataset for Code Documentation", 2025, "")
    reasons: ClassVar[tuple[str, ...]] = (
        "documentation_is_a_placeholder", "documentation_too_short", "documentation_too_long",
        "documentation_unfinished", "documentation_restates_the_name", "documentation_reads_like_a_language_model",
        "code_too_short", "code_too_long", "code_too_complex",
    )  # fmt: skip

    code: str = "code"
    documentation: str = "documentation"
    function: str = "function"
    branches: str = "branches"
    min_words: int = 5
    max_words: int = 500
    min_lines: int = 3
    max_lines: int = 200
    max_branches: int = 30
    max_restated: float = 0.99

    def reads(self) -> tuple[str, ...]:
        return (*super().reads(), self.code, self.documentation)

    def judge(self, rows: Rows, ready: Any) -> Verdict:
        """The checks, in order."""
        texts = rows.text(self.documentation)
        words = pc.add(pc.count_substring_regex(pc.utf8_trim_whitespace(texts), r"\s+"), 1).to_numpy(
            zero_copy_only=False
        )
        lines = pc.add(pc.count_substring(rows.text(self.code), "\n"), 1).to_numpy(zero_copy_only=False)
        n = len(rows)
        branches = rows.numbers(self.branches) if self.branches in rows.table.column_names else np.zeros(n)
        said = np.zeros(n)
        if self.function in rows.table.column_names:
            first = pc.replace_substring_regex(texts, r"(?s)\n\s*\n.*", "")
            said = restated(first.to_pylist(), rows.text(self.function).to_pylist())
        nothing = np.full(n, np.nan)
        return Verdict.first(
            (_matches(texts, PLACEHOLDER), nothing),
            (words < self.min_words, words),
            (words > self.max_words, words),
            (_matches(texts, UNFINISHED), nothing),
            (said > self.max_restated, said),
            (_matches(texts, GENERATED), nothing),
            (lines < self.min_lines, lines),
            (lines > self.max_lines, lines),
            (branches > self.max_branches, branches),
        )


def _matches(texts: pa.LargeStringArray, pattern: str) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False))
