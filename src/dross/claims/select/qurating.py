"""QuRating: a rater learns noisy judgments, and text sampled by its ratings teaches a language model more."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dross.claims import Budget, Evidence, _scripted, claim
from dross.claims._training import Measured, mean, over_seeds, surely
from dross.claims.select._degraded import Corpus, corpus
from dross.claims.select._reading import bits, diversity, random_rows
from dross.core.results import Selection
from dross.core.signal import Signals
from dross.llm.asking import Models
from dross.llm.prompt import Answer, Complete, Prompt
from dross.models.pairwise_rater import Rater
from dross.select.qurating import Qurating
from dross.signals.ngrams import texts_of

ROWS, HELD_OUT, JUDGMENTS, KEEP = 1600, 200, 1200, 0.3
SHARPNESS, PLACE = 6.0, 0.5
"""How surely the judge tells a difference of quality, in log-odds, and how much it favours the text shown first."""
LEAN = np.array([-0.3, 0.0, 0.0, 0.3])
"""What the judge thinks of the sources, beside quality."""


@claim(
    method="qurating",
    paper="QuRating: Selecting High-Quality Data for Training Language Models",
    says="documents sampled with ratings as logits give lower perplexity; the top-rated alone are poor",
    fast=False,
)
def sampling_by_ratings_teaches_more_than_random_text(budget: Budget) -> Evidence:
    """1,600 pieces of documentation from four sources, 80 % of them degraded; 1,200 pairs are judged.

    A simulated judge compares two texts by their quality (1 less the strength of the defect) and its liking of the
    source; it errs by a logistic law and favours the text shown first. A language model of one layer reads 30 % of
    the text for 300 updates: sampled by ratings at the paper's temperature of 2, random, or best-rated; judged on clean
    text. Diversity is the number of sources (the exponential of the entropy of their shares). Training settings were
    chosen on other seeds (100 and 101).
    """
    measured = over_seeds(budget, _one)
    note = (
        "A simulated judge; its errors and its liking of sources are set. That the top-rated alone are poor is seen in "
        "their diversity; in loss they are ahead at this scale, where hundreds of updates teach form more than topics."
    )
    return Evidence(measured, _holds(measured), over=budget.seeds, note=note)


def _holds(measured: Measured) -> bool:
    rated = mean(measured["Spearman of ratings and judge"]) >= 0.8
    poorer = surely(measured["diversity lost by the top-rated"]) > 0
    return rated and poorer and surely(measured["bits gained over random"]) > 0


def _one(seed: int) -> dict[str, float]:
    from scipy.stats import spearmanr

    made = corpus(seed, ROWS, HELD_OUT)
    liked = made.quality + LEAN[made.source]
    ratings, facts = _rated(made, liked, seed)
    with tempfile.TemporaryDirectory() as folder:
        ratings.save(Path(folder) / "judge")
        drawn, top = (_rows(made, Qurating(rater=folder, keep=KEEP, temperature=t, seed=seed)) for t in (2.0, 0.0))
    random = random_rows(made, KEEP, seed)
    loss = {name: bits(made, rows, seed) for name, rows in (("drawn", drawn), ("top", top), ("random", random))}
    many = {name: diversity(made, rows) for name, rows in (("drawn", drawn), ("top", top), ("random", random))}
    scores = ratings.rate(texts_of(made.data))
    return {
        "Spearman of ratings and judge": float(spearmanr(scores, liked)[0]),
        "Spearman of ratings and quality": float(spearmanr(scores, made.quality)[0]),
        "accuracy on held-out pairs": facts["accuracy"][0],
        "bits a byte, random": loss["random"],
        "bits gained over random": loss["random"] - loss["drawn"],
        "bits gained over random by the top-rated": loss["random"] - loss["top"],
        "sources, random": many["random"],
        "sources, sampled": many["drawn"],
        "diversity lost by the top-rated": many["drawn"] - many["top"],
    }


def _rated(made: Corpus, liked: npt.NDArray[np.float64], seed: int) -> tuple[Rater, dict[str, list[float]]]:
    """The rater that the judge's answers teach, through the method."""
    models = Models(functions=(judge(dict(zip(made.texts, liked.tolist(), strict=True)), str(seed)),))
    with tempfile.TemporaryDirectory() as folder:
        _rows(made, Qurating(models, rater=folder, judgments=JUDGMENTS, seed=seed))
        rater = Rater.load(Path(folder) / "educational value")
    return rater, rater.facts


def _rows(made: Corpus, method: Qurating) -> npt.NDArray[np.int64]:
    found = method.run(made.data, Signals(made.data))
    assert isinstance(found, Selection), found
    return found.rows


def judge(known: dict[str, float], name: str) -> Complete:
    """A model that prefers the text it likes more, with errors, and the text shown first."""

    def one(prompt: Prompt) -> Answer:
        first, second = _scripted.data(_scripted.last(prompt))
        odds = SHARPNESS * (known[first] - known[second]) + PLACE
        sure = _scripted.whim(name, first, second, str(prompt.sample)).random() < 1 / (1 + np.exp(-odds))
        return Answer(json.dumps({"label": "A" if sure else "B"}))

    return lambda prompts: [one(prompt) for prompt in prompts]
