"""Texts of known quality, and pairs of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dross.models.preference_pairs import Pairs, drawn
from dross.testing.planted import sentence


def rated_texts(n: int, seed: int = 0) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Texts that are shouted to a growing share, and how good they are."""
    rng = np.random.default_rng(seed)
    good = rng.random(n)
    texts = []
    for share in good:
        words = [*sentence(rng).split(), *sentence(rng).split()]
        texts.append(" ".join(w if rng.random() < share else w.upper() + "!!" for w in words))
    return texts, good


def judged_pairs(n: int = 150, seed: int = 0) -> tuple[Pairs, list[str], npt.NDArray[np.float64]]:
    texts, good = rated_texts(n, seed)
    sides = drawn(n, n)
    chance = (good[sides[:, 0]] > good[sides[:, 1]]).astype(float)
    return Pairs.of([texts[i] for i in sides[:, 0]], [texts[i] for i in sides[:, 1]], chance), texts, good
