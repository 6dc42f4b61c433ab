"""Black-box prompts: words and examples learnt from answers alone label better than the plain question."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, _scripted, claim, interval
from dross.claims.label._docstrings import topics
from dross.core.dataset import Dataset
from dross.core.results import Labels
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.black_box_prompts import WORDS, BlackBoxPrompts
from dross.llm.asking import Models
from dross.llm.prompt import Answer, Complete, Prompt, Token

PAPER = "On Unsupervised Prompt Learning for Classification with Black-box Language Models"
CLASSES, PER_CLASS, KNOWN = 3, 60, 40
GOOD, BAD = 6, 6
"""Words of the vocabulary that steady the model, and that distract it; the others do nothing."""
UNSTEADY, STEADIER, LIKENESS = 3.0, 0.6, 6.0
"""The noise on the scores without a word; its factor for each good word; the pull of an example like the text."""


@claim(
    method="black-box-prompts",
    paper=PAPER,
    says="prompt words and pseudo-labels learnt from a black-box model's answers beat its zero-shot labels",
    fast=False,
)
def a_prompt_learnt_without_labels_beats_the_plain_question(budget: Budget) -> Evidence:
    """Docstrings of three modules, labelled by a simulated classifier that can only be asked.

    Its scores are a naive Bayes classifier's, plus noise that some words of a prompt lessen and others raise, and which
    are which it does not tell; examples pull texts like them to their label, right or wrong. Nothing else is known to
    the method: no label, no gradient. Beside it: the prompt without examples, and the examples
    beside words that do nothing.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, value in _one(seed).items():
            kept.setdefault(name, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    gain = measured["points gained over the zero-shot labels"]
    holds = gain[0] >= 5 and gain[1] > 0
    return Evidence(
        measured, holds, over=budget.seeds, note="The classifier is simulated: what its prompt does is set."
    )


def _one(seed: int) -> dict[str, float]:
    data, model, good, neutral = setting(seed)
    full = _labelled(data, model, seed)
    bare = _labelled(data, model, seed, shots=0)
    idle = _labelled(data, model, seed, vocabulary=neutral)
    before, after = (100 * full.summary[name]["accuracy"] for name in ("measured_before", "measured"))
    return {
        "zero-shot": before,
        "learnt prompt and examples": after,
        "learnt prompt alone": 100 * bare.summary["measured"]["accuracy"],
        "words that do nothing and examples": 100 * idle.summary["measured"]["accuracy"],
        "helpful words among the four": float(sum(word in good for word in full.summary["prompt"])),
        "points gained over the zero-shot labels": after - before,
        "questions asked, thousands": full.summary["models"][0]["asked"] / 1000,
    }


def _labelled(data: Dataset, model: Complete, seed: int, **fields: Any) -> Labels:
    method = BlackBoxPrompts(Models(functions=(model,)), classes=tuple(data.classes), seed=seed, **fields)
    found = method.run(data, Signals(data))
    assert isinstance(found, Labels)
    return found


def setting(seed: int) -> tuple[Dataset, Complete, set[str], tuple[str, ...]]:
    """Texts with their true classes, the model, the words that help it, and some that do nothing."""
    rng = np.random.default_rng(seed)
    known = topics(PER_CLASS + KNOWN)
    names = [str(name) for name in rng.permutation(sorted(known))[:CLASSES]]
    drawn = {name: rng.permutation(np.array(known[name][1], object))[: PER_CLASS + KNOWN] for name in names}
    taught = [(str(text), c) for c, name in enumerate(names) for text in drawn[name][:KNOWN]]
    rows = [(str(text), name) for name in names for text in drawn[name][KNOWN:]]
    words = rng.permutation(WORDS).tolist()
    table = pa.table({"text": [text for text, _ in rows], "label": [name for _, name in rows]})
    data = Dataset(table, {Role.TEXT: ["text"], Role.LABEL: ["label"]})
    model = simulated(taught, names, set(words[:GOOD]), set(words[GOOD : GOOD + BAD]), [text for text, _ in rows])
    return data, model, set(words[:GOOD]), tuple(words[GOOD + BAD :])


def simulated(
    taught: list[tuple[str, int]], names: list[str], good: set[str], bad: set[str], texts: list[str]
) -> Complete:
    """A classifier behind prompts, which tells the log-probabilities of its answers' tokens."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.naive_bayes import MultinomialNB

    weigh = TfidfVectorizer(min_df=2, sublinear_tf=True)
    labels: npt.NDArray[np.int64] = np.array([c for _, c in taught])
    model = MultinomialNB(alpha=0.3).fit(weigh.fit_transform([text for text, _ in taught]), labels)
    place = {text: i for i, text in enumerate(texts)}
    X: Any = weigh.transform(texts)
    scores = model.predict_joint_log_proba(X)
    scores = (scores - scores.mean(axis=1, keepdims=True)) / 2
    like = (X @ X.T).toarray()

    def one(prompt: Prompt) -> Answer:
        first = _scripted.rules(prompt).split("\n")[0].split()
        words = first if set(first) <= set(WORDS) else []
        said = _scripted.last(prompt)
        shown = [place[text] for text in _scripted.data(said)]
        told = [json.loads(line)["label"] for line in said.splitlines() if line.startswith('{"label"')]
        steady = sum(word in good for word in words) - sum(word in bad for word in words)
        noise = _scripted.whim(texts[shown[-1]], *sorted(words)).normal(size=len(names))
        z = scores[shown[-1]] + UNSTEADY * STEADIER**steady * noise
        for i, label in zip(shown[:-1], told, strict=True):
            z[names.index(label)] += LIKENESS * like[i, shown[-1]]
        logprobs = z - np.logaddexp.reduce(z)
        best = int(z.argmax())
        others = tuple((name, float(p)) for name, p in zip(names, logprobs, strict=True))
        tokens = (Token('{"label": "', 0.0), Token(names[best], float(logprobs[best]), others), Token('"}', 0.0))
        return Answer("".join(t.text for t in tokens), tokens)

    return lambda prompts: [one(prompt) for prompt in prompts]
