"""Claims: each method's published claim as a function that measures it and can fail."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dross.core.statistics import interval

__all__ = ["Budget", "Claim", "Evidence", "Outcome", "check", "claim", "claims", "interval"]
Measure = Callable[["Budget"], "Evidence"]
_FOUND: dict[str, Claim] = {}


@dataclass(frozen=True)
class Budget:
    """How much a claim may spend: the seeds to repeat over."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Evidence:
    """What a claim measured, and whether it holds.

    ``measured`` maps names to numbers or to ``(mean, low, high)`` intervals; ``holds`` is a comparison of those
    numbers, never a constant; ``note`` says what a reader must know.
    """

    measured: Mapping[str, float | tuple[float, float, float]]
    holds: bool
    over: tuple[int, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "holds", bool(self.holds))  # NumPy's truth values are not Python's


@dataclass(frozen=True)
class Claim:
    """One claim: the method it is about, what the paper says, and the function that measures it."""

    method: str
    says: str
    paper: str
    fast: bool
    measure: Measure = field(repr=False)

    @property
    def name(self) -> str:
        """The function's name in words."""
        return self.measure.__name__.replace("_", " ")


@dataclass(frozen=True)
class Outcome:
    """A claim that was run."""

    claim: Claim
    evidence: Evidence | None
    seconds: float
    error: str = ""


def claim(*, method: str, says: str, paper: str = "", fast: bool = True) -> Callable[[Measure], Measure]:
    """Register a function as the check of a method's claim; ``fast`` ones (under ~30 s) run in CI."""

    def register(measure: Measure) -> Measure:
        _FOUND[f"{measure.__module__}.{measure.__name__}"] = Claim(method, says, paper, fast, measure)
        return measure

    return register


def claims() -> list[Claim]:
    """Every claim, found by walking this folder; ordered by method."""
    root = Path(__file__).parent
    for file in sorted(root.glob("**/[!_]*.py")):
        importlib.import_module(".".join(("dross.claims", *file.relative_to(root).with_suffix("").parts)))
    return sorted(_FOUND.values(), key=lambda c: (c.method, c.name))


def check(chosen: list[Claim], budget: Budget) -> Iterator[Outcome]:
    """Run claims one after the other; an error is an outcome, not the end."""
    for one in chosen:
        started = time.perf_counter()
        try:
            evidence = one.measure(budget)
            yield Outcome(one, evidence, time.perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - one broken claim must not hide the others; it is reported as failed
            yield Outcome(one, None, time.perf_counter() - started, f"{type(error).__name__}: {error}")
