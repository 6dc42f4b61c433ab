"""Code2Doc: planted copies and junk documentation go, and what is kept teaches more than a random part."""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims.curate._corpus import judged, left
from dross.corpus.curating import curate
from dross.corpus.recipe import Recipe
from dross.curate.code2doc import Code2Doc
from dross.curate.code_functions import functions
from dross.models.rouge import rouge_l

JUNK = (
    "TODO",
    "This function is designed to do things in a robust and efficient way.",
    "FIXME: document this one later",
    "Certainly! Here is the docstring you asked for.",
    "Description",
    "TBD",
    "Insert [description here] please now",
)
Pair = dict[str, Any]


@claim(
    method="code2doc",
    paper="Code2Doc: A Quality-First Curated Dataset for Code Documentation",
    says="a quarter of the candidates is kept, and teaches a model more than what it was taken from",
)
def junk_goes_and_what_is_kept_teaches_more(budget: Budget) -> Evidence:
    """500 documented functions of the standard library; 100 come again with another word, 200 have junk for words.

    The small model answers a function with the documentation of the most similar function it has learnt, by TF-IDF of
    the code; it is judged by ROUGE-L on 150 others, after learning from the pairs that are kept and from as many random
    candidates.
    """

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 17))
        pool = [pair for pair in _pairs() if 8 <= len(pair["documentation"].split()) <= 200]
        order = rng.permutation(len(pool))
        clean, held = ([pool[i] for i in some] for some in (order[:500], order[500:650]))
        near = [
            {**pair, "code": pair["code"].replace("self", "this") + "\n", "id": f"near{i}"}
            for i, pair in enumerate(clean[:100])
        ]
        junk = [{**pool[order[650 + i]], "documentation": JUNK[i % 7], "id": f"junk{i}"} for i in range(200)]
        rows = [*({**pair, "id": f"clean{i}"} for i, pair in enumerate(clean)), *near, *junk]
        with TemporaryDirectory() as folder:
            (Path(folder) / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
            recipe = Recipe.of({"text": "code", "id": "id", "steps": [Code2Doc(extract=False)]})
            curate(recipe, f"{folder}/in.jsonl", f"{folder}/out", workers=1)
            kept = left(Path(folder) / "out")
        names = {pair["id"] for pair in kept}
        random = [rows[i] for i in rng.choice(len(rows), len(kept), replace=False)]
        ours, other = _taught(kept, held), _taught(random, held)
        return {
            "near copies dropped, %": 100 - sum(name.startswith("near") for name in names),
            "junk dropped, %": 100 - sum(name.startswith("junk") for name in names) / 2,
            "clean pairs kept, %": sum(name.startswith("clean") for name in names) / 5,
            "ROUGE-L after random pairs": 100 * other,
            "points of ROUGE-L gained": 100 * (ours - other),
        }

    return judged(
        budget, one, {"near copies dropped, %": 95.0, "junk dropped, %": 95.0, "points of ROUGE-L gained": 0.01}
    )


@cache
def _pairs() -> tuple[Pair, ...]:
    root = Path(sysconfig.get_paths()["stdlib"])
    out: list[Pair] = []
    for file in sorted(root.glob("*.py")) + sorted(root.glob("[ceihjlmux]*/*.py")):
        if "test" in file.parts[-2]:
            continue
        for name, code, documentation, branches in functions(file.read_text(encoding="utf-8", errors="replace")):
            out.append({"function": name, "code": code, "documentation": documentation, "branches": branches})
    return tuple({pair["documentation"]: pair for pair in out if pair["code"].count("\n") >= 2}.values())


def _taught(learnt: Sequence[Pair], held: Sequence[Pair]) -> float:
    from sklearn.feature_extraction.text import TfidfVectorizer

    pattern = r"[A-Za-z]+"
    words = TfidfVectorizer(token_pattern=pattern, sublinear_tf=True)
    known = words.fit_transform([pair["code"] for pair in learnt])
    nearest = np.asarray((words.transform([pair["code"] for pair in held]) @ known.T).argmax(axis=1)).ravel()
    return float(
        np.mean(
            [rouge_l(learnt[j]["documentation"], pair["documentation"]) for j, pair in zip(nearest, held, strict=True)]
        )
    )
