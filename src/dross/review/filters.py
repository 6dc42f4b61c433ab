"""Filters: which findings of an issue to show, and the search in their texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.roles import Role
from dross.core.splits import splits_of

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

TEXTS = (Role.TEXT, Role.PROMPT, Role.RESPONSE, Role.CHOSEN, Role.REJECTED, Role.QUERY, Role.PASSAGE, Role.SEQUENCE)
"""The roles that are searched."""
SPARSE = 4
"""Of a chunk in which fewer than one row in so many has a finding, only the rows with one are searched."""
NEAR = 1000
"""Suggested values among which near ones are looked for."""


class State(IntEnum):
    """How far the decision on a finding has come."""

    OPEN = 0
    DECIDED = 1
    UNSURE = 2
    DISPUTED = 3


ALL = "all"
STATES = (*(state.name.lower() for state in State), ALL)


@dataclass(frozen=True)
class Filter:
    """Which findings to show: those for which everything that is asked holds.

    Attributes
    ----------
    label, suggestion, split, annotator
        The given label, the suggested value, the split, as text; the annotation column in which the row is labelled.
    at_least, at_most
        Bounds of the chance of a defect, in [0, 1].
    text
        What one of the row's texts or its id contains, in small or capital letters.
    cluster
        The group of similar rows, by its number.
    state
        One of :data:`STATES`.
    flagged
        Whether to leave out what the audit did not flag.
    rows
        Positions of rows, a selection on the map.

    Raises DrossError for a state or a chance that cannot be.

    Examples
    --------
    >>> Filter(label="cat", at_least=0.5).state
    'open'
    """

    label: str | None = None
    suggestion: str | None = None
    split: str | None = None
    annotator: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    text: str | None = None
    cluster: int | None = None
    state: str = "open"
    flagged: bool = False
    rows: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise DrossError(f"no state is called {self.state!r}", fix=nearest(self.state, list(STATES)))
        for name in ("at_least", "at_most"):
            bound = getattr(self, name)
            if bound is not None and not 0 <= bound <= 1:
                raise DrossError(f"{name} is {bound}", fix="give a chance between 0 and 1")

    @property
    def wanted(self) -> State | None:
        """The state asked for; None for all."""
        return None if self.state == ALL else State[self.state.upper()]


class Matcher:
    """Says which findings pass a filter; the state and the bounds of the chance are the queue's to look at.

    Parameters
    ----------
    data
        The dataset that was audited, n rows.
    table
        The findings of one issue, m of them.

    Examples
    --------
    >>> data = Dataset(pa.table({"y": ["cat", "dog", "cat"]}), {Role.LABEL: ["y"]})
    >>> matcher = Matcher(data, pa.table({"row": [0, 1], "id": ["a", "b"]}))
    >>> matcher.mask(Filter(label="dog")).tolist()
    [False, True]
    >>> matcher.mask(Filter(label="dgo"))
    Traceback (most recent call last):
    ...
    dross.core.errors.DrossError: no label is called 'dgo' here. did you mean 'dog'?
    """

    def __init__(self, data: Dataset, table: pa.Table) -> None:
        self.data, self.table = data, table
        self.rows: Rows = table.column("row").to_numpy()
        self.split_of = splits_of(data)
        self.clusters: npt.NDArray[np.int32] | None = None
        """The group of each row of the dataset, shape (n,), once it is known."""

    def mask(self, chosen: Filter) -> Mask:
        """Which findings pass, shape (m,); an error for a name or number that does not occur."""
        tests: tuple[tuple[Any, Callable[[Any], Mask]], ...] = (
            (chosen.label, self._labelled),
            (chosen.suggestion, self._suggested),
            (chosen.split, self._in_split),
            (chosen.annotator, self._annotated),
            (chosen.cluster, self._grouped),
            (chosen.rows, self._among),
            (chosen.flagged or None, self._flagged),
            (chosen.text or None, self.containing),
        )
        mask: Mask = np.ones(len(self.rows), bool)
        for asked, test in tests:
            if asked is not None:
                mask &= test(asked)
        return mask

    # ---- what can be asked for --------------------------------------------------------------------------------------

    @property
    def splits(self) -> list[str]:
        """The splits of the dataset; empty where it has none."""
        return self.split_of.names if self.data.has(Role.SPLIT) else []

    @property
    def annotators(self) -> list[str]:
        """The annotation columns."""
        return list(self.data.roles.get(Role.ANNOTATIONS, ()))

    @cached_property
    def labels(self) -> list[str]:
        """The given labels, as text; empty where the dataset has none."""
        if self.data.has(Role.LABEL):
            return [str(value) for value in self.data.classes]
        return [str(value) for value in self._listed]

    @cached_property
    def suggestions(self) -> list[str]:
        """The suggested values, the most frequent first."""
        if not len(self.rows):
            return []
        counts = pc.value_counts(self.table.column("suggestion").combine_chunks()).to_pylist()
        ranked = sorted((-one["counts"], one["values"]) for one in counts if one["values"] is not None)
        return [value for _, value in ranked]

    @cached_property
    def _listed(self) -> list[Any]:
        if not self.data.has(Role.LABELS):
            return []
        chunks = self.data.column(Role.LABELS).chunks
        values = {value for chunk in chunks for value in pc.unique(pc.list_flatten(chunk)).to_pylist()}
        return sorted(values - {None}, key=str)

    # ---- tests ------------------------------------------------------------------------------------------------------

    def _labelled(self, label: str) -> Mask:
        code = _position(label, self.labels, "label")
        if self.data.has(Role.LABEL):
            return np.asarray(self.data.codes[self.rows] == code)
        has = np.zeros(len(self.data), bool)
        start = 0
        for chunk in self.data.column(Role.LABELS).chunks:
            values = pc.list_flatten(chunk)
            values = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
            equal = _truth(pc.equal(values, pa.scalar(self._listed[code])))
            has[start + pc.list_parent_indices(chunk).to_numpy()[equal]] = True
            start += len(chunk)
        return has[self.rows]

    def _suggested(self, suggestion: str) -> Mask:
        equal = _truth(pc.equal(self.table.column("suggestion"), suggestion))
        if not equal.any():
            _position(suggestion, self.suggestions[:NEAR], "suggestion")
        return equal

    def _in_split(self, split: str) -> Mask:
        return np.asarray(self.split_of.codes[self.rows] == _position(split, self.splits, "split"))

    def _annotated(self, annotator: str) -> Mask:
        name = self.annotators[_position(annotator, self.annotators, "annotator")]
        return _truth(pc.is_valid(self.data.table.column(name)))[self.rows]

    def _flagged(self, _: bool) -> Mask:
        return _truth(self.table.column("flagged"))

    def _grouped(self, cluster: int) -> Mask:
        if self.clusters is None:
            raise DrossError("the rows are not grouped yet", fix="ask again when the groups are computed")
        most = int(self.clusters.max(initial=-1))
        if not 0 <= cluster <= most:
            raise DrossError(f"there is no group {cluster}", fix=f"choose one from 0 to {most}")
        return np.asarray(self.clusters[self.rows] == cluster)

    def _among(self, rows: tuple[int, ...]) -> Mask:
        wanted = np.array(rows, np.int64)
        if len(wanted) and (wanted.min() < 0 or wanted.max() >= len(self.data)):
            raise DrossError("a selected row is not in the dataset", fix=f"rows are 0 to {len(self.data) - 1}")
        chosen = np.zeros(len(self.data), bool)
        chosen[wanted] = True
        return chosen[self.rows]

    def containing(self, text: str) -> Mask:
        """Which findings' texts or ids contain a text, whatever the case of its letters, shape (m,).

        Only rows with a finding are looked at where few have one; the columns are read chunk by chunk.
        """
        found: Mask = np.zeros(len(self.rows), bool)
        if any(0xD800 <= ord(c) <= 0xDFFF for c in text):
            return found  # half of a surrogate pair: no valid text contains it
        start = 0
        for chunk in self.table.column("id").chunks:
            found[start : start + len(chunk)] = _matches(chunk, text)
            start += len(chunk)
        for name in (column for role in TEXTS for column in self.data.roles.get(role, ())):
            start = 0
            for chunk in self.data.table.column(name).chunks:
                first, last = np.searchsorted(self.rows, [start, start + len(chunk)]).tolist()
                local = self.rows[first:last] - start
                if len(local) * SPARSE < len(chunk):
                    found[first:last] |= _matches(chunk.take(pa.array(local)), text)
                else:
                    found[first:last] |= _matches(chunk, text)[local]
                start += len(chunk)
        return found


def _matches(cells: pa.Array, text: str) -> Mask:
    """Which cells contain the text; what is no text is searched as it is written."""
    kind = cells.type
    if pa.types.is_dictionary(kind):
        among = np.append(_matches(cells.dictionary, text), False)
        return np.asarray(among[cells.indices.fill_null(-1).to_numpy(zero_copy_only=False)])
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        cells = pa.array([None if v is None else str(v) for v in cells.to_pylist()], pa.large_string())
    return _truth(pc.match_substring(cells, text, ignore_case=True))


def _position(name: str, choices: list[str], what: str) -> int:
    """Where a name stands; an error that tells near ones where it is not there."""
    if name in choices:
        return choices.index(name)
    fix = nearest(name, choices) if choices else f"leave out the {what}"
    raise DrossError(f"no {what} is called {name!r} here", fix=fix)


def _truth(values: pa.Array | pa.ChunkedArray) -> Mask:
    """Truth values from Arrow, null as false."""
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), bool)
