"""The facts behind a report: what the data is made of, what methods say of it as a whole, how it was measured."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.report.charts import share_bar
from dross.report.text import cut, number, percent, plain, visible

MOST_COLUMNS, MOST_CLASSES, MOST_LINES, MOST_CELLS = 40, 15, 8, 6
TOGETHER = 6
"""More columns than this of one role and type share a line."""
LIBRARIES = ("numpy", "scipy", "scikit-learn", "pyarrow", "polars", "numba", "faiss-cpu")


@dataclass(frozen=True)
class Table:
    """A small table: headings and rows of visible text; ``numeric`` says which columns hold numbers."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    numeric: list[bool]
    more: int = 0


@dataclass(frozen=True)
class Count:
    """One value of a column and how many rows have it."""

    name: str
    rows: int
    share: str
    bar: Markup


def columns(data: Dataset) -> Table:
    """Name, role, type and missing cells of each column; many columns of one kind share a line."""
    role_of = {column: str(role) for role, names in data.roles.items() for column in names}
    kinds: dict[tuple[str, str], list[str]] = {}
    for name in sorted(data.table.column_names, key=lambda c: c not in role_of):
        kinds.setdefault((role_of.get(name, "–"), _type(data.table.schema.field(name).type)), []).append(name)
    rows = []
    for (role, kind), names in kinds.items():
        missing = [data.table.column(name).null_count / max(1, len(data)) for name in names]
        if len(names) > TOGETHER:
            first = ", ".join(cut(name, 30) for name in names[:3])
            gone = percent(max(missing))
            shown = gone if min(missing) == max(missing) else f"up to {gone}"
            rows.append([f"{first} and {len(names) - 3:,} more", role, kind, shown])
        else:
            rows += [[cut(name, 60), role, kind, percent(share)] for name, share in zip(names, missing, strict=True)]
    headings = ["column", "role", "type", "missing"]
    return Table(
        "Columns", headings, rows[:MOST_COLUMNS], [False, False, False, True], max(0, len(rows) - MOST_COLUMNS)
    )


def _type(kind: pa.DataType) -> str:
    if pa.types.is_fixed_size_list(kind):
        return f"{kind.list_size} × {_type(kind.value_type)}"
    if pa.types.is_dictionary(kind):
        return f"category of {_type(kind.value_type)}"
    words = {"string": "text", "large_string": "text", "double": "number", "float": "number", "bool": "yes or no"}
    words |= {"binary": "bytes", "large_binary": "bytes", "null": "empty"}
    name = str(kind)
    return words.get(name, "whole number" if name.startswith(("int", "uint")) else cut(name, 30))


def counts(data: Dataset, role: Role) -> tuple[list[Count], int]:
    """The most frequent values of a role's column, and how many others there are."""
    if not data.has(role):
        return [], 0
    column = data.column(role)
    if pa.types.is_nested(column.type):
        column = pc.list_flatten(column)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    found = pc.value_counts(column.combine_chunks() if column.num_chunks != 1 else column.chunk(0))
    values, sizes = found.field("values"), found.field("counts").to_numpy()
    order = np.argsort(-sizes, kind="stable")[:MOST_CLASSES]
    total, largest = max(1, int(sizes.sum())), max(1, int(sizes.max(initial=1)))
    out = []
    for i in order:
        value = values[int(i)].as_py()
        name = "(missing)" if value is None else cut(str(value), 60)
        share = percent(sizes[i] / total)
        out.append(Count(name, int(sizes[i]), share, share_bar(sizes[i] / largest, f"{name}: {share}")))
    return out, len(sizes) - len(out)


def versions(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What software measured it: the versions the report is made with, and dross as the run recorded it."""
    found = [("dross", str(run["dross"])), ("Python", platform.python_version())]
    for library in LIBRARIES:
        try:
            found.append((library, metadata.version(library)))
        except metadata.PackageNotFoundError:
            continue
    return found


def summary(facts: Mapping[str, Any]) -> tuple[list[tuple[str, str]], list[Table]]:
    """What a method says of the dataset as a whole: single values, and tables where it lists things."""
    single, tables = [], []
    for key, value in facts.items():
        name = visible(str(key).replace("_", " "))[:60]
        if value in ([], {}, (), "", None) or _is_matrix(value):
            continue
        table = _table(name, value)
        if table is None:
            single.append((name, plain(value)))
        else:
            tables.append(table)
    return single, tables


def _is_matrix(value: Any) -> bool:
    """Rows of numbers: nothing to read in a table; the plots show what matters of them."""
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], list | tuple)


def _table(title: str, value: Any) -> Table | None:
    if isinstance(value, Mapping) and value and all(isinstance(v, Mapping) for v in value.values()):
        value = [{"": key, **inner} for key, inner in value.items()]
    if isinstance(value, Mapping) and len(value) > 3:
        value = [{"": key, "value": inner} for key, inner in value.items()]
    if not isinstance(value, list | tuple) or not value:
        return None
    if all(isinstance(v, Mapping) for v in value):
        headings = list(dict.fromkeys(str(key) for one in value for key in one))[:MOST_CELLS]
        lines = [[one.get(h) for h in headings] for one in value[:MOST_LINES]]
    else:
        return None
    numeric = [all(isinstance(line[i], int | float | None) for line in lines) for i in range(len(headings))]
    rows = [[plain(cell, 60) for cell in line] for line in lines]
    return Table(title, [visible(h.replace("_", " "))[:40] for h in headings], rows, numeric, len(value) - len(rows))


def methods(run: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every method with how it ended: those that failed first, then those that ran, then those with nothing to do."""
    order = {"failed": 0, "ok": 1, "not applicable": 2}
    found = [
        {
            "name": visible(name),
            "status": str(m["status"]),
            "reason": cut(str(m.get("reason") or ""), 400),
            "seconds": number(m.get("seconds"), 2) if m["status"] == "ok" else "",
        }
        for name, m in run["methods"].items()
    ]
    return sorted(found, key=lambda m: (order.get(m["status"], 3), m["name"]))
