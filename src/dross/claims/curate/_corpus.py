"""What the claims of corpus steps share: real paragraphs, planted defects, and how a step tells them apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence
from dross.claims._training import over_seeds
from dross.core.step import Rows, Step, alone

Flags = npt.NDArray[np.bool_]


def passed(step: Step, texts: Sequence[str], **columns: Any) -> Rows:
    """What a step leaves of texts that are a whole corpus; the addresses of the rows are their positions."""
    rows = Rows(pa.table({"text": pa.array(texts, pa.large_string()), **columns}), "text")
    return alone(step, rows)[0]


def left(out: Path) -> list[dict[str, Any]]:
    """The rows of a curated corpus of JSON Lines."""
    rows: list[dict[str, Any]] = []
    for file in sorted(out.glob("part-*")):
        with pa.input_stream(str(file), compression="zstd") as stream:
            rows += [json.loads(line) for line in bytes(stream.read()).splitlines()]
    return rows


def told_apart(step: Step, texts: Sequence[str], planted: Flags) -> dict[str, float]:
    """Which share of planted defects a step drops, and which share of the rest it keeps, in per cent."""
    kept = np.isin(np.arange(len(texts)), passed(step, texts).addresses.astype(np.int64))
    return {
        "planted dropped, %": 100 * float(1 - kept[planted].mean()),
        "others kept, %": 100 * float(kept[~planted].mean()),
    }


def judged(
    budget: Budget, one: Callable[[int], Mapping[str, float]], least: Mapping[str, float], note: str = ""
) -> Evidence:
    """Evidence that holds when the mean of each named number reaches what it must."""
    measured = over_seeds(budget, one)
    holds = all(float(np.atleast_1d(measured[name])[0]) >= value for name, value in least.items())
    return Evidence(measured, holds, over=budget.seeds, note=note)


BOTH = {"planted dropped, %": 95.0, "others kept, %": 95.0}
"""What removing defects must reach."""


def altered(text: str, share: float, rng: np.random.Generator) -> str:
    """The text with a share of its words, at random places, in place of which another word of the text stands."""
    words = text.split()
    for i in np.flatnonzero(rng.random(len(words)) < share):
        words[i] = str(rng.choice(words)).upper()
    return " ".join(words)
