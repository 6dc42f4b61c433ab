"""Attributes: properties of rows cut into a few values, so that rows can be grouped by them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset

Codes = npt.NDArray[np.int32]

MOST_VALUES = 30
"""Values of a column that are told apart at most, the most frequent ones."""
LEAST_COVERED = 0.5
"""Share of the rows those values must cover: else the column is free text or a key."""


@dataclass(frozen=True)
class Attribute:
    """One property of every row.

    Attributes
    ----------
    name
        What it is called.
    codes
        The value of each row, shape (n,), int32: a position in ``values``; -1 where it is none of them.
    values
        Each value in words.
    """

    name: str
    codes: Codes
    values: tuple[str, ...]


def cut(name: str, numbers: npt.NDArray[np.float64], pieces: int = 4) -> Attribute | None:
    """A number cut at its quantiles into at most so many pieces; missing is a value of its own; None when constant.

    >>> cut("age", np.array([1.0, 2.0, 3.0, 4.0, np.nan]), 2).values
    ('age ≤ 2.5', 'age > 2.5', 'age missing')
    """
    known = np.isfinite(numbers)
    if not known.any():
        return None
    edges = np.unique(np.quantile(numbers[known], np.arange(1, pieces) / pieces))
    edges = edges[edges < numbers[known].max()]
    codes = np.searchsorted(edges, numbers, side="left").astype(np.int32)
    shown = [f"{edge:.4g}" for edge in edges]
    values = [f"{name} ≤ {edge}" for edge in shown[:1]]
    values += [f"{low} < {name} ≤ {high}" for low, high in itertools.pairwise(shown)]
    values += [f"{name} > {edge}" for edge in shown[-1:]] or [f"{name} known"]
    if not known.all():
        codes[~known] = len(values)
        values.append(f"{name} missing")
    return Attribute(name, codes, tuple(values)) if len(values) > 1 else None


def categories(name: str, column: pa.ChunkedArray) -> Attribute | None:
    """The most frequent values of a column; None for a constant, free text or a key.

    >>> categories("sex", pa.chunked_array([["m", "f", "m", None]])).values
    ('sex = m', 'sex = f', 'sex missing')
    """
    texts = pc.cast(column, pa.string())
    encoded = pa.concat_arrays(texts.chunks or [pa.array([], pa.string())]).dictionary_encode()
    found = encoded.dictionary.to_pylist()
    raw = encoded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
    counts = np.bincount(raw, minlength=len(found) + 1)
    order = np.argsort(-counts[: len(found)], kind="stable")[:MOST_VALUES]
    covered = counts[order].sum() + counts[len(found)]
    if not len(raw) or covered < LEAST_COVERED * len(raw):
        return None
    names = [f"{name} = {found[i]}" for i in order]
    rank = np.full(len(counts), -1, np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    if counts[len(found)]:
        rank[len(found)] = len(names)
        names.append(f"{name} missing")
    return Attribute(name, rank[raw], tuple(names)) if len(names) > 1 else None


def attributes_of(data: Dataset, columns: Iterable[str], pieces: int = 4) -> list[Attribute]:
    """The attributes of columns: numbers cut into pieces, the values of all others; lists and blobs have none."""
    found = []
    for name in columns:
        column = data.table.column(name)
        kind, types = column.type, pa.types
        if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
            numbers = data.numbers(name)
            few = types.is_integer(kind) and len(pc.unique(column)) <= MOST_VALUES
            attribute = categories(name, column) if few else cut(name, numbers, pieces)
        elif any(check(kind) for check in (types.is_string, types.is_large_string, types.is_boolean)) or (
            types.is_dictionary(kind)
        ):
            attribute = categories(name, column)
        else:
            continue
        if attribute is not None:
            found.append(attribute)
    return found
