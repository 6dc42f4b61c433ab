"""Self-supervised linking: terms cut down to a word that many share are linked by their context, without labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.claims.label._docstrings import SCIENTIFIC, docstrings
from dross.core.dataset import Dataset
from dross.core.results import Labels
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.self_supervised_linking import MARKS, SelfSupervisedLinking
from dross.models.mentions import Lexicon, words_of

PAPER = "Knowledge-Rich Self-Supervision for Biomedical Entity Linking"
SHARED = {
    "matrix": "sparse covariance distance confusion gram hessian jacobian design identity connectivity rotation",
    "function": "objective decision transfer distribution density bessel loss window cost survival weight",
    "distribution": "normal null hypergeometric uniform multinomial gamma empirical",
    "value": "singular missing target fill absolute initial",
    "error": "squared absolute standard relative",
    "parameter": "shape scale regularization location",
    "array": "masked sparse structured coefficient",
    "regression": "logistic ridge linear",
    "variable": "random target decision independent",
    "classification": "binary multilabel multiclass",
}
PLURALS = {"matrix": "matrices"}
WIDTH = 60
MOST = 1500


@claim(
    method="self-supervised-linking",
    paper=PAPER,
    says="contexts learnt without labels resolve ambiguous names better than name match and prior",
    fast=False,
)
def shared_words_are_linked_by_their_context(budget: Budget) -> Evidence:
    """Terms such as "covariance matrix" in scientific docstrings; the dictionary gives each its last word as an alias.

    In a fifth of the modules every such term is cut down to the shared word ("matrix"), wherever it stands, and the
    method has to say which of up to eleven it was; the terms of the other modules are its self-supervision. Baselines:
    name match (all that share the word are equally likely: the expected accuracy) and the prior (the commonest in the
    other modules). Also measured: the same prototypes before contrastive training.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, value in _one(seed).items():
            kept.setdefault(name, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    for name in ("name match", "prior"):
        measured[f"points gained over {name}"] = interval(np.array(kept["accuracy"]) - np.array(kept[name]))
    holds = all(measured[f"points gained over {name}"][1] >= 10 for name in ("name match", "prior"))
    note = (
        "The encoder is linear on words. The ambiguity is made by cutting down real terms, so that the truth is known."
    )
    return Evidence(measured, holds, over=budget.seeds, note=note)


def entities() -> dict[str, tuple[str, ...]]:
    """Each term with its aliases: its plural and, shared with others, its last word."""
    return {
        f"{first} {last}": (f"{first} {PLURALS.get(last, last + 's')}", last, PLURALS.get(last, last + "s"))
        for last, firsts in SHARED.items()
        for first in firsts.split()
    }


def questions(texts: list[str], lexicon: Lexicon) -> tuple[list[str], list[int]]:
    """Stretches of text around each term, all terms in them cut down to their last word; and the term asked for."""
    asked, truth = [], []
    for text in texts:
        words = words_of(text)
        found = [m for m in lexicon.find(words) if len(m[2]) == 1]
        for start, stop, meant in found:
            gone = {m[0] for m in found}
            before = " ".join(words[i] for i in range(max(0, start - WIDTH), start) if i not in gone)
            after = " ".join(words[i] for i in range(stop, min(len(words), stop + WIDTH)) if i not in gone)
            asked.append(f"{before} {MARKS[0]}{words[stop - 1]}{MARKS[1]} {after}")
            truth.append(meant[0])
    return asked, truth


def _one(seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    docs = [doc for package in SCIENTIFIC for doc in docstrings(package)]
    modules = sorted({doc.module for doc in docs})
    apart = set(rng.permutation(modules)[: len(modules) // 5].tolist())
    lexicon = Lexicon.of(entities())
    asked, truth = questions([d.text for d in docs if d.module in apart], lexicon)
    some = rng.permutation(len(asked))[:MOST]
    told: npt.NDArray[np.int64] = np.array(truth)[some]
    train = [d.text for d in docs if d.module not in apart]
    texts = [*train, *(asked[i] for i in some)]
    data = Dataset(pa.table({"text": texts}), {Role.TEXT: ["text"]})
    found = SelfSupervisedLinking(tuple(entities().items()), seed=seed).run(data, Signals(data))
    assert isinstance(found, Labels)
    codes = found.codes[len(train) :]
    counts = np.zeros(len(lexicon.entities))
    for text in train:
        np.add.at(counts, [m[2][0] for m in lexicon.find(words_of(text)) if len(m[2]) == 1], 1)
    rivals = lexicon.rivals()
    prior = np.array([rivals[t][counts[rivals[t]].argmax()] for t in told])
    return {
        "accuracy": 100 * float((codes == told).mean()),
        "name match": 100 * float(np.mean([1 / len(rivals[t]) for t in told])),
        "prior": 100 * float((prior == told).mean()),
        "left-out plain mentions": 100 * found.summary["accuracy"],
        "left-out plain mentions, before contrastive training": 100
        * found.summary["accuracy_before_contrastive_training"],
        "questions": float(len(told)),
    }
