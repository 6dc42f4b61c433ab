"""Gopher repetition: pages that say the same again and again are dropped, real prose stays."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims.curate._pages import planted
from dross.curate.gopher_repetition import GopherRepetition


def footers(page: str, rng: np.random.Generator) -> str:
    """A line of a menu after every line."""
    return "\n".join(f"{line}\nHome | About | Contact us" for line in page.split("\n"))


def paragraphs_again(page: str, rng: np.random.Generator) -> str:
    """Two or three of the six paragraphs a second time."""
    lines = page.split("\n")
    return "\n\n".join([*lines, *lines[: rng.integers(3, 5)]])


def loops(page: str, rng: np.random.Generator) -> str:
    """A sentence that a generator cannot leave, within one line."""
    words = page.split()
    at = int(rng.integers(20, 60))
    return " ".join(words[:at] + words[at : at + int(rng.integers(6, 14))] * 12)


def slogans(page: str, rng: np.random.Generator) -> str:
    """Two words for a search engine after every fifth word."""
    words = page.split()
    return " ".join(f"{word} cheap watches" if i % 5 == 0 else word for i, word in enumerate(words))


def templates(page: str, rng: np.random.Generator) -> str:
    """A sentence of eleven words in which only a number changes, after every twelfth word."""
    words = page.split()
    filled = "the item with this number is in stock now for only"
    return " ".join(f"{word} {filled} {rng.integers(10, 99)}" if i % 12 == 0 else word for i, word in enumerate(words))


SPOILS = {"repeated lines": footers, "repeated paragraphs": paragraphs_again, "loops": loops, "slogans": slogans,
          "templates": templates}  # fmt: skip


@claim(
    method="gopher-repetition",
    paper="Scaling Language Models: Methods, Analysis & Insights from Training Gopher",
    says="drops pages with repeated lines, paragraphs and runs of words, and keeps real prose",
)
def repetitive_pages_are_dropped(budget: Budget) -> Evidence:
    """Real documentation pages, made repetitive in five ways, among sound ones; the baseline drops odd lengths."""
    return planted(GopherRepetition(), SPOILS, budget)
