"""What a model is shown of a row: its text, its columns, its picture; never its label."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.llm.prompts import ClassName

Codes = npt.NDArray[np.int32]

TOGETHER = 200
"""Rows that are asked about together: all voters speak on these before the next are begun."""
_SHOWN = (Role.TEXT, Role.FEATURES)
_KINDS = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))


@dataclass(frozen=True)
class Shown:
    """One row as a model sees it: all of it as one text, the values by column, pictures as data URLs."""

    text: str
    columns: dict[str, Any] = field(default_factory=dict)
    images: tuple[str, ...] = ()


def can_show(data: Dataset) -> bool:
    """Whether rows hold anything that a language model can be shown."""
    return any(data.has(role) for role in (*_SHOWN, Role.IMAGE))


def shown(data: Dataset, rows: Sequence[int] | npt.NDArray[np.int64]) -> list[Shown]:
    """The given rows: one text column is shown as it is, several columns as "name: value" lines.

    >>> data = Dataset(pa.table({"a": ["x"], "b": ["y"], "l": ["z"]}), {Role.TEXT: ["a", "b"], Role.LABEL: ["l"]})
    >>> shown(data, [0])[0].text
    'a: x\\nb: y'
    """
    names = [name for name in data.table.column_names if any(name in data.roles.get(role, ()) for role in _SHOWN)]
    pictures = [data.name_of(Role.IMAGE)] if data.has(Role.IMAGE) else []
    part = data.table.select([*names, *pictures]).take(pa.array(rows, pa.int64()))
    made = []
    for values in part.to_pylist():
        columns = {name: values[name] for name in names if values[name] is not None}
        single = len(names) == 1 and data.has(Role.TEXT)
        text = str(columns.get(names[0], "")) if single else "\n".join(f"{c}: {v}" for c, v in columns.items())
        images = tuple(url for name in pictures if (url := _url(data, values[name])))
        made.append(Shown(text, columns, images))
    return made


def _url(data: Dataset, value: Any) -> str | None:
    from dross.io.images import content, root_of

    found = content(value, root_of(data.source))
    if found is None:
        return None
    kind = next((kind for mark, kind in _KINDS if found.startswith(mark)), None)
    if kind is None:
        raise DrossError("a picture is in a form that models do not take", fix="use PNG, JPEG, GIF or WebP")
    return f"data:image/{kind};base64,{base64.b64encode(found).decode()}"


def blocks(data: Dataset) -> Iterator[tuple[npt.NDArray[np.int64], list[Shown]]]:
    """The rows that hold anything to show, in consecutive pieces, with what is shown of each.

    >>> data = Dataset(pa.table({"t": ["x", None, " "]}), {Role.TEXT: ["t"]})
    >>> [rows.tolist() for rows, _ in blocks(data)]
    [[0]]
    """
    for start in range(0, len(data), TOGETHER):
        rows = np.arange(start, min(start + TOGETHER, len(data)))
        found = shown(data, rows)
        there = [i for i, one in enumerate(found) if one.text.strip() or one.images]
        if there:
            yield rows[there], [found[i] for i in there]


def class_names(given: Sequence[tuple[str, str] | str], data: Dataset) -> list[ClassName]:
    """The classes with their meanings: as configured, else those of the labelled rows; empty without either."""
    if not given and data.has(Role.LABEL):
        given = [str(c) for c in data.classes]
    found = [ClassName(one) if isinstance(one, str) else ClassName(*one) for one in given]
    plain = [" ".join(c.name.casefold().split()) for c in found]
    odd = next((c.name for c, p in zip(found, plain, strict=True) if not p or plain.count(p) > 1), None)
    if odd is not None:
        raise DrossError(f"the class {odd!r} is empty or named twice", fix="a model must be able to name each class")
    return found


def values_of(classes: Sequence[ClassName], data: Dataset) -> list[Any]:
    """The classes as the data's labels hold them (numbers, say), by name where it has none such."""
    known = {str(value): value for value in data.classes} if data.has(Role.LABEL) else {}
    return [known.get(c.name, c.name) for c in classes]


def given_codes(data: Dataset, classes: Sequence[ClassName]) -> Codes:
    """The known label of each row as a position among the classes, shape (n,), -1 where there is none."""
    if not data.has(Role.LABEL):
        return np.full(len(data), -1, np.int32)
    place = {c.name: i for i, c in enumerate(classes)}
    to = np.array([place.get(str(c), -1) for c in data.classes] + [-1], np.int32)
    return np.asarray(to[data.codes], np.int32)


def demonstrations(codes: Codes, k: int, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Labelled rows to show as examples: ``count`` in all, the classes in turn, in random order."""
    rng = np.random.default_rng(seed)
    heaps = [rng.permutation(np.flatnonzero(codes == c)).tolist() for c in range(k)]
    taken: list[int] = []
    while len(taken) < count and any(heaps):
        for heap in heaps:
            if heap and len(taken) < count:
                taken.append(heap.pop())
    return rng.permutation(np.array(taken, np.int64))
