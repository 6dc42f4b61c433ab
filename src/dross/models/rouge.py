"""ROUGE: how much of the words of a reference a text has (Lin, 2004)."""

from __future__ import annotations

import re
from collections import Counter


def words(text: str) -> list[str]:
    """The words of a text in small letters."""
    return re.findall(r"\w+", text.lower())


def rouge_1(text: str, reference: str) -> float:
    """The F-measure of shared words, in [0, 1].

    >>> rouge_1("the cat sat", "the cat lay there")
    0.5714285714285714
    """
    a, b = Counter(words(text)), Counter(words(reference))
    return _f((a & b).total(), a.total(), b.total())


def rouge_l(text: str, reference: str) -> float:
    """The F-measure of the longest common subsequence of words, in [0, 1]; O(words of both).

    >>> rouge_l("the cat sat down", "the big cat lay down")
    0.6666666666666666
    """
    a, b = words(text), words(reference)
    before = [0] * (len(b) + 1)
    for word in a:
        now = [0]
        for j, other in enumerate(b, 1):
            now.append(before[j - 1] + 1 if word == other else max(before[j], now[-1]))
        before = now
    return _f(before[-1], len(a), len(b))


def _f(shared: int, one: int, other: int) -> float:
    return 2 * shared / (one + other) if one + other else 0.0
