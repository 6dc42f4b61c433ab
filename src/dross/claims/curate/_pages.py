"""Pages of real prose, and what the claims of the filters share: plant defects of each kind, see what is dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, interval
from dross.claims._texts import paragraphs
from dross.core.dataset import Dataset
from dross.core.results import Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.step import RowStep

PER_PAGE, SOUND, EACH = 6, 60, 12
Spoil = Callable[[str, np.random.Generator], str]


@cache
def prose(without: str = "{}=<>|\\()[]_`*'\"/") -> tuple[str, ...]:
    """The paragraphs of the standard library's documentation that end in a full stop and have no code in them."""
    return tuple(text for text in paragraphs() if text.endswith(".") and not set(text) & set(without))


def pages(count: int, seed: int, found: tuple[str, ...] = ()) -> list[str]:
    """Pages of six real paragraphs each, of prose when none are given, drawn without repeats as far as they reach."""
    found = found or prose()
    order = np.random.default_rng((seed, 43)).permutation(len(found))
    return ["\n".join(found[order[(PER_PAGE * i + t) % len(found)]] for t in range(PER_PAGE)) for i in range(count)]


def kept_by(step: RowStep, texts: list[str]) -> np.ndarray:
    """Which texts a step keeps, shape (n,)."""
    data = Dataset(pa.table({"text": texts}), {Role.TEXT: ["text"]})
    found = step.run(data, Signals(data))
    assert isinstance(found, Selection)
    return np.isin(np.arange(len(texts)), found.rows)


def odd_lengths(texts: list[str]) -> np.ndarray:
    """Which texts are longer or shorter than the mean by 3 standard deviations: what a filter must be better than."""
    sizes = np.array([len(text) for text in texts])
    return np.asarray(np.abs(sizes - sizes.mean()) > 3 * sizes.std())


def planted(step: RowStep, spoils: Mapping[str, Spoil], budget: Budget) -> Evidence:
    """Spoil twelve pages in each way among sixty sound ones; holds when 95 % of each kind go and of the sound stay."""
    measured: dict[str, list[float]] = {}
    for seed in budget.seeds:
        rng = np.random.default_rng((seed, 44))
        drawn = pages(SOUND + EACH * len(spoils), seed)
        texts, kinds = drawn[:SOUND], [""] * SOUND
        for i, (kind, spoil) in enumerate(spoils.items()):
            begun = SOUND + EACH * i
            texts += [spoil(page, rng) for page in drawn[begun : begun + EACH]]
            kinds += [kind] * EACH
        kept, which = kept_by(step, texts), np.array(kinds)
        for kind in spoils:
            measured.setdefault(f"dropped, {kind}", []).append(float((~kept)[which == kind].mean()))
        measured.setdefault("kept, real prose", []).append(float(kept[which == ""].mean()))
        measured.setdefault("dropped by length alone", []).append(float(odd_lengths(texts)[which != ""].mean()))
    named = {name: float(np.mean(values)) for name, values in measured.items()}
    well = all(value >= 0.95 for name, value in named.items() if name != "dropped by length alone")
    better = min(v for k, v in named.items() if k.startswith("dropped,")) > named["dropped by length alone"]
    shown = {name: interval(values) for name, values in measured.items()}
    return Evidence(shown, holds=well and better, over=budget.seeds)
