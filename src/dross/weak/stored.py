"""Votes of a rule, kept on disk under what the rule is and what it read: editing one rule recomputes that one."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.hashing import digest
from dross.core.roles import Role
from dross.core.signal import Signal, Signals, read_value, write_value
from dross.weak.answers import RAISED, Answers, Failure, text_of

KEPT = 1.0
"""Seconds that some rows must have taken a rule for its answers to be kept before it is done with all rows."""


@dataclass(frozen=True)
class Outcome:
    """What a rule says of all rows.

    Attributes
    ----------
    codes
        The (likeliest) label of each row as a position in ``classes``, shape (n,), int32; -1 where it abstains.
    soft_rows, soft
        Rows answered with chances, ascending, shape (s,), and the chances by class, shape (s, k), float32.
    classes
        The labels it named, plain values.
    failures
        What went wrong: kind, message and row of the first time, count.
    seconds
        How long the rule took, in all processes together.
    """

    codes: npt.NDArray[np.int32]
    soft_rows: npt.NDArray[np.int64]
    soft: npt.NDArray[np.float32]
    classes: list[Any]
    failures: list[dict[str, Any]]
    seconds: float


class NotThere(Exception):
    """The votes are neither stored nor handed over."""


@dataclass(frozen=True)
class RuleVotes(Signal[Outcome]):
    """The votes of one rule.

    Attributes
    ----------
    rule
        A digest of the rule's source.
    content
        A digest of the columns it may read.
    known
        The classes declared, as text; None where any label is welcome.
    """

    rule: str = ""
    content: str = ""
    known: tuple[str, ...] | None = None
    reads: ClassVar[tuple[Role, ...]] = (Role.ID,)  # the columns that a rule reads need no role: ``content`` names them
    value: ClassVar[type] = Outcome
    handed: ClassVar[dict[RuleVotes, Outcome]] = {}

    def compute(self, data: Dataset, signals: Signals) -> Outcome:
        """What :func:`keep` hands over: rules are applied together and not one at a time."""
        if self not in self.handed:
            raise NotThere
        return self.handed.pop(self)


def kept(signal: RuleVotes, signals: Signals) -> Outcome | None:
    """The stored votes; None where there are none, or where the rule raised: it is then asked again."""
    if signal not in signals:
        return None
    try:
        found = signals[signal]
    except NotThere:  # it was damaged
        return None
    return None if any(one["kind"] == RAISED for one in found.failures) else found


def keep(signal: RuleVotes, outcome: Outcome, signals: Signals) -> Outcome:
    """Store votes, and give them back as they are stored."""
    if signals.store is None:
        return outcome
    if signal in signals:  # those of a rule that raised
        return outcome
    RuleVotes.handed[signal] = outcome
    return signals[signal]


def content(data: Dataset, columns: list[str]) -> str:
    """A digest of some columns' values, independent of the file's layout."""
    parts: list[bytes | str | memoryview] = []
    for name in sorted(columns):
        parts += [name, str(data.table.schema.field(name).type), data.hashes(name).tobytes()]
    return digest(str(len(data)), *parts)


class Parts:
    """The answers of a rule to ranges of rows that took long, kept until it is done with all.

    Parameters
    ----------
    folder
        Where they are kept; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    @classmethod
    def of(cls, signal: RuleVotes | None, store: Path | None) -> Parts:
        """Those of one rule."""
        if signal is None or store is None:
            return cls(None)
        return cls(store / f"ruleparts-{digest(repr(signal))[:16]}")

    def add(self, start: int, answers: Answers) -> None:
        """Keep the answers to the rows from ``start`` on where they took long."""
        if self.folder is not None and answers.seconds >= KEPT:
            failures = [vars(one) | {"key": key} for key, one in answers.failures.items()]
            part = Outcome(
                answers.codes, answers.soft_rows, answers.soft, answers.classes, failures, float(answers.seconds)
            )
            write_value(self.folder / f"{start:012d}", part)

    def all(self) -> dict[int, Answers]:
        """Answers by the row they begin at; those with a failure of the rule itself are asked for again."""
        found = {}
        for folder in sorted(self.folder.glob("[0-9]*")) if self.folder is not None else ():
            try:
                one: Outcome = read_value(folder, Outcome)
            except DrossError:  # damaged: asked for again
                shutil.rmtree(folder)
                continue
            if any(failure["kind"] == RAISED for failure in one.failures):
                shutil.rmtree(folder)
                continue
            failures = {f["key"]: Failure(f["kind"], f["message"], f["row"], f["count"]) for f in one.failures}
            found[int(folder.name)] = Answers(one.codes, one.classes, one.soft_rows, one.soft, failures, one.seconds)
        return found

    def clear(self) -> None:
        """Forget them."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def joined(parts: Mapping[int, Answers], n: int) -> Outcome:
    """One outcome from the answers to ranges of rows, by the row each begins at.

    >>> one = Answers(np.array([0], np.int32), ["a"], np.empty(0, np.int64), np.empty((0, 1), np.float32))
    >>> two = dataclasses.replace(one, classes=["b"])
    >>> both = joined({0: one, 1: two}, 2)
    >>> both.codes.tolist(), both.classes
    ([0, 1], ['a', 'b'])
    """
    codes = np.full(n, -1, np.int32)
    classes: list[Any] = []
    places: dict[str, int] = {}
    failures: dict[str, Failure] = {}
    soft: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int32]]] = []
    seconds = 0.0
    for start in sorted(parts):
        one = parts[start]
        to = np.full(len(one.classes) + 1, -1, np.int32)
        for i, label in enumerate(one.classes):
            place = places.setdefault(text_of(label), len(classes))
            if place == len(classes):
                classes.append(label)
            to[i] = place
        codes[start : start + len(one)] = to[one.codes]
        if len(one.soft_rows):
            soft.append((one.soft_rows + start, one.soft, to[:-1]))
        for key, failure in one.failures.items():
            moved = dataclasses.replace(failure, row=failure.row + start)
            failures[key] = failures[key].joined(moved) if key in failures else moved
        seconds += one.seconds
    rows = np.concatenate([one[0] for one in soft]) if soft else np.empty(0, np.int64)
    chances = np.zeros((len(rows), len(classes)), np.float32)
    at = 0
    for part_rows, values, to in soft:
        chances[at : at + len(part_rows), to] = values
        at += len(part_rows)
    return Outcome(codes, rows, chances, classes, [vars(one) for one in failures.values()], seconds)
