"""Answers of the desk: counts of a queue, what a decision did, and what one would do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """One kind of issue: how many findings there are, were flagged, and wait."""

    issue: str
    meaning: str
    findings: int
    flagged: int
    open: int
    decided: int
    unsure: int
    disputed: int


@dataclass(frozen=True)
class Decided:
    """What a decision did: its batch in the ledger, the rows it is about and the state of each queue's rows now."""

    batch: int
    issue: str
    rows: list[int]


@dataclass(frozen=True)
class Preview:
    """What a decision on many rows would do.

    Attributes
    ----------
    rows
        How many rows it is about.
    changes
        How many of each change: ``relabel to cat``, ``drop``, ….
    without
        How many have nothing to accept and stay open.
    before
        How many of them somebody has decided on already.
    examples
        The first few rows.
    """

    rows: int
    changes: dict[str, int]
    without: int
    before: int
    examples: list[int]
