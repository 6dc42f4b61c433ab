"""The findings of several methods that look for the same defect, as one: one entry a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.results import Findings, Issue, Rows, Scores

Places = npt.NDArray[np.int64] | None


def union_rows(found: Mapping[str, Findings]) -> Rows:
    """The rows that any method found, ascending."""
    parts = [f.rows for f in found.values()]
    first = parts[0]
    if all(len(p) == len(first) and np.array_equal(p, first) for p in parts[1:]):
        return first
    return np.unique(np.concatenate(parts))


def merge_findings(
    issue: Issue, found: Mapping[str, Findings], rows: Rows, scores: Scores, loudest: npt.NDArray[np.int8]
) -> Findings:
    """One entry a row: the given scores, the suggestion of the loudest method that has one, everybody's evidence.

    Parameters
    ----------
    issue
        The defect.
    found
        The findings of each method, by its name.
    rows
        Rows that some method found, ascending.
    scores
        The combined score of each, shape (m,).
    loudest
        Per row the method whose suggestion comes first, an index into ``found``.
    """
    if len(found) == 1:
        only = next(iter(found.values()))
        return Findings(issue, rows, scores, only.suggestion, only.evidence, {})
    places = [_places(f.rows, rows) for f in found.values()]
    evidence: dict[str, npt.NDArray[Any]] = {}
    for name, at, one in zip(found, places, found.values(), strict=True):
        evidence[f"score_{name.replace('-', '_')}"] = _spread(one.scores, at)
        for key, values in one.evidence.items():
            taken = sum(key in other.evidence for other in found.values()) > 1
            evidence[f"{key}_{name.replace('-', '_')}" if taken else key] = _spread(values, at)
    return Findings(issue, rows, scores, _suggestion(list(found.values()), places, loudest), evidence, {})


def _places(own: Rows, rows: Rows) -> Places:
    """The position among a method's entries of each row, shape (m,); -1 where it has none; None where all match."""
    if np.array_equal(own, rows):
        return None
    if not len(own):
        return np.full(len(rows), -1)
    at = np.minimum(np.searchsorted(own, rows), len(own) - 1)
    return np.where(own[at] == rows, at, -1)


def _spread(values: npt.NDArray[Any], at: Places) -> npt.NDArray[Any]:
    """A column of a method's entries on other rows; NaN, -1, false or nothing where the method has no entry."""
    values = np.asarray(values)
    if at is None:
        return values
    missing = at < 0
    if not missing.any():
        return values[at]
    blank = np.zeros((1, *values.shape[1:]), values.dtype)
    if values.dtype.kind == "f":
        blank[:] = np.nan
    elif values.dtype.kind == "i":
        blank[:] = -1
    return np.concatenate([values, blank])[at]


def _suggestion(found: list[Findings], places: list[Places], loudest: npt.NDArray[np.int8]) -> npt.NDArray[Any] | None:
    columns = [
        None if one.suggestion is None else _spread(one.suggestion, at) for one, at in zip(found, places, strict=True)
    ]
    given = [c for c in columns if c is not None]
    if not given:
        return None
    kind = np.result_type(*given)
    nothing = np.nan if kind.kind == "f" else -1
    chosen = np.full(len(loudest), nothing, kind)
    filled = np.zeros(len(loudest), np.bool_)
    # the loudest method first, then the others in order
    for first in (True, False):
        for index, column in enumerate(columns):
            if column is None:
                continue
            has = ~np.isnan(column) if column.dtype.kind == "f" else column != -1
            take = has & ~filled & ((loudest == index) if first else True)
            chosen[take] = column[take]
            filled |= take
    return chosen
