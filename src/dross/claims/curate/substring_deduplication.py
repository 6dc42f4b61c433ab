"""Substring deduplication: no passage of the stated length is left twice, and each is left once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import judged, passed
from dross.curate.substring_deduplication import SubstringDeduplication
from dross.signals.word_places import runs, words_of

LENGTH = 20


@claim(
    method="substring-deduplication",
    paper="Deduplicating Training Data Makes Language Models Better",
    says="repeated passages within otherwise different documents are removed",
)
def repeated_passages_go_and_one_stays(budget: Budget) -> Evidence:
    """300 paragraphs, 60 of them with one of 12 other passages of 20 to 40 words in the middle."""

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 2))
        texts = drawn(400, seed)
        long = [text.split() for text in texts[300:] if len(text.split()) >= 45][:12]
        passages = [" ".join(words[: rng.integers(LENGTH, 41)]) for words in long]
        texts = texts[:300]
        chosen = rng.choice(300, 60, replace=False)
        for i, row in enumerate(chosen.tolist()):
            words = texts[row].split()
            middle = len(words) // 2
            texts[row] = " ".join([*words[:middle], "and", passages[i % 12], "so", *words[middle:]])
        left = passed(SubstringDeduplication(length=LENGTH, least=1), texts).text().to_pylist()
        counts = np.array([sum(passage in text for text in left) for passage in passages])
        words = words_of(pa.array(left, pa.large_string()))
        hashes, _ = runs(words, LENGTH)
        planted = sum(len(passages[i % 12]) + 8 for i in range(60)) - sum(len(passage) for passage in passages)
        return {
            "passages left, %": float(100 * (counts >= 1).mean()),
            "runs of 20 words left twice": float(len(np.unique(hashes)) - len(hashes)),
            "own text left, %": 100 * sum(map(len, left)) / (sum(map(len, texts)) - planted),
        }

    least = {"passages left, %": 100.0, "runs of 20 words left twice": 0.0, "own text left, %": 97.0}
    return judged(budget, one, least)
