"""Near-duplicates: sketches stand for texts, bands for all pairs, and verification leaves no false alarm."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.exact_duplicates import ExactDuplicates
from dross.detect.near_duplicates import NearDuplicates
from dross.signals.minhash import signatures
from dross.signals.near_pairs import jaccard

PAPER = "On the resemblance and containment of documents"
VOCABULARY = [f"{a}{b}{c}{d}" for a in "bcdfglmnprst" for b in "aeiou" for c in "dklmnrst" for d in "aeio"]


def documents(rng: np.random.Generator, n: int, words: int) -> list[list[str]]:
    """Texts of words drawn by Zipf's law, so that frequent words come together by chance."""
    chance = 1 / np.arange(1, len(VOCABULARY) + 1)
    drawn = rng.choice(len(VOCABULARY), (n, words), p=chance / chance.sum())
    return [[VOCABULARY[w] for w in row] for row in drawn]


def edited(rng: np.random.Generator, words: list[str], share: float) -> list[str]:
    """The words with each replaced by another with the given probability."""
    return [VOCABULARY[int(rng.integers(len(VOCABULARY)))] if rng.random() < share else word for word in words]


@claim(
    method="near-duplicates",
    paper=PAPER,
    says="finds copies of which 5 % of the words were changed, and no other row; equal hashes find none of them",
)
def edited_copies_are_found(budget: Budget) -> Evidence:
    """A tenth of 3,000 documents of 150 words are edited copies of others."""
    recall, precision, exact, twins = [], [], [], []
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        texts = documents(rng, 2700, 150)
        texts += [edited(rng, texts[i], 0.05) for i in range(300)]
        data = Dataset(pa.table({"text": [" ".join(words) for words in texts]}), {Role.TEXT: ["text"]})
        signals = Signals(data)
        found, equal = NearDuplicates().run(data, signals), ExactDuplicates().run(data, signals)
        assert isinstance(found, Findings)
        assert isinstance(equal, Findings)
        assert found.suggestion is not None
        hit = found.rows >= 2700
        recall.append(hit.sum() / 300)
        precision.append(hit.mean() if len(hit) else 0.0)
        exact.append((equal.rows >= 2700).sum() / 300)
        twins.append((found.suggestion[hit] == found.rows[hit] - 2700).mean() if hit.any() else 0.0)
    measured = {
        "recall": interval(recall),
        "precision": interval(precision),
        "twin is the source": interval(twins),
        "recall of equal hashes": interval(exact),
    }
    holds = min(recall) >= 0.99 and min(precision) >= 0.99 and min(twins) >= 0.99 and max(exact) < 0.1
    return Evidence(measured, holds, budget.seeds)


@claim(
    method="near-duplicates",
    paper=PAPER,
    says="the share of equal sketch values estimates the resemblance without bias, with error sqrt(r (1 - r) / k)",
)
def sketches_estimate_resemblance(budget: Budget) -> Evidence:
    """Compare sketches of 128 values with exact resemblance over the whole range."""
    bias, excess = [], []
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        left = documents(rng, 400, 120)
        right = [edited(rng, words, rng.uniform(0, 0.25)) for words in left]
        texts = pa.array([" ".join(words) for words in left + right], pa.large_string())
        rows = np.arange(400)
        true = jaccard(pa.chunked_array([texts]), rows, rows + 400, words=True).astype(np.float64)
        signed = signatures(texts, words=True, seed=seed)
        error = (signed[:400] == signed[400:]).mean(1) - true
        bias.append(error.mean())
        excess.append(np.sqrt((error**2).mean() / (true * (1 - true) / 128).mean()))
    measured = {"mean error": interval(bias), "error over theory": interval(excess)}
    holds = abs(float(np.mean(bias))) < 0.005 and 0.85 < float(np.mean(excess)) < 1.15
    return Evidence(measured, holds, budget.seeds)


@claim(
    method="near-duplicates",
    says="in short texts with much in common, bands find the rows that comparing all pairs finds",
)
def bands_stand_for_all_pairs(budget: Budget) -> Evidence:
    """Sentences of few words over a small vocabulary, where letter triples come together by chance."""
    share = []
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        texts = [list(rng.choice(VOCABULARY[:150], 9)) for _ in range(900)]
        texts += [edited(rng, texts[i], 0.12) for i in range(300)]
        column = pa.chunked_array([[" ".join(words) for words in texts]], pa.large_string())
        data = Dataset(pa.table({"text": column}), {Role.TEXT: ["text"]})
        found = NearDuplicates().run(data, Signals(data))
        assert isinstance(found, Findings)
        later, earlier = np.tril_indices(len(texts), -1)
        close = jaccard(column, earlier, later, words=False) >= found.summary["similarity from"]
        folded = [" ".join(words) for words in texts]
        firsts = np.array([folded.index(text) == i for i, text in enumerate(folded)])
        all_pairs = np.unique(later[close & firsts[later] & firsts[earlier]])
        share.append(np.isin(all_pairs, found.rows).mean())
    return Evidence({"rows found of all": interval(share)}, min(share) >= 0.98, budget.seeds)
