"""CulturaX: planted copies, foreign sentences and boilerplate go, prose stays, and every stage says what it dropped."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import docstrings
from dross.claims.curate._corpus import judged, left
from dross.claims.curate.language import FOREIGN
from dross.corpus.curating import curate
from dross.corpus.recipe import Recipe
from dross.curate.culturax import CulturaX

BOILERPLATE = ("Home | Login | Cart | FAQ | Help", "» » » >> 12 34 56 // [ ] { }", "Share: * * * | # # # | $ $ $ | ///",
               "© 1999 - 2024 | v3.2.1 | /// | >>>", "--- === --- === --- | 1 | 2 | 3 | >")  # fmt: skip


@claim(
    method="culturax",
    paper="CulturaX: A Cleaned, Enormous, and Multilingual Dataset for Large Language Models in 167 Languages",
    says="language identification, metrics, refinement and deduplication clean a web corpus stage by stage",
)
def planted_rows_go_stage_by_stage(budget: Budget) -> Evidence:
    """500 English documents of at least 60 words, 60 copies with a word replaced, 60 foreign and 60 junk texts."""

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 15))
        pool = list(dict.fromkeys(text for text in docstrings() if 60 <= len(text.split()) <= 1000))
        texts = [pool[i] for i in rng.permutation(len(pool))[:500]]
        near = [_edited(text, rng) for text in texts[:60]]
        foreign = [" ".join(rng.permutation(text.split())) for text in list(FOREIGN.values()) * 10]
        doubled = [f"{one} {other}" for one, other in itertools.pairwise(BOILERPLATE)]
        junk = [" ".join(rng.permutation(doubled[i % 4].split())) for i in range(60)]
        kinds = {"sound": texts, "near": near, "foreign": foreign, "junk": junk}
        rows = [{"id": f"{kind}{i}", "text": text} for kind, some in kinds.items() for i, text in enumerate(some)]
        with TemporaryDirectory() as folder:
            (Path(folder) / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
            recipe = Recipe.of({"id": "id", "steps": [CulturaX()]})
            report = curate(recipe, f"{folder}/in.jsonl", f"{folder}/out", workers=1)
            names = [row["id"] for row in left(Path(folder) / "out")]
        gone = {kind: 1 - sum(name.startswith(kind) for name in names) / len(some) for kind, some in kinds.items()}
        reported = sum(sum(stage.reasons.values()) for stage in report.stages)
        return {
            "near copies dropped, %": 100 * gone["near"],
            "foreign texts dropped, %": 100 * gone["foreign"],
            "boilerplate dropped, %": 100 * gone["junk"],
            "documents kept, %": 100 * (1 - gone["sound"]),
            "drops that the report explains, %": 100 * reported / (len(rows) - len(names)),
        }

    least = {
        "near copies dropped, %": 95.0,
        "foreign texts dropped, %": 95.0,
        "boilerplate dropped, %": 95.0,
        "documents kept, %": 95.0,
        "drops that the report explains, %": 100.0,
    }
    return judged(budget, one, least)


def _edited(text: str, rng: np.random.Generator) -> str:
    """The text with one word replaced."""
    places = [match.span() for match in re.finditer(r"\S+", text)]
    start, stop = places[int(rng.integers(len(places)))]
    return f"{text[:start]}edited{text[stop:]}"
