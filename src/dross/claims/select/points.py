"""POINTS: low perplexity keeps real sentences, and a greedy soup of fine-tunes is as good as the best of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import paragraphs
from dross.claims._training import mean, over_seeds, trained
from dross.core.dataset import Dataset
from dross.core.results import Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.trained import Trained
from dross.models.weight_soup import soup
from dross.select.points import Points
from dross.testing.images import Exam, digit_pixels, pixel_dataset
from dross.train.cross_entropy import CrossEntropy

SENTENCES, JUNK, SHARE = 400, 600, 0.2
TUNES, ROWS, OWN, HELD = 5, 300, 600, 200
PAPER = "POINTS: Improving Your Vision-language Model with Affordable Strategies"
Rng = np.random.Generator


@claim(method="points", paper=PAPER, says="of captions filtered by perplexity the least surprising fifth is good")
def low_perplexity_keeps_real_sentences(budget: Budget) -> Evidence:
    """400 paragraphs of prose from documentation among 600 pieces of junk of four kinds; all others are the reference.

    Junk is garbled letters, words in random order, lists of keywords, and menus of web pages.
    """

    def one(seed: int) -> dict[str, float]:
        data, kind = mixed(seed)
        found = Points(share=SHARE, seed=seed).run(data, Signals(data))
        assert isinstance(found, Selection)
        kept = kind[found.rows]
        shares = {f"{name} kept, %": float(100 * (kept == i + 1).mean()) for i, name in enumerate(KINDS)}
        return {
            "junk among the texts, %": 100 * JUNK / (JUNK + SENTENCES),
            "junk kept, %": sum(shares.values()),
            **shares,
        }

    measured = over_seeds(budget, one)
    return Evidence(measured, mean(measured["junk kept, %"]) < 5, over=budget.seeds)


@claim(
    method="points", paper=PAPER, says="weights of models tuned on different sets average to one no worse than the best"
)
def a_greedy_soup_is_no_worse_than_the_best_fine_tune(budget: Budget) -> Evidence:
    """A network that learnt 300 digits is tuned further on five sets of 300 others, at five rates.

    200 other digits choose: the best single one, and the members of the soup. Both are judged on the rest.
    """

    def one(seed: int) -> dict[str, float]:
        models, held, test = tuned(seed)
        mixed = soup(models, held)
        best = max(models, key=lambda model: model.score(held))
        return {
            "accuracy of the best single one": 100 * best.score(test),
            "points gained by the soup": 100 * (mixed.score(test) - best.score(test)),
            "points gained where it was chosen": 100 * (mixed.score(held) - best.score(held)),
            "members": float(len(mixed.summary["soup"])),
        }

    measured = over_seeds(budget, one)
    holds = (
        mean(measured["points gained by the soup"]) >= 0 and mean(measured["points gained where it was chosen"]) >= 0
    )
    return Evidence(measured, holds, over=budget.seeds)


# ---- texts -------------------------------------------------------------------------------------------------------


def _garbled(words: list[str], rng: Rng) -> list[str]:
    return ["".join(rng.permutation(list(word))) for word in words]


def _shuffled(words: list[str], rng: Rng) -> list[str]:
    return [str(word) for word in rng.permutation(words)]


def _keywords(words: list[str], rng: Rng) -> list[str]:
    return [str(word).strip(".,()`'\"").lower() for word in rng.choice(sorted(set(words)), len(words))]


def _menu(words: list[str], rng: Rng) -> list[str]:
    entries = (
        "Home",
        "About us",
        "Contact",
        "Login",
        "Sitemap",
        "Cookies",
        "Next >>",
        "<< Back",
        "Share",
        "Top 10",
        "Sale!",
    )
    return [str(entry) for entry in rng.choice(entries, max(5, len(words) // 2))]


KINDS: dict[str, Callable[[list[str], Rng], list[str]]] = {
    "garbled letters": _garbled, "shuffled words": _shuffled, "keywords": _keywords, "menus": _menu,
}  # fmt: skip


@cache
def prose() -> tuple[str, ...]:
    """Paragraphs that are sentences: no examples, tables or lists of names, and at least 85 % letters and spaces."""
    fit = (text for text in paragraphs() if ">>>" not in text and text.rstrip().endswith((".", ":", ")")))
    return tuple(text for text in fit if sum(c.isalpha() or c.isspace() for c in text) >= 0.85 * len(text))


def mixed(seed: int) -> tuple[Dataset, np.ndarray]:
    """Sentences and junk, then the reference as validation part; and the kind of each row, 0 for real text."""
    rng = np.random.default_rng((seed, 8))
    found = prose()
    real = [found[i] for i in rng.permutation(len(found))]
    pool, reference = real[: SENTENCES + JUNK], real[SENTENCES + JUNK :]
    kind = np.concatenate([np.zeros(SENTENCES, int), 1 + np.arange(JUNK) % len(KINDS)])
    spoil = list(KINDS.values())
    texts = [" ".join(spoil[k - 1](text.split(), rng)) if k else text for text, k in zip(pool, kind, strict=True)]
    table = pa.table({"text": texts + reference, "part": ["train"] * len(pool) + ["validation"] * len(reference)})
    data = Dataset(table, {Role.TEXT: ["text"], Role.SPLIT: ["part"]})
    return data, np.concatenate([kind, np.zeros(len(reference), int)])


# ---- models ------------------------------------------------------------------------------------------------------


def tuned(seed: int) -> tuple[list[Trained], Dataset, Dataset]:
    """Fine-tunes of one network, rows to choose by, and rows to judge by."""
    from dataclasses import replace

    import torch

    from dross.models.lesson import lesson_of
    from dross.models.loop import Objective

    X, y = digit_pixels()
    rng = np.random.default_rng((seed, 9))
    first, held, own, test = np.split(rng.permutation(len(X)), np.cumsum([ROWS, HELD, OWN]))
    start_on = pixel_dataset(X[first], y[first])
    base = trained(CrossEntropy(epochs=15, seed=seed), Exam(start_on, y[first], start_on))
    models = []
    for i in range(TUNES):
        rows = rng.permutation(own)[:ROWS]
        method = CrossEntropy(epochs=15, learning_rate=(5e-4, 1e-3, 2e-3, 3e-3, 1e-3)[i], seed=seed + i)
        data = pixel_dataset(X[rows], y[rows])
        lesson = lesson_of(method, data, Signals(data))
        x = torch.from_numpy(base.encoder(data))
        nets = {"net": base.make()}
        nets["net"].load_state_dict(base.nets["net"].state_dict())
        run = lesson.fit(Objective(), nets=nets, examples=replace(lesson.examples, x=x))
        models.append(replace(base, nets={"net": run.net}))
    return models, pixel_dataset(X[held], y[held]), pixel_dataset(X[test], y[test])
