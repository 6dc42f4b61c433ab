"""Which column of the user's probabilities stands for which class.

Columns without names follow the sorted labels; labels that are class numbers name the columns themselves. Columns with
names (of a table, or in an array ``classes`` beside ``pred_probs`` in a ``.npz`` file) may come in any order. A column
may stand for a class that no row is labelled with: it is a class like the others, and can be suggested.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dross.core.dataset import CLASSES, Dataset, sort_key
from dross.core.errors import DrossError, nearest
from dross.core.roles import Role
from dross.io.vectors import Matrix, as_column

NAMES = b"dross.columns"
"""Table metadata: the names that the columns of the probabilities came with, until they are matched to the labels."""


def matched(classes: Sequence[Any], width: int, names: Sequence[str] | None) -> tuple[list[int], list[Any]]:
    """The order in which to take the columns, and the class of each of them then, sorted.

    ``classes`` are the labels that occur, sorted; ``width`` is the number of columns, ``names`` what they are called.

    >>> matched(["a", "b"], 3, ["b", "z", "a"])
    ([2, 0, 1], ['a', 'b', 'z'])
    >>> matched([1, 2], 4, None)
    ([0, 1, 2, 3], [0, 1, 2, 3])
    """
    order = list(range(width))
    if names is not None and {str(c) for c in classes} & set(names):
        return _by_name(classes, names)
    if width > len(classes) and _are_numbers(classes, width):
        return order, order.copy()
    if width != len(classes):
        shown = ", ".join(str(c) for c in classes[:10]) + (", …" if len(classes) > 10 else "")
        raise DrossError(
            f"there are {width} columns of probabilities for {len(classes)} classes",
            where="pred_probs",
            fix=f"give one column per class that occurs, in this order: {shown}; or name the columns: a table whose"
            " columns are called as the classes, or an array 'classes' beside 'pred_probs' in a .npz file",
        )
    return order, list(classes)


def with_classes(data: Dataset) -> Dataset:
    """The data with its probabilities in the order of the sorted classes; metadata keep those that do not occur."""
    metadata: Mapping[bytes, bytes] = data.table.schema.metadata or {}
    names = json.loads(metadata[NAMES]) if NAMES in metadata else None
    order, classes = matched(data.classes, data.column(Role.PROBS).type.list_size, names)
    table, column = data.table, data.name_of(Role.PROBS)
    if order != list(range(len(order))):
        moved: Matrix = data.matrix(Role.PROBS)[:, order]
        table = table.set_column(table.column_names.index(column), column, as_column(moved))
    kept = {key: value for key, value in metadata.items() if key != NAMES}
    if len(classes) > len(data.classes):
        kept[CLASSES] = json.dumps(classes).encode()
    if kept == metadata and table is data.table:
        return data
    return Dataset(table.replace_schema_metadata(kept), data.roles, source=data.source, row_ids=data.row_ids)


def absent(data: Dataset) -> list[Any]:
    """The classes that the probabilities name and no row is labelled with."""
    rows = np.bincount(data.codes[data.codes >= 0], minlength=len(data.classes))
    return [name for name, count in zip(data.classes, rows.tolist(), strict=True) if not count]


def named(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The table with the names of its probabilities' columns, for :func:`with_classes` to read."""
    metadata = {**(table.schema.metadata or {}), NAMES: json.dumps(list(names)).encode()}
    return table.replace_schema_metadata(metadata)


def _by_name(classes: Sequence[Any], names: Sequence[str]) -> tuple[list[int], list[Any]]:
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise DrossError(
            f"two columns of probabilities are called {twice[0]!r}", where="pred_probs", fix="name it once"
        )
    own = {str(c): c for c in classes}
    lacking = [name for name in own if name not in names]
    if lacking:
        raise DrossError(
            f"no column of probabilities is called {lacking[0]!r}, as a label is ({len(lacking):,} such labels)",
            where="pred_probs",
            fix=nearest(lacking[0], list(names)),
        )
    values = [own[name] if name in own else _like(classes, name) for name in names]
    order = sorted(range(len(names)), key=lambda j: sort_key(values[j]))
    return order, [values[j] for j in order]


def _like(classes: Sequence[Any], name: str) -> Any:
    """A class that does not occur, in the type of those that do."""
    kinds = {type(c) for c in classes}
    if kinds == {str}:
        return name
    for kind in (int, float):
        if kinds == {kind}:
            try:
                return kind(name)
            except ValueError:
                break
    raise DrossError(
        f"the column {name!r} of the probabilities names no label",
        where="pred_probs",
        fix="leave it out, or call it as a label of the same type as the others",
    )


def _are_numbers(classes: Sequence[Any], width: int) -> bool:
    return all(type(c) is int and 0 <= c < width for c in classes)
