"""CulturaX: the cleaning pipeline of a web corpus in many languages, as one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dross.core.paper import Paper
from dross.core.step import Composite, Step
from dross.models.pipelines import step


@dataclass(frozen=True)
class CulturaX(Composite):
    """Language, blocked addresses, metrics, lines, near copies, and copies of addresses, in this order.

    Nguyen et al., "CulturaX: A Cleaned, Enormous, and Multilingual Dataset for Large Language Models in 167 Languages",
    2023, section 3. Run it on one language at a time, as there: the metrics learn what is usual in it. It stands for
    the steps ``language``, ``url-filter``, ``metric-thresholds``, ``c4-quality`` (as line filter),
    ``minhash-deduplication`` and ``exact-deduplication`` of the address, each of which can be used alone.

    Attributes
    ----------
    language
        The language to keep, by name; of the built-in list, or of the reference.
    reference
        A file with texts of known language; see the step ``language``.
    url
        The column with addresses; the two steps that need it are left out when it is empty.
    domains
        Blocked domains, or ``file:PATH`` with one a line.
    similarity
        Share of word triples in common from which two texts are near copies; the paper takes 0.8.
    """

    paper: ClassVar = Paper(
        "CulturaX: A Cleaned, Enormous, and Multilingual Dataset for Large Language Models in 167 Languages",
        2023,
        "2309.09400",
    )

    language: str = "english"
    reference: str = ""
    url: str = ""
    domains: tuple[str, ...] = ()
    similarity: float = 0.8

    def steps(self) -> Sequence[Step]:
        """The pipeline."""
        text = self.column
        out = [step("language", column=text, keep=(self.language,), reference=self.reference)]
        if self.url and self.domains:
            out.append(step("url-filter", url=self.url, domains=self.domains))
        out.append(step("metric-thresholds", column=text))
        out.append(step("c4-quality", column=text, sentence_lines=False, min_sentences=0, curly_bracket=False))
        out.append(step("minhash-deduplication", column=text, similarity=self.similarity))
        if self.url:
            out.append(step("exact-deduplication", column=self.url))
        return out
