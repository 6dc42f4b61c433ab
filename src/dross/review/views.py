"""View models of the review page: what the templates print, made from the desk; filters to and from query strings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa

from dross.core.errors import DrossError
from dross.core.results import Issue
from dross.core.roles import Role
from dross.ledger.opinions import Opinion
from dross.report.cards import twin_of
from dross.report.contents import SHORT
from dross.report.text import Piece, cut, differences, percent, visible
from dross.report.words import TITLES
from dross.review.filters import ALL, STATES, Filter, State
from dross.review.item import Item, accepting

if TYPE_CHECKING:
    from dross.review.desk import Desk

PAGE = 48
"""Findings on one page of a list or grid."""
KEYS = 9
"""Classes that have a number key."""
OFFERED = 200
"""Values of a filter that are listed to choose from; of more, one is typed."""
EDITED = 700
"""Characters of an edited text that are shown around its first change."""


# ---- filters in query strings ---------------------------------------------------------------------------------------


def asked(query: Mapping[str, str], rows: Sequence[str] = ()) -> Filter:
    """The filter that a query string asks for; empty fields ask for nothing.

    ``rows`` holds positions, one each or several with commas between them.

    >>> asked({"label": "cat", "at_least": "0.5", "text": ""}, ["3,5", "9"])
    Filter(label='cat', ..., at_least=0.5, ..., rows=(3, 5, 9))
    """
    given: dict[str, Any] = {name: query[name] for name in _NAMES if query.get(name)}
    for name, kind in (("at_least", float), ("at_most", float), ("cluster", int)):
        if name in given:
            given[name] = _numeral(name, given[name], kind)
    if "flagged" in given:
        given["flagged"] = given["flagged"].lower() not in {"0", "false", "no"}
    chosen = [part for text in rows for part in text.split(",") if part.strip()]
    if chosen:
        given["rows"] = tuple(_numeral("rows", part, int) for part in chosen)
    return Filter(**given)


def _numeral(name: str, text: str, kind: type[int] | type[float]) -> int | float:
    try:
        return kind(text)
    except ValueError as error:
        raise DrossError(f"{name.replace('_', ' ')} is {text[:40]!r}", fix="give a number") from error


def query_of(chosen: Filter, **more: Any) -> str:
    """The query string of a filter, from the question mark on; empty where nothing is asked.

    >>> query_of(Filter(label="cat", rows=(3, 5)), start=48)
    '?label=cat&rows=3%2C5&start=48'
    """
    pairs: list[tuple[str, str]] = []
    for one in fields(Filter):
        value = getattr(chosen, one.name)
        if value != one.default and value is not None:
            words = "1" if value is True else ",".join(map(str, value)) if one.name == "rows" else str(value)
            pairs.append((one.name, words))
    pairs += [(name, str(value)) for name, value in more.items() if value not in {None, ""}]
    return "?" + urlencode(pairs) if pairs else ""


_NAMES = tuple(one.name for one in fields(Filter) if one.name != "rows")


@dataclass(frozen=True)
class Chip:
    """One condition of a filter in words, and the query string without it."""

    words: str
    without: str


def chips(chosen: Filter, **more: Any) -> list[Chip]:
    """What a filter asks, one by one; the state has its own tabs."""
    said = {
        "label": ("given", chosen.label), "suggestion": ("suggested", chosen.suggestion),
        "split": ("split", chosen.split), "annotator": ("labelled in", chosen.annotator),
        "text": ("contains", chosen.text), "cluster": ("group", chosen.cluster),
        "at_least": ("chance at least", None if chosen.at_least is None else percent(chosen.at_least)),
        "at_most": ("chance at most", None if chosen.at_most is None else percent(chosen.at_most)),
        "rows": ("selected rows:", None if chosen.rows is None else f"{len(chosen.rows):,}"),
    }  # fmt: skip
    out = [
        Chip(f"{name} {cut(str(value), 40)}", query_of(_without(chosen, field), **more))
        for field, (name, value) in said.items()
        if value is not None
    ]
    if chosen.flagged:
        out.append(Chip("flagged only", query_of(replace(chosen, flagged=False), **more)))
    return out


def _without(chosen: Filter, field: str) -> Filter:
    nothing: dict[str, Any] = {field: None}
    return replace(chosen, **nothing)


@dataclass(frozen=True)
class Choice:
    """What one filter can be set to; ``listed`` where there are few enough to choose from a list."""

    name: str
    title: str
    values: list[tuple[str, str]]
    chosen: str
    listed: bool


def choices(desk: Desk, issue: str, chosen: Filter) -> list[Choice]:
    """The filters by name that make sense for this queue."""
    matcher = desk.queue(issue).matcher
    offered: list[tuple[str, str, Iterable[str]]] = [
        ("label", "given label", matcher.labels),
        ("suggestion", "suggestion", [] if _paired(issue) else matcher.suggestions),
        ("split", "split", matcher.splits),
        ("annotator", "annotator", matcher.annotators),
    ]
    if matcher.clusters is not None:
        offered.append(("cluster", "group of similar rows", [str(code) for code in desk.clusters()]))
    out = []
    for name, title, every in offered:
        values = list(every)
        own = getattr(chosen, name)
        if values:
            names = desk.clusters() if name == "cluster" else {}
            few = [(value, cut(names[int(value)] if names else value, 60)) for value in values[:OFFERED]]
            out.append(Choice(name, title, few, "" if own is None else str(own), len(values) <= OFFERED))
    return out


def _paired(issue: str) -> bool:
    return "duplicate" in issue or issue == "leakage"


# ---- progress -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """How far a queue, or a part of it, has come."""

    open: int
    decided: int
    unsure: int
    disputed: int

    @property
    def total(self) -> int:
        """All findings."""
        return self.open + self.decided + self.unsure + self.disputed

    @property
    def share(self) -> float:
        """The share that is decided."""
        return self.decided / self.total if self.total else 0.0


def progress(desk: Desk, issue: str, chosen: Filter) -> Progress:
    """How far the findings have come that pass the filter."""
    return Progress(*desk.queue(issue).progress(chosen).tolist())


@dataclass(frozen=True)
class Tab:
    """One state of a queue with its count and its link."""

    name: str
    count: int
    query: str
    here: bool


def tabs(done: Progress, chosen: Filter, **more: Any) -> list[Tab]:
    """The states a list can be narrowed to; those that nothing is in are left out, save open and all."""
    counts = {name: getattr(done, name) for name in STATES if name != ALL} | {ALL: done.total}
    return [
        Tab(name, counts[name], query_of(replace(chosen, state=name), **more), chosen.state == name)
        for name in STATES
        if counts[name] or name in {"open", ALL, chosen.state}
    ]


# ---- lists ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """One finding in a list or grid."""

    row: int
    key: str
    words: str
    given: str | None
    suggested: str
    accept: str
    chance: float
    state: str
    split: str


@dataclass(frozen=True)
class Listing:
    """One page of a queue."""

    tiles: list[Tile]
    start: int
    count: int
    pictures: bool

    @property
    def stop(self) -> int:
        """The place after the last one."""
        return self.start + len(self.tiles)


def listing(desk: Desk, issue: str, chosen: Filter, start: int) -> Listing:
    """The findings of one page."""
    queue = desk.queue(issue)
    count = queue.count(chosen)
    start = max(0, min(start, (max(count, 1) - 1) // PAGE * PAGE))
    at = queue.page(chosen, start, PAGE)
    names = ["row", "suggestion", *(name for name in queue.table.column_names if name.startswith("evidence_twin"))]
    lines = queue.table.select(names).take(pa.array(at)).to_pylist()
    states = [State(int(queue.states[i])).name.lower() for i in at]
    pictures = desk.items.evidence.contents.image is not None
    tiles = [
        _tile(desk, issue, one, float(queue.chances[i]), state, pictures=pictures)
        for i, one, state in zip(at.tolist(), lines, states, strict=True)
    ]
    return Listing(tiles, start, count, pictures)


def _tile(desk: Desk, issue: str, one: Mapping[str, Any], chance: float, state: str, *, pictures: bool) -> Tile:
    contents, row = desk.items.evidence.contents, int(one["row"])
    words = "  ".join(contents.text(name, row, SHORT) for name in contents.texts[:2])
    if not words and not pictures and contents.features:
        shown = contents.show(row)
        words = ", ".join(f"{feature.name} {feature.value}" for feature in shown.features[:4])
    twin = twin_of(Issue(issue), one, len(desk.data))
    suggestion = one["suggestion"]
    return Tile(
        row=row,
        key=cut(desk.data.key(row), 40) if desk.data.has(Role.ID) else "",
        words=words,
        given=contents.label(row),
        suggested=f"twin of row {twin:,}" if twin is not None else "" if suggestion is None else cut(suggestion, 60),
        accept=accepting(Issue(issue), one, desk.data),
        chance=chance,
        state=state,
        split=_split(desk, row),
    )


def _split(desk: Desk, row: int) -> str:
    if not desk.data.has(Role.SPLIT):
        return ""
    value = desk.data.column(Role.SPLIT)[row].as_py()
    return "" if value is None else cut(str(value), 20)


# ---- one item -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """A class that a number key picks."""

    key: int
    name: str
    """As the data has it."""
    words: str
    p: float | None
    role: str
    """``given``, ``suggested`` or empty."""


@dataclass(frozen=True)
class Change:
    """An edit that somebody proposes for a text: both versions in pieces."""

    column: str
    author: str
    before: list[Piece]
    after: list[Piece]


def answers(desk: Desk, item: Item) -> list[Answer]:
    """The classes with a number key: all, in their order, where there are nine at most; else the likeliest."""
    names = desk.queue(item.issue).matcher.labels
    if not names or desk.data.has(Role.LABELS):
        return []
    probs = desk.items.evidence.probs
    own = None if probs is None else np.asarray(probs[item.row], np.float64)
    order = list(range(min(len(names), KEYS)))
    if len(names) > KEYS and own is not None:
        order = np.argsort(-own, kind="stable")[:KEYS].tolist()
    out = []
    for key, code in enumerate(order, 1):
        words = cut(names[code], 60)
        role = "given" if words == item.card.given else "suggested" if words == item.card.suggested else ""
        out.append(Answer(key, names[code], words, None if own is None else float(own[code]), role))
    return out


def changes(desk: Desk, item: Item) -> list[Change]:
    """The edits of texts that stand, each beside the text as it was."""
    out = []
    for one in item.opinions:
        column = one.field or ""
        if one.says == "set" and isinstance(one.value, str) and column in desk.data.table.column_names:
            beginning, _ = desk.items.evidence.contents.beginning(column, item.row, EDITED * 20)
            start = max(0, _same(beginning, one.value) - EDITED // 3)
            left, right = (visible(text[start : start + EDITED]) for text in (beginning, one.value))
            before, after = differences(left, right)
            out.append(Change(visible(column), visible(one.author), before, after))
    return out


def _same(left: str, right: str) -> int:
    """How many characters two texts begin with in common."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if left[:middle] == right[:middle] else (low, middle - 1)
    return low


