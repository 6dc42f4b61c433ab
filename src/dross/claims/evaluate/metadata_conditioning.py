"""Metadata conditioning: metadata before texts of a two-level grammar hurts short prompts and helps long ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.evaluate.metadata_conditioning import MetadataConditioning, crossover

TEXTS, JUDGED = 1000, 1500
SETS, RULES, SYMBOLS, LETTERS, WIDTH, SENTENCES = 6, 2, 3, "abcd", 3, 5
LENGTHS = (0, 3, 6, 9, 18, 27, 36)
SHORT, LONG = (0, 3), (18, 27, 36)
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grammar:
    """A context-free grammar of two levels with six sets of rules on each; which two are in force is the metadata.

    Attributes
    ----------
    top
        The symbols that a sentence may stand for, shape (sets, rules, width).
    low
        The letters that a symbol may stand for, shape (sets, symbols, rules, width).
    """

    top: Codes
    low: Codes

    @classmethod
    def of(cls, seed: int) -> Grammar:
        """Random rules."""
        rng = np.random.default_rng((seed, 11))
        top = rng.integers(0, SYMBOLS, (SETS, RULES, WIDTH))
        return cls(top, rng.integers(0, len(LETTERS), (SETS, SYMBOLS, RULES, WIDTH)))

    def sentence(self, sets: tuple[int, int], rng: np.random.Generator) -> str:
        """A sentence by two sets of rules: nine letters."""
        symbols = self.top[sets[0], rng.integers(RULES)]
        parts = [self.low[sets[1], symbol, rng.integers(RULES)] for symbol in symbols]
        return "".join(LETTERS[letter] for letter in np.concatenate(parts).tolist())

    def texts(self, seed: int) -> Dataset:
        """Texts of five sentences by the same rules; the domain names the two sets."""
        rng = np.random.default_rng((seed, 12))
        rows = []
        for i in range(TEXTS + JUDGED):
            a, b = rng.integers(SETS, size=2).tolist()
            text = "".join(self.sentence((a, b), rng) for _ in range(SENTENCES))
            rows.append((text, f"{'pqrstu'[a]}{'PQRSTU'[b]}", "train" if i < TEXTS else "validation"))
        columns = dict(zip(("text", "domain", "split"), map(list, zip(*rows, strict=True)), strict=True))
        return Dataset(pa.table(columns), {Role.TEXT: ["text"], Role.DOMAIN: ["domain"], Role.SPLIT: ["split"]})


@claim(
    method="metadata-conditioning",
    paper="When Does Metadata Conditioning (NOT) Work for Language Model Pre-Training? A Study with Context-Free "
    "Grammars",
    says="metadata helps when the prompt is long enough to infer latent semantics and hurts otherwise",
    fast=False,
)
def prompts_cross_over(budget: Budget) -> Evidence:
    """1000 texts of five sentences by a two-level grammar, one letter a token; 500 steps with and without metadata.

    Half the reads of the one model begin with the names of the two sets of rules in force. Both read 1500 new texts
    without them. Short prompts hold fewer than 6 letters, long ones at least two sentences. A new grammar for each
    seed. Settings were chosen on other seeds (100 to 104).
    """
    found: dict[str, list[float]] = {}
    for seed in budget.seeds:
        method = MetadataConditioning(
            lengths=LENGTHS, vocabulary=258, steps=500, context=SENTENCES * WIDTH**2 + 4, seed=seed
        )
        parts = method.parts(Grammar.of(seed).texts(seed))
        assert not isinstance(parts, NotApplicable)
        tokenizer, learnt, held = parts
        changes = method.changes(*method.pair(tokenizer, learnt, seed), learnt, held)
        for name, value in changes.items():
            found.setdefault(name, []).append(value)
        for name, lengths in (("short", SHORT), ("long", LONG)):
            mean = float(np.mean([changes[f"loss change after {length}"] for length in lengths]))
            found.setdefault(f"loss change in bits, {name} prompts", []).append(mean)
    pairs = zip(found["loss change in bits, short prompts"], found["loss change in bits, long prompts"], strict=True)
    found["share of seeds where long prompts fare better than short ones"] = [float(s > n) for s, n in pairs]
    measured = {name: interval(values) for name, values in found.items()}
    crossed = crossover(LENGTHS, [measured[f"loss change after {length}"][0] for length in LENGTHS])
    short, long = (measured[f"loss change in bits, {name} prompts"][0] for name in ("short", "long"))
    holds = short > 0 and long <= 0 and crossed is not None and crossed > 0
    told = "no length" if crossed is None else f"a prompt of {crossed} letters"
    note = (
        f"On the mean of the seeds metadata helps from {told} on. The effect is not a steady one: of the five grammars "
        "that the settings were chosen on, three showed a crossover, and two lost by metadata at all lengths, less at "
        "long ones. With 8000 texts of one sentence both models ended alike, or metadata sped up or slowed down "
        "learning at all lengths."
    )
    return Evidence(measured, holds, over=budget.seeds, note=note)
