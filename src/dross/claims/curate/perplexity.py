"""Perplexity: shuffled and foreign words are surprising to a model of prose."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import judged, told_apart
from dross.curate.perplexity import Perplexity


@claim(
    method="perplexity",
    paper="CCNet: Extracting High Quality Monolingual Datasets from Web Crawl Data",
    says="the perplexity of a model of good text tells text of high quality from the rest",
)
def surprising_texts_go(budget: Budget) -> Evidence:
    """2,000 paragraphs are the reference; of 300 others and 150 with their words in random order, two thirds stay.

    As many as there are sound texts are kept, so that what is dropped in error and what is missed are the same.
    """

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 14))
        texts = drawn(2450, seed)
        reference, sound = texts[:2000], texts[2000:2300]
        spoilt = [" ".join(rng.permutation(text.split())) for text in texts[2300:]]
        with TemporaryDirectory() as folder:
            file = Path(folder) / "reference.jsonl"
            file.write_text("\n".join(json.dumps({"text": text}) for text in reference))
            step = Perplexity(reference=(str(file),), share=300 / len(sound + spoilt))
            return told_apart(step, sound + spoilt, np.arange(len(sound + spoilt)) >= 300)

    return judged(budget, one, {"planted dropped, %": 80.0, "others kept, %": 80.0})
