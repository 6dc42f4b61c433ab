"""Gopher quality: pages that are no prose are dropped, real prose stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dross.claims import Budget, Evidence, claim, interval
from dross.claims.curate._pages import kept_by, pages, planted, prose
from dross.curate.gopher_quality import GopherQuality
from dross.signals.document_statistics import STOP_WORDS


def stub(page: str, rng: np.random.Generator) -> str:
    """The first words."""
    return " ".join(page.split()[: rng.integers(5, 40)])


def hashtags(page: str, rng: np.random.Generator) -> str:
    """A sign before every third word or so."""
    return " ".join(f"#{word}" if rng.random() < 0.33 else word for word in page.split())


def teasers(page: str, rng: np.random.Generator) -> str:
    """Lines broken off."""
    words = page.split()
    cuts = range(0, len(words), int(rng.integers(12, 20)))
    return "\n".join(" ".join(words[i : i + 12]) + ("..." if rng.random() < 0.7 else "") for i in cuts)


def bullets(page: str, rng: np.random.Generator) -> str:
    """Every line an item."""
    words, mark = page.split(), str(rng.choice(["- ", "• ", "* "]))
    return "\n".join(mark + " ".join(words[i : i + 8]) for i in range(0, len(words), 8))


def figures(page: str, rng: np.random.Generator) -> str:
    """A table of numbers among the words."""
    return " ".join(f"{word} {rng.integers(100, 99999)}" for word in page.split())


def keywords(page: str, rng: np.random.Generator) -> str:
    """The words that say what it is about, without those that make sentences of them."""
    small = {*STOP_WORDS, "a", "in", "is"}
    return " ".join(word for word in page.split() if word.lower().strip(".,;:()'\"`-") not in small and "-" not in word)


def glued(page: str, rng: np.random.Generator) -> str:
    """Words run together, three at a time."""
    words = ["".join(c for c in word if c.isalpha()) for word in page.split()]
    return "the and of " + " ".join("".join(words[i : i + 3]) for i in range(0, len(words), 3))


SPOILS = {"stubs": stub, "hash signs": hashtags, "broken-off lines": teasers, "lists": bullets, "figures": figures,
          "keywords": keywords, "words run together": glued}  # fmt: skip


@claim(
    method="gopher-quality",
    paper="Scaling Language Models: Methods, Analysis & Insights from Training Gopher",
    says="drops stubs, lists, symbols, figures and keyword pages, and keeps real prose",
)
def pages_that_are_no_prose_are_dropped(budget: Budget) -> Evidence:
    """Pages of plain sentences, spoilt in seven ways, among sound ones; the baseline drops odd lengths.

    Shown beside it, and not judged: how many pages of documentation stay in which names of code stand among the words.
    """
    found = planted(GopherQuality(), SPOILS, budget)
    code = [float(kept_by(GopherQuality(), pages(60, seed, prose("{}|\\"))).mean()) for seed in budget.seeds]
    measured = {**found.measured, "kept, prose about code": interval(code)}
    note = "Signs count as words where shares are taken, so prose about code, full of quotes and brackets, often falls."
    return replace(found, measured=measured, note=note)
