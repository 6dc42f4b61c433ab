"""Code2Doc: source files become curated pairs of functions and documentation, as one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dross.core.paper import Paper
from dross.core.step import Composite, Step
from dross.models.pipelines import step


@dataclass(frozen=True)
class Code2Doc(Composite):
    """Functions are taken out of Python files, checked with their documentation, and copies dropped.

    "Code2Doc: A Quality-First Curated Dataset for Code Documentation", 2025. It stands for the steps
    ``code-functions``, ``code-documentation``, ``exact-deduplication`` and ``minhash-deduplication`` of the code and
    ``exact-deduplication`` of the documentation, each of which can be used alone with all its fields.

    Attributes
    ----------
    extract
        Whether the rows are source files; else they hold the columns of ``code-functions`` already.
    similarity
        Share of word triples in common from which two functions are near copies.
    min_words
        Words of the documentation.
    """

    paper: ClassVar = Paper("Code2Doc: A Quality-First Curated Dataset for Code Documentation", 2025, "")

    extract: bool = True
    similarity: float = 0.8
    min_words: int = 5

    def steps(self) -> Sequence[Step]:
        """The pipeline."""
        return [
            *([step("code-functions", column=self.column)] if self.extract else []),
            step("code-documentation", min_words=self.min_words),
            step("exact-deduplication", column="code"),
            step("minhash-deduplication", column="code", similarity=self.similarity),
            step("exact-deduplication", column="documentation"),
        ]
