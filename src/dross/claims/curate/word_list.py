"""Word list: listed words are found as words, not within others."""

from __future__ import annotations

import re

import numpy as np

from dross.claims import Budget, Evidence, claim, interval
from dross.claims.curate._pages import kept_by, pages
from dross.curate.word_list import WordList

LISTED = 40


def unlucky(texts: list[str], rng: np.random.Generator) -> list[str]:
    """Strings of letters that stand within words of these texts but are no word of them, and phrases of two such."""
    words = sorted(set(re.findall(r"[a-z]{7,}", " ".join(texts).lower())))
    whole = set(re.findall(r"\w+", " ".join(texts).lower()))
    drawn = [words[i] for i in rng.permutation(len(words))]
    inside = [part for word in drawn if (part := word[1:5]) not in whole][:LISTED]
    return [*inside, *(" ".join(inside[i : i + 2]) for i in range(0, len(inside), 4))]


@claim(method="word-list", says="finds every text with a listed word or phrase, and none that has it within a word")
def listed_words_are_found_and_nothing_else(budget: Budget) -> Evidence:
    """Forty words are listed that stand within words of real pages; half the pages get one, in any case, beside a mark.

    The baseline looks for the strings wherever they stand.
    """
    found, false, by_string = [], [], []
    for seed in budget.seeds:
        rng, texts = np.random.default_rng((seed, 46)), pages(100, seed)
        listed = unlucky(texts, rng)
        for i in range(0, len(texts), 2):
            words = texts[i].split(" ")
            entry = str(rng.choice(listed))
            spelt = str(rng.choice([entry, entry.upper(), f'"{entry}"', f"{entry.capitalize()},"]))
            words.insert(int(rng.integers(0, len(words))), spelt)
            texts[i] = " ".join(words)
        kept = kept_by(WordList(words=tuple(listed)), texts)
        found.append(float((~kept)[::2].mean()))
        false.append(float((~kept)[1::2].mean()))
        by_string.append(float(np.mean([any(entry in text.lower() for entry in listed) for text in texts[1::2]])))
    measured = {
        "found": interval(found),
        "sound pages dropped": interval(false),
        "sound pages dropped by strings": interval(by_string),
    }
    holds = min(found) == 1.0 and max(false) == 0.0 and float(np.mean(by_string)) > 0.1
    return Evidence(measured, holds=holds, over=budget.seeds)
