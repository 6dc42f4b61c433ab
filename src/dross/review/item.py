"""One finding as a person sees it: what the row holds, why it was flagged, what stands near it, who said what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Issue
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.ledger.opinions import LABELLED, Opinion
from dross.report.cards import SHOWN_NEIGHBOURS, WITH_NEIGHBOURS, Card, Evidence
from dross.report.text import cut, visible
from dross.review.kin import Elsewhere, Kindred
from dross.signals.neighbours import Neighbours

READ = 20_000
"""Characters of a text that are shown; the rest is fetched when it is asked for."""
MOST_CLASSES = 5
GROUPS = frozenset({Issue.SLICE, Issue.SPURIOUS, Issue.DRIFT, Issue.ORDER, Issue.IMBALANCE, Issue.TARGET_LEAKAGE})
"""Issues of groups of rows or of the whole: dropping single rows is no remedy."""
NOTHING = "nothing"
"""The method of a row in which nothing was found."""
SIDES = ((Role.PROMPT, Role.RESPONSE), (Role.CHOSEN, Role.REJECTED), (Role.QUERY, Role.PASSAGE))
"""Roles whose texts stand side by side."""


@dataclass(frozen=True)
class Text:
    """One text of a row: its beginning, made harmless; ``length`` counts all its characters.

    ``side`` is the role when it stands beside another one (``chosen`` and ``rejected``), else empty.
    """

    column: str
    shown: str
    length: int
    side: str = ""


@dataclass(frozen=True)
class Item:
    """One finding, all that is shown of it.

    Attributes
    ----------
    issue, row, key
        The kind of defect, the row's position in the audited data, and its id as a person knows it.
    card
        Given and suggested label with their probabilities, the reasons, the neighbours, the twin.
    chance, state
        The chance that it is a defect, and how far the decision has come: ``open``, ``decided``, ….
    texts
        The texts of the row.
    picture, audio
        Whether it has one.
    likeliest
        The most probable classes with their probabilities.
    annotations
        What each annotator said, by column.
    opinions, comments
        What people have said of it, oldest first.
    accept
        What accepting the suggestion does: ``relabel``, ``drop``, or empty where nothing is suggested.
    seen
        The newest edit that is taken into account here; give it back with a decision.
    """

    issue: str
    row: int
    key: str
    card: Card
    chance: float
    state: str
    texts: list[Text]
    picture: bool
    audio: bool
    likeliest: list[tuple[str, float]]
    annotations: list[tuple[str, str]]
    opinions: list[Opinion]
    comments: list[Opinion]
    accept: str
    seen: int
    labels: list[str] = field(default_factory=list)
    """The labels that the row carries now, several where the data has several labels per row."""
    needed: int = 1
    """How many opinions decide on it."""
    elsewhere: list[Elsewhere] = field(default_factory=list)
    """What else was found in the row."""
    twins: list[Kindred] = field(default_factory=list)
    """The rows that repeat it, or that it repeats."""


class Items:
    """Makes the items of one audited dataset.

    Parameters
    ----------
    data
        The rows that were audited.
    signals
        What was measured of them; nothing is measured anew.
    """

    def __init__(self, data: Dataset, signals: Signals | None) -> None:
        self.data, self.signals = data, signals
        self.evidence = Evidence(data, signals, picture_bytes=float("inf"))
        self.sides = {
            column: str(role)
            for pair in SIDES
            if all(data.has(role) for role in pair)
            for role in pair
            for column in data.roles[role]
        }

    def make(
        self,
        issue: Issue,
        finding: Mapping[str, Any],
        *,
        chance: float,
        state: str,
        opinions: Sequence[Opinion],
        seen: int,
        needed: int = 1,
        elsewhere: Sequence[Elsewhere] = (),
        twins: Sequence[Kindred] = (),
    ) -> Item:
        """One item; ``finding`` is a line of the findings with all stored columns."""
        row = int(finding["row"])
        near = self.neighbours(row) if issue in WITH_NEIGHBOURS else []
        card = self.evidence.card(issue, finding, near)
        return Item(
            issue=str(issue),
            row=row,
            key=visible(self.data.key(row)),
            card=card,
            chance=chance,
            state=state,
            texts=self.texts(row),
            picture=self.evidence.contents.image is not None,
            audio=self.data.has(Role.AUDIO),
            likeliest=self.likeliest(row),
            annotations=self.annotations(row),
            opinions=[one for one in opinions if one.votes],
            comments=[one for one in opinions if not one.votes],
            accept=accepting(issue, finding, self.data),
            seen=seen,
            labels=self.labels(row),
            needed=needed,
            elsewhere=list(elsewhere),
            twins=[one for one in twins if card.twin is None or one.row != card.twin.shown.row],
        )

    def texts(self, row: int) -> list[Text]:
        """The row's texts; a cell of a megabyte costs no more than what is shown."""
        out = []
        for column in self.evidence.contents.texts:
            beginning, length = self.evidence.contents.beginning(column, row, READ)
            out.append(Text(visible(column), visible(beginning), length, self.sides.get(column, "")))
        return out

    def labels(self, row: int) -> list[str]:
        """What the row is labelled with."""
        for role in (Role.LABEL, Role.LABELS, Role.TARGET):
            if self.data.has(role):
                value = self.data.column(role)[row].as_py()
                several = value if isinstance(value, list) else [value]
                return [visible(str(one)) for one in several if one is not None]
        return []

    def likeliest(self, row: int) -> list[tuple[str, float]]:
        """The most probable classes, where the audit measured probabilities."""
        probs = self.evidence.probs
        if probs is None:
            return []
        own = np.asarray(probs[row], np.float64)
        best = np.argsort(-own, kind="stable")[:MOST_CLASSES]
        return [(cut(self.evidence.classes[int(c)], 60), float(own[c])) for c in best]

    def annotations(self, row: int) -> list[tuple[str, str]]:
        """Who labelled the row, and how."""
        out = []
        for column in self.data.roles.get(Role.ANNOTATIONS, ()):
            value = self.data.table.column(column)[row].as_py()
            if value is not None:
                out.append((visible(column), cut(str(value), 60)))
        return out

    @cached_property
    def _near(self) -> Any:
        signal = Neighbours()
        if self.signals is None or signal not in self.signals:
            return None
        try:
            return self.signals[signal].indices
        except DrossError:  # a stored value that cannot be read back: the page does without
            return None

    def neighbours(self, row: int) -> list[int]:
        """The nearest rows that the audit found."""
        if self._near is None:
            return []
        return [int(i) for i in self._near[row][:SHOWN_NEIGHBOURS] if i >= 0]


