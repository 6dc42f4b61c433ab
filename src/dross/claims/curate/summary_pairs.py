"""Summary pairs: planted defects are found, and extractive baselines score less on what is left."""

from __future__ import annotations

import re

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import docstrings
from dross.claims.curate._corpus import judged, passed
from dross.curate.exact_deduplication import ExactDeduplication
from dross.curate.summary_pairs import SummaryPairs
from dross.models.rouge import rouge_1

LEAD = 2


@claim(
    method="summary-pairs",
    paper="On the State of German (Abstractive) Text Summarization",
    says="over half of a training set is unsuitable; cleaning it can cut scores by more than 20 points of ROUGE-1",
)
def planted_defects_go_and_the_lead_scores_less(budget: Budget) -> Evidence:
    """200 documentation strings: the first sentence summarises the rest. 300 more pairs, over half, are planted.

    140 have the lead of the document for a summary, 60 a sentence out of it, 60 come twice, 20 have no summary, 20 no
    document. Copies of pairs go by exact deduplication of the summary. The baseline answers with the first sentences.
    """

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 20))
        pool = _pool()
        chosen = [pool[i] for i in rng.permutation(len(pool))[:440]]
        clean, more = chosen[:200], chosen[200:]
        pairs = [(rest, first) for first, rest in clean]
        pairs += [(rest, " ".join(_sentences(rest)[:LEAD])) for _, rest in more[:140]]
        pairs += [(rest, _sentences(rest)[-2]) for _, rest in more[140:200]]
        pairs += [(rest, first) for first, rest in clean[:60]]
        pairs += [(rest, " ") for _, rest in more[200:220]] + [("", first) for first, _ in more[220:240]]
        columns = {"document": [a for a, _ in pairs], "summary": [b for _, b in pairs]}
        rows = passed(SummaryPairs(), [""] * len(pairs), **columns)
        rows = rows.where(
            np.isin(
                rows.addresses, passed(ExactDeduplication(column="summary"), [""] * len(pairs), **columns).addresses
            )
        )
        kept = np.isin(np.arange(len(pairs)), rows.addresses.astype(int))
        dropped, planted = ~kept, np.arange(len(pairs)) >= 200
        before, after = (
            _lead([pair for pair, yes in zip(pairs, some, strict=True) if yes]) for some in (kept | True, kept)
        )
        return {
            "recall of planted defects, %": 100 * float(dropped[planted].mean()),
            "precision, %": 100 * float(planted[dropped].mean()),
            "ROUGE-1 of the lead before": before,
            "points it falls": before - after,
        }

    return judged(budget, one, {"recall of planted defects, %": 95.0, "precision, %": 95.0, "points it falls": 15.0})


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+", text) if len(part.split()) >= 4]


def _pool() -> list[tuple[str, str]]:
    out = {}
    for text in docstrings():
        first, _, rest = " ".join(text.split()).partition(". ")
        parts = _sentences(rest)
        if 5 <= len(first.split()) <= 30 and len(parts) >= 4 and len(rest.split()) >= 40:
            out[first] = " ".join(parts)
    return list(out.items())


def _lead(pairs: list[tuple[str, str]]) -> float:
    return 100 * float(
        np.mean([rouge_1(" ".join(_sentences(document)[:LEAD]), summary) for document, summary in pairs])
    )
