"""Embedding decontamination: reworded items go that share no run of 13 words with the benchmark."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import judged, passed, told_apart
from dross.curate.embedding_decontamination import EmbeddingDecontamination
from dross.curate.ngram_decontamination import NgramDecontamination


@claim(
    method="embedding-decontamination",
    paper="Rethinking Benchmark and Contamination for Language Models with Rephrased Samples",
    says="rephrased samples pass n-gram overlap; embedding similarity finds them",
)
def reworded_items_are_found(budget: Budget) -> Evidence:
    """60 paragraphs are a benchmark; 60 of some 600 texts are items with words left out and parts in another order.

    Paragraphs that quote an item by themselves, by runs of five words, are no clean text and are left out.
    """

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 5))
        texts = drawn(600, seed)
        items, clean = texts[:60], texts[60:]
        reworded = []
        for item in items:
            words = [word for word in item.split() if rng.random() < 0.8]
            parts = [words[i : i + 5] for i in range(0, len(words), 5)]
            reworded.append(" ".join(word for i in rng.permutation(len(parts)) for word in parts[i]))
        with TemporaryDirectory() as folder:
            file = Path(folder) / "benchmark.jsonl"
            file.write_text("\n".join(json.dumps({"text": item}) for item in items))
            clean = passed(NgramDecontamination(against=(str(file),), n=5, share=0.1), clean).text().to_pylist()
            planted = np.arange(len(clean) + 60) >= len(clean)
            found = told_apart(
                EmbeddingDecontamination(against=(str(file),), similarity=0.8), clean + reworded, planted
            )
            grams = told_apart(NgramDecontamination(against=(str(file),)), clean + reworded, planted)
        return {**found, "points found beyond 13-grams": found["planted dropped, %"] - grams["planted dropped, %"]}

    return judged(
        budget, one, {"planted dropped, %": 90.0, "others kept, %": 99.0, "points found beyond 13-grams": 50.0}
    )
