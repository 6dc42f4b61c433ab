"""Quality classifier: prose like the examples stays, advertising and word salad go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import BOTH, judged, told_apart
from dross.curate.quality_classifier import QualityClassifier

ADS = ("buy now", "best price", "click here", "free shipping", "limited offer", "sign up today", "subscribe",
       "hot deals", "act fast", "100% guaranteed", "follow us", "share this", "cookie policy", "log in",
       "add to cart")  # fmt: skip


@claim(
    method="quality-classifier",
    paper="Language Models are Few-Shot Learners",
    says="a classifier learnt from curated and crawled documents prioritises documents of high quality",
)
def text_unlike_the_examples_goes(budget: Budget) -> Evidence:
    """100 paragraphs and 100 advertisements are examples; 200 others of each are told apart.

    Half of the others are advertisements made of a paragraph's words mixed with advertising phrases.
    """

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 13))
        texts = drawn(500, seed)
        good, clean, mixed = texts[:100], texts[100:300], texts[300:400]
        ads = [" ".join(rng.choice(ADS, 12)) for _ in range(200)]
        junk = ads[100:] + [" ".join(rng.permutation([*text.split()[:20], *rng.choice(ADS, 12)])) for text in mixed]
        with TemporaryDirectory() as folder:
            step = QualityClassifier(good=(_file(folder, "good", good),), bad=(_file(folder, "bad", ads[:100]),))
            return told_apart(step, clean + junk, np.arange(400) >= 200)

    return judged(budget, one, BOTH)


def _file(folder: str, name: str, texts: Sequence[str]) -> str:
    path = Path(folder) / f"{name}.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    return str(path)
