"""Instruction mining: a rule fitted to fine-tunings picks better rows, also of a pool it was not fitted on."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim
from dross.claims._training import Measured, mean, over_seeds, surely
from dross.claims.label._docstrings import docstrings
from dross.claims.select._degraded import DEFECTS, SOURCES
from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.language_rows import written
from dross.select.instruction_mining import InstructionMining

SEEN, UNSEEN, TRUSTED, TEST, SPOILED, KEEP = 1000, 1000, 200, 400, 0.5, 400
STEPS, RUNS, DRAWS = 100, 24, 3
Rows = npt.NDArray[np.int64]


@claim(
    method="instruction-mining",
    paper="Instruction Mining: High-Quality Instruction Data Selection for Large Language Models",
    says="a linear rule from indicators to the loss after fine-tuning selects data that models do better on",
    fast=False,
)
def the_rule_picks_better_rows_of_an_unseen_pool(budget: Budget) -> Evidence:
    """Questions what a function does, with its documentation as the answer; half of the answers are spoiled.

    An answer is garbled, shuffled, padded with boilerplate, says one stretch again and again, or belongs to another
    question. The rule is fitted to 24 fine-tunings on samples of 1,000 rows, each judged on 200 clean rows, and scores
    1,000 others. The 400 best of them, and as many random ones (three times), fine-tune the small model for as many
    updates; both are judged on 400 further clean rows. What 400 random sound rows reach is measured beside. Settings
    were chosen on other seeds (100 to 103): of the 200 best as many were spoiled, and too much alike to gain by them.
    """
    measured = over_seeds(budget, _one)
    return Evidence(measured, _holds(measured), over=budget.seeds)


def _holds(measured: Measured) -> bool:
    lower = surely(measured["loss below that of random rows"]) > 0
    return lower and mean(measured["share of seeds with a lower loss"]) > 0.5


@dataclass(frozen=True)
class Exam:
    """Rows with a trusted part; which rows of the pool are sound; clean test rows."""

    data: Dataset
    sound: npt.NDArray[np.bool_]
    test: Dataset


def exam(seed: int, pool: int = SEEN + UNSEEN, trusted: int = TRUSTED, test: int = TEST) -> Exam:
    """Questions and answers, of which half are spoiled; the trusted part and the test rows are not."""
    rng = np.random.default_rng((seed, 47))
    described = (d for source in SOURCES for d in docstrings(source))
    found = [(d.name, _first(d.text)) for d in described if re.fullmatch(r"[A-Za-z]\w{2,}", d.name)]
    pairs = list(dict.fromkeys((f"What does {name} do?", text) for name, text in found if len(text) >= 60))
    order = rng.permutation(len(pairs))[: pool + trusted + test]
    asked, told = [pairs[i][0] for i in order], [pairs[i][1] for i in order]
    sound = rng.random(pool) >= SPOILED
    spoiled = list(told)
    for turn, i in enumerate(np.flatnonzero(~sound).tolist()):
        how = turn % (len(DEFECTS) + 1)
        if how == len(DEFECTS):
            spoiled[i] = told[(i + 1) % pool]
        else:
            spoiled[i] = " ".join(DEFECTS[how](told[i].split(), rng.uniform(0.3, 1.0), rng))
    table = pa.table({"prompt": asked, "response": spoiled, "split": ["train"] * pool + ["target"] * (trusted + test)})
    roles = {Role.PROMPT: ["prompt"], Role.RESPONSE: ["response"], Role.SPLIT: ["split"]}
    last = Dataset(table.slice(pool + trusted), {Role.PROMPT: ["prompt"], Role.RESPONSE: ["response"]})
    return Exam(Dataset(table.slice(0, pool + trusted), roles), sound, last)


def _first(text: str) -> str:
    return " ".join(re.split(r"\n\s*\n", text)[0].split())


def _one(seed: int) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    made = exam(seed)
    method = InstructionMining(fit_rows=SEEN, runs=RUNS, seed=seed, device="cpu")
    rows = written(made.data, seed=seed)
    rule, indicators, facts = method.mined(made.data, rows, Signals(made.data))
    expected, unseen = rule.expected(indicators)[SEEN:], rows.pool[SEEN:]
    picked = unseen[np.argsort(expected, kind="stable")[:KEEP]]
    rng = np.random.default_rng((seed, 48))
    random = [rng.choice(unseen, KEEP, replace=False) for _ in range(DRAWS)]
    base = method.base(rows)
    test = written(made.test, seed=seed)
    windows = test.windows(base.tokenizer, test.pool, method.context)

    def loss(which: Rows) -> float:
        nats, counts = method.tuned(base, rows, which, STEPS, seed).losses(windows)
        return float(nats.sum() / counts.sum())

    sound = made.sound[unseen]
    clean = rng.choice(unseen[sound], KEEP, replace=False)
    chosen, plain, best = loss(picked), float(np.mean([loss(which) for which in random])), loss(clean)
    return {
        "loss of random rows": plain,
        "loss below that of random rows": plain - chosen,
        "share of seeds with a lower loss": float(chosen < plain),
        "loss below that of random sound rows": best - chosen,
        "spoiled among the picked, %": float(100 * (~made.sound[picked]).mean()),
        "AUROC of the rule for sound rows": float(roc_auc_score(sound, -expected)),
        "R² of the rule": rule.r_squared,
        "indicators in the rule": float((rule.coefficients[1:] != 0).sum()),
        "loss of the worst fine-tuning less that of the best": facts["loss_of_the_worst"] - facts["loss_of_the_best"],
    }
