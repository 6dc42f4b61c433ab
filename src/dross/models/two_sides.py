"""Two sides: rows that are pairs (query and passage, image and caption, content and label), each side as vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.hashing import Hashes
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.embedding import CLASSICAL, Embedding

Vectors = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

PAIRED = ((Role.QUERY, Role.PASSAGE), (Role.PROMPT, Role.RESPONSE), (Role.IMAGE, Role.TEXT))
"""The roles that make a pair, the first that a dataset has."""


@dataclass(frozen=True)
class Sides:
    """n pairs.

    Attributes
    ----------
    first, second
        The vectors of both sides, shapes (n, d) and (n, e), float32, each row of unit length.
    names
        What the sides are called.
    alike
        Whether both lie in one space already, so that their cosine means something.
    content
        A hash of each row's second side, shape (n,): equal ones are the same caption, passage or class.
    known
        Which rows have both sides, shape (n,).
    """

    first: Vectors
    second: Vectors
    names: tuple[str, str]
    alike: bool
    content: Hashes
    known: Flags

    def take(self, rows: npt.NDArray[Any]) -> Sides:
        """Some of the pairs."""
        return Sides(self.first[rows], self.second[rows], self.names, self.alike, self.content[rows], self.known[rows])


def sideless(data: Dataset, first: str = "", second: str = "") -> NotApplicable | None:
    """None where rows are pairs: two columns are named, or two roles make a pair, or content has a label."""
    if first and second:
        return None
    if any(data.has(*roles) for roles in PAIRED) or (data.has(Role.LABEL) and data.content):
        return None
    return NotApplicable(
        "needs pairs: query and passage, prompt and response, image and text, content and label, or two named columns"
    )


def sides_of(data: Dataset, signals: Signals, *, first: str = "", second: str = "", model: str = CLASSICAL) -> Sides:
    """Both sides of all rows as vectors.

    Two texts are embedded with one fit, so that they lie in one space; so do two columns of vectors of equal width.
    An image and its text, and content and its label (a vector with a one at its class), do not.

    Raises
    ------
    DrossError
        For a column that is not there, or holds neither text nor vectors.

    >>> rows = pa.table({"q": ["red fox", "blue hen", None], "p": ["a fox, red", "the hen is blue", "x"]})
    >>> found = sides_of(data := Dataset(rows, {Role.QUERY: ["q"], Role.PASSAGE: ["p"]}), Signals(data))
    >>> found.names, found.alike, found.known.tolist(), bool(found.first[0] @ found.second[0] > 0.5)
    (('q', 'p'), True, [True, True, False], True)
    """
    names = _names(data, first, second)
    if names is not None and Role.IMAGE in data.roles and names == _names_of(data, (Role.IMAGE, Role.TEXT)):
        parts = [
            Dataset(data.table, {role: [name]}, source=data.source) for role, name in zip(PAIRED[2], names, strict=True)
        ]
        vectors = [_embedded(part, signals, model if i else CLASSICAL) for i, part in enumerate(parts)]
        return _made(data, vectors[0], vectors[1], names, False)
    if names is None:
        return _labelled(data, signals)
    vector = [_is_vector(data, name) for name in names]
    if all(vector):
        a, b = (unit(Dataset(data.table, {Role.EMBEDDING: [name]}).matrix(Role.EMBEDDING)) for name in names)
        return _made(data, a, b, names, a.shape[1] == b.shape[1])
    if any(vector):
        raise DrossError(
            "one side is vectors and the other is text",
            where=f"columns {names[0]!r} and {names[1]!r}",
            fix="give two columns of text, or two of vectors",
        )
    both = pa.chunked_array([*_strings(data, names[0]).chunks, *_strings(data, names[1]).chunks], pa.large_string())
    E = _embedded(Dataset(pa.table({"text": both}), {Role.TEXT: ["text"]}), signals, model)
    return _made(data, E[: len(data)], E[len(data) :], names, True)


def unit(vectors: Vectors) -> Vectors:
    """Rows of unit length, float32; a row of zeros stays.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).round(1).tolist()
    [[0.6..., 0.8...], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 1e-12, lengths, 1), np.float32)


def _names_of(data: Dataset, roles: tuple[Role, Role]) -> tuple[str, str] | None:
    return (data.name_of(roles[0]), data.name_of(roles[1])) if data.has(*roles) else None


def _names(data: Dataset, first: str, second: str) -> tuple[str, str] | None:
    """The two columns; None where the second side is the label."""
    if bool(first) != bool(second):
        raise DrossError(f"only one side is named: {first or second!r}", fix="name both, or neither")
    if first:
        for name in (first, second):
            if name not in data.table.column_names:
                raise DrossError(f"no column {name!r}", fix=nearest(name, data.table.column_names))
        return first, second
    return next((found for roles in PAIRED if (found := _names_of(data, roles)) is not None), None)


def _labelled(data: Dataset, signals: Signals) -> Sides:
    codes = np.asarray(data.codes)
    second = np.zeros((len(data), max(1, len(data.classes))), np.float32)
    second[codes >= 0, codes[codes >= 0]] = 1
    first = unit(np.nan_to_num(np.asarray(signals[Embedding()], np.float32)))
    return Sides(
        first, second, ("content", data.name_of(Role.LABEL)), False, data.hashes(data.name_of(Role.LABEL)), codes >= 0
    )


def _made(data: Dataset, first: Vectors, second: Vectors, names: tuple[str, str], alike: bool) -> Sides:
    known = np.ones(len(data), bool)
    for name in names:
        known &= np.asarray(pc.is_valid(data.table.column(name)), bool)
    finite = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    return Sides(np.nan_to_num(first), np.nan_to_num(second), names, alike, data.hashes(names[1]), known & finite)


def _embedded(part: Dataset, signals: Signals, model: str) -> Vectors:
    return unit(np.asarray(Signals(part, signals.store, signals.progress)[Embedding(model)], np.float32))


def _is_vector(data: Dataset, name: str) -> bool:
    kind = data.table.column(name).type
    return bool(pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type))


def _strings(data: Dataset, name: str) -> pa.ChunkedArray:
    column = data.table.column(name)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise DrossError("a side holds neither text nor vectors", where=f"column {name!r}, of type {column.type}")
    return pc.fill_null(column.cast(pa.large_string()), "")
