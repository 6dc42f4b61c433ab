"""The worst rows of one issue, each with what it holds, what speaks against it and what stands near it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Issue
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.report.contents import LINES, LONG, READ, Contents, Shown, nearest
from dross.report.pictures import BUDGET
from dross.report.text import Piece, cut, differences, few_lines, number, visible

MOST = 20
MOST_REASONS = 9
SHOWN_NEIGHBOURS = 6
PAIRED = frozenset({Issue.NEAR_DUPLICATE, Issue.SEMANTIC_DUPLICATE, Issue.LEAKAGE, Issue.CONFLICT, Issue.DUPLICATE})
WITH_NEIGHBOURS = frozenset({Issue.LABEL, Issue.OUTLIER, Issue.VALUE, Issue.SLICE, Issue.SPURIOUS})
NAMED = frozenset({"row", "id", "issue", "score", "flagged", "suggestion", "method", "expected_precision", "row_id"})


@dataclass(frozen=True)
class Twin:
    """The row that another one repeats, and both texts in pieces with their differences marked."""

    shown: Shown
    pieces: list[tuple[str, list[Piece], list[Piece]]]
    same: bool
    """Whether both show the same, so that one of them is enough."""


@dataclass(frozen=True)
class Card:
    """One finding."""

    rank: int
    shown: Shown
    flagged: bool
    score: float
    precision: float | None
    given: str | None
    given_p: float | None
    suggested: str | None
    suggested_p: float | None
    neighbours: list[Shown] = field(default_factory=list)
    agreement: str = ""
    twin: Twin | None = None
    why: list[tuple[str, str]] = field(default_factory=list)


class Evidence:
    """What the cards of all issues draw on: the rows, their neighbours and their probabilities."""

    def __init__(self, data: Dataset, signals: Signals | None, *, picture_bytes: float = BUDGET) -> None:
        self.data = data
        self.contents = Contents(data, picture_bytes)
        self.vectors = measured(signals, "embedding")
        self.probs = measured(signals, "probabilities")
        self.classes = [str(c) for c in data.classes] if data.has(Role.LABEL) else []
        if self.probs is not None and self.probs.shape[1] != len(self.classes):
            self.probs = None

    def cards(self, issue: Issue, table: pa.Table) -> list[Card]:
        """The worst findings: flagged ones first, each in order of score."""
        score = table.column("score").to_numpy()
        flagged = table.column("flagged").to_numpy()
        worst = np.lexsort((-score, ~flagged))[:MOST]
        chosen = table.take(pa.array(worst)).to_pylist()
        rows = [int(one["row"]) for one in chosen]
        near: Sequence[Sequence[int]] = [[] for _ in rows]
        if issue in WITH_NEIGHBOURS and self.vectors is not None:
            near = nearest(self.vectors, rows, SHOWN_NEIGHBOURS)
        return [
            self.card(issue, one, close, rank=i + 1) for i, (one, close) in enumerate(zip(chosen, near, strict=True))
        ]

    def card(self, issue: Issue, one: Mapping[str, Any], near: Sequence[int], *, rank: int = 1) -> Card:
        """One finding, all its stored columns, with the rows that are nearest to it."""
        row = int(one["row"])
        shown = self.contents.show(row)
        twin = twin_of(issue, one, len(self.data))
        suggested = None if twin is not None and issue not in {Issue.LABEL, Issue.CONFLICT} else one["suggestion"]
        hidden = frozenset() if self.probs is None else frozenset({"given_probability", "suggested_probability"})
        neighbours = [self.contents.show(other, beside=shown, size=56) for other in near]
        return Card(
            rank=rank,
            shown=shown,
            flagged=bool(one["flagged"]),
            score=float(one["score"]),
            precision=one["expected_precision"],
            given=shown.label,
            given_p=self._probability(row, None),
            suggested=None if suggested is None else cut(str(suggested), 60),
            suggested_p=self._probability(row, suggested),
            neighbours=neighbours,
            agreement=_agreement(shown, neighbours, suggested) if issue == Issue.LABEL else "",
            twin=self._twin(row, twin) if twin is not None else None,
            why=_why(one, hidden, self.classes),
        )

    def _probability(self, row: int, name: str | None) -> float | None:
        """The model's probability of a class, by default of the given one."""
        if self.probs is None:
            return None
        wanted = str(self.classes[self.data.codes[row]]) if name is None and self.data.codes[row] >= 0 else name
        code = self.classes.index(wanted) if wanted in self.classes else -1
        return float(self.probs[row, code]) if code >= 0 else None

    def _twin(self, row: int, other: int) -> Twin:
        pieces = []
        for column in self.contents.texts:
            left, right = (self.contents.beginning(column, r, READ)[0] for r in (row, other))
            start = max(0, _first_difference(left, right) - LONG // 3)
            window = [
                ("… " if start else "") + visible(few_lines(t[start : start + LONG], LINES)) for t in (left, right)
            ]
            sides = differences(*window)
            pieces.append((visible(column), sides[0], sides[1]))
        mine, its = self.contents.show(row), self.contents.show(other)
        alike = all(not p.differs for _, *sides in pieces for side in sides for p in side)
        alike = alike and all(left == right for _, left, right in pieces)
        return Twin(its, pieces, alike and (mine.picture, mine.features) == (its.picture, its.features))


def measured(signals: Signals | None, what: str) -> npt.NDArray[Any] | None:
    """The embedding or the probabilities, where the audit measured them; the report measures nothing itself."""
    if signals is None:
        return None
    from dross.signals.embedding import Embedding
    from dross.signals.probabilities import Probabilities

    signal: Any = Embedding() if what == "embedding" else Probabilities()
    if signal not in signals:
        return None
    try:
        value = signals[signal]
    except DrossError:  # a stored value that cannot be read back: the report does without
        return None
    whole = value is not None and value.ndim == 2 and len(value) == len(signals.data) and np.isfinite(value[:1]).all()
    return np.asarray(value) if whole else None


def twin_of(issue: Issue, one: Mapping[str, Any], n: int) -> int | None:
    """The row that a finding names as its twin."""
    if issue not in PAIRED:
        return None
    named = [value for name, value in one.items() if name.startswith("evidence_twin")]
    for value in (*named, None if issue == Issue.CONFLICT else one["suggestion"]):
        if value is not None and str(value).lstrip("-").isdigit() and 0 <= int(value) < n and int(value) != one["row"]:
            return int(value)
    return None


def _first_difference(left: str, right: str) -> int:
    if left == right:
        return 0
    short = min(len(left), len(right))
    a, b = (np.frombuffer(t[:short].encode("utf-32-le", "surrogatepass"), np.uint32) for t in (left, right))
    differs = np.flatnonzero(a != b)
    return int(differs[0]) if len(differs) else short


def _agreement(shown: Shown, neighbours: Sequence[Shown], suggested: str | None) -> str:
    """How the nearest rows are labelled."""
    if not neighbours or shown.label is None:
        return ""
    k, labels = len(neighbours), [other.label for other in neighbours]
    given = labels.count(shown.label)
    words = f"Of the {k} nearest rows {given or 'none'} {'have' if given > 1 else 'has'} the given label"
    if suggested is None:
        return words
    return f"{words}, {labels.count(cut(suggested, 60)) or 'none'} the suggested one"


def _why(one: Mapping[str, Any], hidden: frozenset[str], classes: Sequence[str]) -> list[tuple[str, str]]:
    """The other evidence: each method's score, the highest first, then the methods' own numbers, in words."""
    scores, others = [], []
    for name, value in one.items():
        key = name.removeprefix("evidence_")
        if name in NAMED or value is None or key.startswith(("twin", *hidden)):
            continue
        if key.startswith("score_"):
            scores.append((float(value), visible(key.removeprefix("score_").replace("_", " "))))
        elif words := _in_words(key, value, classes):
            others.append((visible(key.replace("_", " "))[:40], words))
    ranked = [(name, number(value)) for value, name in sorted(scores, reverse=True) if np.isfinite(value)]
    return [("found by", cut(str(one["method"]), 60)), *ranked, *others][:MOST_REASONS]


def _in_words(key: str, value: Any, classes: Sequence[str]) -> str:
    if key.startswith("nearest_class"):
        return cut(classes[int(value)], 40) if 0 <= int(value) < len(classes) else ""
    if isinstance(value, float):
        return number(value) if np.isfinite(value) else ""
    if isinstance(value, list):
        few = value[:7]
        return "" if len(few) > 6 else ", ".join(number(v) if isinstance(v, float) else cut(str(v), 30) for v in few)
    return cut(str(value), 80)
