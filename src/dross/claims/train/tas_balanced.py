"""TAS-Balanced: first lines of documentation find the rest of it, by how the batches were made up."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim
from dross.claims._training import mean, over_seeds
from dross.claims.label._docstrings import docstrings
from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.paired import side_vectors
from dross.train.tas_balanced import TASBalanced

TAUGHT, JUDGED = 1500, 500
SETTINGS: dict[str, Any] = {"epochs": 10, "learning_rate": 5e-3}


@claim(
    method="tas-balanced",
    paper="Efficiently Teaching an Effective Dense Retriever with Balanced Topic Aware Sampling",
    says="topic-aware, margin-balanced batches teach more than random ones",
    fast=False,
)
def topical_balanced_batches_teach_more(budget: Budget) -> Evidence:
    """1,500 pairs of the first line and the rest of documentation strings teach; 500 others are found, by nDCG@10.

    The teacher is latent semantic analysis. Beside batches on one topic with balanced margins stand random batches
    with random candidates, and balanced margins alone, for as many updates. Settings were looked at on seed 100.
    """

    def one(seed: int) -> dict[str, float]:
        taught, judged = (_pairs(seed, first, count) for first, count in ((JUDGED, TAUGHT), (0, JUDGED)))
        vectors = side_vectors("embedding", judged, Signals(judged))
        random = _ndcg(taught, judged, seed, topics=1, bins=1)
        return {
            "nDCG@10 of the teacher": found(vectors[:, 0], vectors[:, 1]),
            "nDCG@10 of random batches": random,
            "points gained by topics and bins": _ndcg(taught, judged, seed) - random,
            "points gained by bins alone": _ndcg(taught, judged, seed, topics=1) - random,
        }

    measured = over_seeds(budget, one)
    return Evidence(measured, mean(measured["points gained by topics and bins"]) >= 2, over=budget.seeds)


def found(queries: npt.NDArray[Any], passages: npt.NDArray[Any]) -> float:
    """nDCG@10, in per cent, where the passage of each query is the one in its place.

    >>> found(np.eye(3), np.eye(3))
    100.0
    """
    scores = queries @ passages.T
    rank = (scores > scores.diagonal()[:, None]).sum(axis=1)
    return float(100 * np.where(rank < 10, 1 / np.log2(rank + 2), 0).mean())


def _ndcg(taught: Dataset, judged: Dataset, seed: int, **fields: Any) -> float:
    model = TASBalanced(seed=seed, **SETTINGS, **fields).run(taught, Signals(taught))
    return found(model.embed(judged, Role.QUERY), model.embed(judged, Role.PASSAGE))  # type: ignore[union-attr]


@cache
def _texts() -> tuple[tuple[str, str], ...]:
    out: dict[str, str] = {}
    seen: set[str] = set()
    for package in ("python", "numpy", "scipy", "sklearn"):
        for one in docstrings(package):
            first, _, rest = one.text.partition("\n\n")
            query, passage = " ".join(first.split()), " ".join(rest.split())[:600]
            if 25 <= len(query) <= 200 and len(passage) >= 120 and query not in out and passage not in seen:
                out[query] = passage
                seen.add(passage)
    return tuple(out.items())


def _pairs(seed: int, first: int, count: int) -> Dataset:
    texts = _texts()
    order = np.random.default_rng((seed, 3)).permutation(len(texts))[first : first + count]
    table = pa.table({"q": [texts[i][0] for i in order], "p": [texts[i][1] for i in order]})
    return Dataset(table, {Role.QUERY: ["q"], Role.PASSAGE: ["p"]})
