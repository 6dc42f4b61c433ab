"""N-gram decontamination: texts that quote a benchmark go, those that share a phrase with it stay."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import BOTH, judged, told_apart
from dross.curate.ngram_decontamination import NgramDecontamination


@claim(
    method="ngram-decontamination",
    paper="Language Models are Few-Shot Learners",
    says="runs of 13 words that a document shares with a benchmark tell that it holds an item of it",
)
def quoted_items_go(budget: Budget) -> Evidence:
    """60 paragraphs are a benchmark; 60 of 400 others quote half of one between their own words, in capitals."""

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 4))
        texts = [text for text in drawn(900, seed) if len(text.split()) >= 40][:460]
        items, texts = texts[:60], texts[60:]
        planted = np.zeros(len(texts), bool)
        planted[rng.choice(len(texts), 60, replace=False)] = True
        for row, item in zip(np.flatnonzero(planted).tolist(), items, strict=True):
            words = item.split()
            texts[row] = f"{texts[row]} Q: {' '.join(words[: 2 * len(words) // 3]).upper()}! {texts[row][:50]}"
        with TemporaryDirectory() as folder:
            file = Path(folder) / "benchmark.jsonl"
            file.write_text("\n".join(json.dumps({"text": item}) for item in items))
            return told_apart(NgramDecontamination(against=(str(file),)), texts, planted)

    return judged(budget, one, BOTH)