def accepting(issue: Issue, finding: Mapping[str, Any], data: Dataset) -> str:
    """What accepting the finding does: ``relabel``, ``drop``, or nothing where there is nothing to accept."""
    labelled = any(data.has(role) for role in (Role.LABEL, Role.TARGET))
    if str(issue) in LABELLED:
        return "relabel" if finding.get("suggestion") is not None and labelled else ""
    return "" if issue in GROUPS or finding.get("method") == NOTHING else "drop"


def no_finding(issue: str, row: int, key: str) -> dict[str, Any]:
    """What stands in for the finding of a row in which nothing was found."""
    return {
        "row": row, "id": key, "issue": issue, "score": 0.0, "flagged": False, "suggestion": None, "method": NOTHING,
        "expected_precision": None,
    }  # fmt: skip


def label_value(data: Dataset, text: str) -> Any:
    """A label that a person wrote or picked, as the column holds it: one of the classes, or the text itself.

    >>> import pyarrow as pa
    >>> data = Dataset(pa.table({"y": [1, 2, 1]}), {Role.LABEL: ["y"]})
    >>> label_value(data, "2"), label_value(data, "three")
    (2, 'three')
    """
    if data.has(Role.TARGET) and not data.has(Role.LABEL):
        try:
            return float(text)
        except ValueError as error:
            raise DrossError(f"{text[:40]!r} is not a number", fix="the target is a number") from error
    if not data.has(Role.LABEL):
        return text
    names = {str(value): value for value in data.classes}
    return names.get(text, text)
