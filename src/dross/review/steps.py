"""Steps: the opinions that one decision amounts to."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.review.item import NOTHING, accepting, label_value
from dross.review.queue import Queue

Rows = npt.NDArray[np.int64]
ACCEPT = "accept"


def steps_of(queue: Queue, data: Dataset, rows: Rows, says: str, value: Any) -> list[tuple[str, Rows, list[Any]]]:
    """The opinions that a decision amounts to: what to do, with which rows, and the new value of each.

    To accept is to relabel the rows for which a label is suggested and to drop those that are copies; a row for which
    nothing is suggested is left out. Raises DrossError where a decision lacks its new value, or it cannot be one.

    >>> from dross.core.results import Issue
    >>> data = Dataset(pa.table({"y": ["cat", "dog", "cat"]}), {Role.LABEL: ["y"]})
    >>> table = pa.table({"row": [1], "id": ["b"], "score": [0.9], "flagged": [True], "suggestion": ["cat"],
    ...                   "expected_precision": [0.8]})
    >>> steps_of(Queue(data, Issue.LABEL, table), data, np.array([0, 1]), "accept", None)
    [('relabel', array([1]), ['cat'])]
    """
    _check_value(data, says, value)
    if says != ACCEPT:
        if says == "relabel":
            several = isinstance(value, list | tuple)
            value = [str(v) for v in value] if several else label_value(data, str(value))
        return [(says, rows, [value] * len(rows))]
    at = np.minimum(np.searchsorted(queue.rows, rows), len(queue) - 1)
    found = queue.rows[at] == rows
    suggested = queue.table.column("suggestion").take(pa.array(at, mask=~found)).to_pylist()
    kinds = [
        accepting(queue.issue, {"suggestion": one, "method": None if there else NOTHING}, data)
        for one, there in zip(suggested, found.tolist(), strict=True)
    ]
    steps = []
    for verb in ("relabel", "drop"):
        own = [i for i, kind in enumerate(kinds) if kind == verb]
        if own:
            values = [label_value(data, suggested[i]) if verb == "relabel" else None for i in own]
            steps.append((verb, rows[own], values))
    return steps


def _check_value(data: Dataset, says: str, value: Any) -> None:
    """Raise where a decision lacks its new value, or it cannot be one."""
    if says == "relabel":
        several = data.has(Role.LABELS)
        if value is None or isinstance(value, list | tuple) is not several or value == "":
            fix = "give a list of labels as value" if several else "give one label as value"
            raise DrossError("which label should it be?", fix=fix)
    if says == "set" and not isinstance(value, str):
        raise DrossError("set puts another text in place of one", fix="give a text as value, and its column as field")
