"""FineWeb quality: pages of lists, menus and boilerplate are dropped, real prose stays."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims.curate._pages import planted
from dross.curate.fineweb_quality import FinewebQuality


def menu(page: str, rng: np.random.Generator) -> str:
    """A few words a line, no marks."""
    words = ["".join(c for c in word if c.isalnum()) for word in page.split()]
    return "\n".join(" ".join(words[i : i + 4]) for i in range(0, len(words), 4))


def verse(page: str, rng: np.random.Generator) -> str:
    """Lines of three words, each with a full stop."""
    words = page.replace(".", "").split()
    return "\n".join(" ".join(words[i : i + 3]) + "." for i in range(0, len(words), 3))


def notices(page: str, rng: np.random.Generator) -> str:
    """The same sentence three times among the others."""
    lines = page.split("\n")
    for at in rng.integers(0, len(lines), 3).tolist():
        lines.insert(at, "All rights reserved by the owner of this site.")
    return "\n".join(lines)


def gaps(page: str, rng: np.random.Generator) -> str:
    """Six empty lines after every eighth word."""
    words = page.split()
    return ("." + "\n" * 6).join(" ".join(words[i : i + 8]) for i in range(0, len(words), 8))


SPOILS = {"menus": menu, "short lines": verse, "repeated notices": notices, "line ends": gaps}


@claim(
    method="fineweb-quality",
    paper="The FineWeb Datasets: Decanting the Web for the Finest Text Data at Scale",
    says="drops list-like pages, repeated lines and wrong line breaks, and keeps real prose",
)
def pages_of_lists_are_dropped(budget: Budget) -> Evidence:
    """Real documentation pages, spoilt in four ways, among sound ones; the baseline drops odd lengths."""
    return planted(FinewebQuality(), SPOILS, budget)