def editable(desk: Desk, row: int, index: int) -> dict[str, str]:
    """A whole text of a row, and its column: what the editor opens with."""
    columns = desk.items.evidence.contents.texts
    if not 0 <= index < len(columns) or not 0 <= row < len(desk.data):
        raise DrossError(f"row {row} has no text number {index}", fix="open the row again")
    value = desk.data.table.column(columns[index])[row].as_py()
    return {"column": columns[index], "text": "" if value is None else str(value)}


def says(one: Opinion) -> str:
    """An opinion in words.

    >>> says(Opinion(1, 1, 0, "label", "ada", "relabel", "y", "cat", "", ""))
    'relabel to cat'
    """
    if one.says == "relabel":
        value = ", ".join(map(str, one.value)) if isinstance(one.value, list) else str(one.value)
        return f"relabel to {cut(value, 60)}"
    words = {"set": f"edit {visible(one.field or '')}", "unsure": "not sure", "ask": f"asks for {one.value} opinions"}
    return words.get(one.says, one.says)


def meter(share: float) -> str:
    """A probability as the value of a meter.

    >>> meter(0.98765)
    '0.988'
    """
    return f"{min(max(share, 0.0), 1.0):.3f}"


def title_of(issue: str) -> str:
    """An issue's title."""
    return TITLES.get(Issue(issue), issue)
