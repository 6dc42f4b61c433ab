"""CritiQ: criteria that evolve on thirty pairs agree with new ones, and choose text that teaches more."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dross.claims import Budget, Evidence, claim
from dross.claims._training import Measured, mean, over_seeds, surely
from dross.claims.select._critics import manager, worker
from dross.claims.select._degraded import Corpus, corpus
from dross.claims.select._reading import bits, learnt, random_rows
from dross.core.results import Selection
from dross.core.signal import Signals
from dross.llm.asking import Asker, Models
from dross.llm.comparing import Criterion
from dross.select.critiq import Critiq, majority, voted

ROWS, HELD_OUT, GIVEN, NEW, JUDGMENTS, KEEP = 1600, 200, 30, 200, 800, 0.3
REFERENCE = 300
"""Clean texts that the model of the baseline learns from."""
ROUNDS, HIGH = 5, 0.85
LEAST = 0.2
"""How far apart two texts must be for a person to say which is better."""
KNOWN = (("length", "The text has good length."), ("tone", "The text has good tone."))
Flags = npt.NDArray[np.bool_]


@claim(
    method="critiq",
    paper="CritiQ: Mining Data Quality Criteria from Human Preferences",
    says="about 30 human pairs give criteria of high held-out agreement; the text they select teaches more than random",
    fast=False,
)
def criteria_found_in_thirty_pairs_agree_with_new_ones(budget: Budget) -> Evidence:
    """1,600 pieces of documentation, 80 % of them degraded in one of four ways; 30 pairs for which is better.

    A simulated manager proposes mostly vague criteria and learns of defects from mistakes that it is shown; simulated
    workers see the defects that a description names, err in one case of twenty, and judge vague criteria by whim.
    Judged on 200 other pairs, undecided ones counting half: the criteria that evolved, those first proposed, and a
    ranking by the perplexity of a small language model trained on clean text of the same sources. A language model of
    one layer reads the best-rated 30 % or a random 30 % for 300 updates. Settings, those of the simulated workers
    included, were chosen on other seeds (100 to 103).
    """
    measured = over_seeds(budget, _one)
    note = "Simulated manager and workers: what they can see and how often they err is set, not found."
    return Evidence(measured, _holds(measured), over=budget.seeds, note=note)


def _holds(measured: Measured) -> bool:
    agrees = mean(measured["agreement on new pairs"]) >= 0.85
    better = surely(measured["gained over perplexity"]) > 0
    return agrees and better and surely(measured["bits gained over random"]) > 0


def _one(seed: int) -> dict[str, float]:
    made = corpus(seed, ROWS, HELD_OUT + REFERENCE)
    reference, held_out = made.held_out[:REFERENCE], made.held_out[REFERENCE:]
    made = Corpus(made.data, made.quality, made.source, held_out)
    pairs, first_better = judged(made, GIVEN + NEW, seed)
    given = tuple(pair if yes else pair[::-1] for pair, yes in zip(pairs[:GIVEN], first_better, strict=False))
    new, truth = pairs[GIVEN:], first_better[GIVEN:]
    boss, hand = manager(str(seed)), worker(str(seed))
    method = Critiq(
        Models(functions=(boss, hand)),
        given,
        KNOWN,
        keep=KEEP,
        judgments=JUDGMENTS,
        rounds=ROUNDS,
        high=HIGH,
        seed=seed,
    )
    found = method.run(made.data, Signals(made.data))
    assert isinstance(found, Selection), found
    first = Critiq(Models(functions=(boss, hand)), given, KNOWN, rounds=0, low=0.0, high=0.01)
    proposed, _ = first.find(Asker("m", boss), [Asker("w", hand)], Signals(made.data))
    evolved = [Criterion(c["name"], c["description"]) for c in found.summary["criteria"]]
    agreed = {name: _agreement(hand, c, new, truth) for name, c in (("evolved", evolved), ("proposed", proposed))}
    model = learnt(reference, made, seed)
    losses = [model.text_losses([one, other]) for one, other in new]
    plain = float(np.mean([(one < other) == yes for (one, other), yes in zip(losses, truth, strict=True)]))
    random = bits(made, random_rows(made, KEEP, seed), seed)
    return {
        "agreement on new pairs": agreed["evolved"],
        "agreement of the criteria first proposed": agreed["proposed"],
        "agreement of perplexity": plain,
        "gained over perplexity": agreed["evolved"] - plain,
        "criteria found": float(len(evolved)),
        "accuracy of the rater on held-out judgments": found.summary["accuracy"][0],
        "quality of the chosen less all": float(made.quality[found.rows].mean() - made.quality.mean()),
        "bits a byte, random": random,
        "bits gained over random": random - bits(made, found.rows, seed),
    }


def _agreement(hand: object, criteria: list[Criterion], pairs: list[tuple[str, str]], truth: Flags) -> float:
    said = majority(voted([Asker("w", hand)], criteria, pairs)[0])  # type: ignore[arg-type]
    return float(np.where(truth, said, 1 - said).mean())


def judged(made: Corpus, count: int, seed: int) -> tuple[list[tuple[str, str]], Flags]:
    """Pairs of distinct rows that a person tells apart, and whether the first is the better one, shape (count,)."""
    order = np.random.default_rng((seed, 23)).permutation(len(made.quality))
    sides = order[: len(order) // 2 * 2].reshape(-1, 2)
    sides = sides[np.abs(np.diff(made.quality[sides], axis=1)[:, 0]) >= LEAST][:count]
    texts = made.texts
    return [(texts[i], texts[j]) for i, j in sides.tolist()], made.quality[sides[:, 0]] > made.quality[sides[:, 1]]
