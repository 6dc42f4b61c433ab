"""Validation split: no near copy crosses it, where a random one parts many."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import altered, judged, passed
from dross.curate.validation_split import ValidationSplit


@claim(method="validation-split", says="near copies of a validation row are never among the training rows")
def near_copies_stay_together(budget: Budget) -> Evidence:
    """400 paragraphs, of which 150 come again with one word in thirty replaced; a fifth is set aside."""

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 9))
        texts = [text for text in drawn(900, seed) if len(text.split()) >= 40][:400]
        again = [altered(text, 1 / 30, rng) for text in texts[:150]]
        side = np.array(passed(ValidationSplit(share=0.2, seed=seed), texts + again).strings("split").to_pylist())
        random = rng.random(550) < 0.2
        n = len(texts)
        return {
            "copies that are not parted, %": 100 * float((side[:150] == side[n:]).mean()),
            "copies that a random split does not part, %": 100 * float((random[:150] == random[n : n + 150]).mean()),
            "nearness of the share": 1 - abs(float((side == "validation").mean()) - 0.2),
        }

    return judged(budget, one, {"copies that are not parted, %": 99.0, "nearness of the share": 0.9})
