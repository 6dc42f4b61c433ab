"""Semantic deduplication: texts in another order of words go, which share few word triples."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import BOTH, judged, told_apart
from dross.curate.minhash_deduplication import MinhashDeduplication
from dross.curate.semantic_deduplication import SemanticDeduplication


@claim(
    method="semantic-deduplication",
    paper="SemDeDup: Data-efficient learning at web-scale through semantic deduplication",
    says="pairs that are alike in meaning but not the same are removed, at little cost for the rest",
)
def reordered_texts_go(budget: Budget) -> Evidence:
    """600 paragraphs; 120 come again with their parts of four words in random order, and every tenth word left out.

    Beside it MinHash at the same task, which looks for word triples. Some paragraphs say nearly the same by themselves.
    """

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 3))
        texts = drawn(600, seed)
        again = []
        for text in texts[:120]:
            words = [word for i, word in enumerate(text.split()) if i % 10]
            parts = [words[i : i + 4] for i in range(0, len(words), 4)]
            again.append(" ".join(word for i in rng.permutation(len(parts)) for word in parts[i]))
        planted = np.arange(720) >= 600
        step = SemanticDeduplication(clusters=8, keep="first", seed=seed)
        other = told_apart(MinhashDeduplication(similarity=0.6), texts + again, planted)
        return {
            **told_apart(step, texts + again, planted),
            "planted dropped by MinHash, %": other["planted dropped, %"],
        }

    return judged(budget, one, BOTH)
