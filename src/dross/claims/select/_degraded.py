"""Real documentation with planted defects of known strength, for claims about ratings of quality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims.label._docstrings import docstrings
from dross.core.dataset import Dataset
from dross.core.roles import Role

SOURCES = ("python", "numpy", "scipy", "sklearn")
BOILERPLATE = (
    "Click here to subscribe to our newsletter.",
    "We use cookies to improve your experience.",
    "Share this page with your friends today!",
    "All rights reserved. Terms and conditions apply.",
    "Sign up now and save on your first order.",
    "Home | About | Contact | Sitemap | Login",
)
SHORTEST, LONGEST = 250, 1500
MOST = 2000
"""Characters of a degraded text, which may be longer than it was: as many as a judge is shown."""
Rng = np.random.Generator
Degrade = Callable[[list[str], float, Rng], list[str]]


def garbled(words: list[str], level: float, rng: Rng) -> list[str]:
    """That share of the words with their letters in random order."""
    return ["".join(rng.permutation(list(w))) if rng.random() < level else w for w in words]


def shuffled(words: list[str], level: float, rng: Rng) -> list[str]:
    """That share of the words in random order."""
    places = np.flatnonzero(rng.random(len(words)) < level)
    moved = list(words)
    for to, source in zip(places, rng.permutation(places), strict=True):
        moved[to] = words[source]
    return moved


def boilerplate(words: list[str], level: float, rng: Rng) -> list[str]:
    """Sentences of web pages in the place of that share of the words."""
    kept = words[: max(1, round(len(words) * (1 - level)))]
    added: list[str] = []
    while len(kept) + len(added) < len(words):
        added += BOILERPLATE[int(rng.integers(len(BOILERPLATE)))].split()
    at = int(rng.integers(len(kept) + 1))
    return [*kept[:at], *added, *kept[at:]]


def repeated(words: list[str], level: float, rng: Rng) -> list[str]:
    """One stretch of eight words over and over in the place of that share."""
    kept = words[: max(8, round(len(words) * (1 - level)))]
    at = int(rng.integers(len(kept) - 7)) if len(kept) > 8 else 0
    times = -(-(len(words) - len(kept)) // 8)
    return [*kept, *(kept[at : at + 8] * max(times, 0))]


DEFECTS: tuple[Degrade, ...] = (garbled, shuffled, boilerplate, repeated)


@dataclass(frozen=True)
class Corpus:
    """Rows, of which most are degraded, and clean text that was held out.

    Attributes
    ----------
    data
        The rows, with the source of each as its domain.
    quality
        1 less the strength of the defect, shape (n,).
    source
        A code, shape (n,).
    held_out
        Clean texts of all sources.
    """

    data: Dataset
    quality: npt.NDArray[np.float64]
    source: npt.NDArray[np.int64]
    held_out: list[str]

    @property
    def texts(self) -> list[str]:
        """The rows' texts."""
        found: list[str] = self.data.column(Role.TEXT).to_pylist()
        return found


def corpus(seed: int, rows: int, held_out: int, clean: float = 0.2) -> Corpus:
    """So many rows from four sources in equal shares; ``clean`` of them as they are, the others by a random defect."""
    rng = np.random.default_rng((seed, 17))
    texts, source = [], []
    for code, name in enumerate(SOURCES):
        fit = [" ".join(d.text.split()) for d in docstrings(name) if SHORTEST <= len(d.text) <= LONGEST]
        taken = rng.permutation(len(fit))[: (rows + held_out) // len(SOURCES)]
        texts += [fit[i] for i in taken]
        source += [code] * len(taken)
    order = rng.permutation(len(texts))
    kept, apart = order[:rows], order[rows:]
    level = np.where(rng.random(rows) < clean, 0.0, rng.random(rows))
    kinds = rng.integers(len(DEFECTS), size=rows)
    made = [
        " ".join(DEFECTS[k](texts[i].split(), lv, rng))[:MOST] if lv > 0 else texts[i]
        for i, k, lv in zip(kept, kinds, level, strict=True)
    ]
    codes = np.array(source)[kept]
    table = pa.table({"text": made, "source": [SOURCES[c] for c in codes]})
    data = Dataset(table, {Role.TEXT: ["text"], Role.DOMAIN: ["source"]})
    return Corpus(data, 1 - level, codes, [texts[i] for i in apart])
