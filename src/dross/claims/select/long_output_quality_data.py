"""Long-output quality data: a tenth of the long answers, chosen by length, teaches as much as all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.long_output_quality_data import LongOutputQualityData, length_of, length_scores

if TYPE_CHECKING:
    from dross.models.language_model import LanguageModel

WORDS = ("ant", "bee", "cow", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay", "kite", "lynx", "mole", "newt", "owl")
SHORT, LONGEST = 4, 12
CHAT, LONG, JUDGED = 1000, 1000, 48
NOISY = 0.6
CONTEXT, BATCH, STEPS, RATE = 72, 16, 300, 3e-3
LEADS = ("exact length", "length score")


def answer(length: int, rng: np.random.Generator) -> str:
    """A numbered list of so many animals."""
    return "".join(f"\n{i + 1}. {WORDS[rng.integers(len(WORDS))]}" for i in range(length))


def request(length: int) -> str:
    """What asks for it."""
    return f"List {length} items:"


def chat(rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """What the chat model was made of: short lists, each as long as asked."""
    lengths = rng.integers(1, SHORT + 1, CHAT).tolist()
    return [request(n) for n in lengths], [answer(n, rng) for n in lengths]


def long_answers(rng: np.random.Generator) -> Dataset:
    """Long lists as a pipeline writes them: 60 % are shorter or longer than asked, by up to half."""
    asked = rng.integers(SHORT + 1, LONGEST + 1, LONG)
    off = np.maximum(1, np.rint(rng.uniform(0.5, 1.5, LONG) * asked)).astype(np.int64)
    given = np.where(rng.random(LONG) < NOISY, off, asked).tolist()
    table = pa.table({"q": [request(n) for n in asked.tolist()], "a": [answer(n, rng) for n in given]})
    return Dataset(table, {Role.PROMPT: ["q"], Role.RESPONSE: ["a"]})


def follows(model: LanguageModel, seed: int) -> tuple[float, float]:
    """How well the model's lists are as long as asked: exactly, in per cent, and by the mean length score."""
    asked = np.random.default_rng((seed, 3)).integers(SHORT + 1, LONGEST + 1, JUDGED)
    written = model.generate([request(n) for n in asked.tolist()], CONTEXT)
    given = np.array([length_of(text, "items") for text in written])
    return float(100 * (given == asked).mean()), float(length_scores(asked, given).mean())


class Tuning:
    """A chat model that writes short lists, and what tuning with long ones makes of it."""

    def __init__(self, seed: int) -> None:
        from dross.models.language_model import tokenizer_of
        from dross.models.llama import Size

        self.seed, rng = seed, np.random.default_rng((seed, 2))
        prompts, responses = chat(rng)
        self.data = long_answers(rng)
        long = self.data.table.to_pydict()
        self.prompts, self.responses = long["q"], long["a"]
        texts = [p + r for p, r in zip([*prompts, *self.prompts], [*responses, *self.responses], strict=True)]
        self.tokenizer = tokenizer_of(texts, 400)
        self.chat = self._trained(prompts, responses, size=Size(context=CONTEXT))

    def tuned(self, rows: Any, steps: int = STEPS) -> LanguageModel:
        """The chat model after so many steps on some of the long answers."""
        chosen = rows.tolist()
        prompts, responses = [self.prompts[i] for i in chosen], [self.responses[i] for i in chosen]
        return self._trained(prompts, responses, steps, start=self.chat)

    def _trained(self, prompts: list[str], responses: list[str], steps: int = STEPS, **more: Any) -> LanguageModel:
        from dross.models.language_model import encoded, passes, prompted, train_language_model

        ids = encoded(self.tokenizer, prompts), encoded(self.tokenizer, responses)
        plan = passes(len(prompts), steps, BATCH, self.seed)
        windows = prompted(*ids, CONTEXT)
        return train_language_model(windows, self.tokenizer, plan=plan, learning_rate=RATE, seed=self.seed, **more)


@claim(
    method="long-output-quality-data",
    paper="Minimum Tuning to Unlock Long Output from LLMs with High Quality Data as the Key",
    says="a small fraction of the data, of high quality, unlocks long output as well as the whole set",
    fast=False,
)
def a_tenth_is_enough(budget: Budget) -> Evidence:
    """A small chat model that lists up to 4 items is tuned to list 5 to 12, with 1000 answers of which 60 % are off.

    Over as many steps: all 1000, the 100 that are chosen, and 100 random ones. New prompts judge, by the exact length
    in per cent and by the length score of the paper. Settings were looked at on another seed (100).
    """
    found: dict[str, list[float]] = {}
    for seed in budget.seeds:
        tuning = Tuning(seed)
        chosen = LongOutputQualityData(long=0, most=LONG // 10, seed=seed).run(tuning.data, Signals(tuning.data))
        assert isinstance(chosen, Selection)
        random = np.random.default_rng((seed, 4)).permutation(LONG)[: LONG // 10]
        rows = {"all": np.arange(LONG), "a chosen tenth": chosen.rows, "a random tenth": random}
        scores = {name: follows(tuning.tuned(own), seed) for name, own in rows.items()}
        scores["the chat model itself"] = follows(tuning.chat, seed)
        for name, (exact, score) in scores.items():
            found.setdefault(f"exact length in %, {name}", []).append(exact)
            found.setdefault(f"length score, {name}", []).append(score)
        for i, kind in enumerate(LEADS):
            lead = scores["a chosen tenth"][i] - scores["all"][i]
            found.setdefault(f"points of {kind}, a chosen tenth over all", []).append(lead)
    measured = {name: interval(values) for name, values in found.items()}
    holds = all(measured[f"points of {kind}, a chosen tenth over all"][0] >= -1 for kind in LEADS)
    note = (
        "Judged by points of both: the whole set teaches roughly how long to write, but not exactly; the paper's "
        "comparison is at less compute for the small set, this one at as many steps for both."
    )
    return Evidence(measured, holds, over=budget.seeds, note=note)
