"""Putting shards together: one schema, or an error that names the shard that differs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from dross.core.errors import DrossError
from dross.io.canonical import nulls_as_text


def unify(tables: Sequence[pa.Table], files: Sequence[Path], *, optional: bool = False) -> pa.Table:
    """One table of the rows of all, in order; columns in the order of the first.

    Numbers of different widths are widened. ``optional`` columns may be missing from some shards, where they are null.
    Columns that are null throughout come out as text.

    >>> a, b = pa.table({"x": [1], "y": ["a"]}), pa.table({"y": ["b"], "x": [0.5]})
    >>> unify([a, b], [Path("a.csv"), Path("b.csv")])["x"].to_pylist()
    [1.0, 0.5]
    """
    first = tables[0].column_names
    for table, file in zip(tables, files, strict=True):
        check_names(table.column_names, file)
        if not optional:
            check_same(first, table.column_names, files[0], file)
    names = list(dict.fromkeys(name for table in tables for name in table.column_names))
    ordered = [table.select([name for name in names if name in table.column_names]) for table in tables]
    try:
        whole = pa.concat_tables(ordered, promote_options="permissive")
    except pa.ArrowException as error:
        raise _misfit(ordered, files) or error from error
    return nulls_as_text(whole.select(names))


def check_names(names: Sequence[str], file: Path | str | None) -> None:
    """Refuse a table in which two columns have the same name."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise DrossError(
            f"two columns are called {twice[0]!r}",
            where=None if file is None else str(file),
            fix="give every column a name of its own (does the file have a header line?)",
        )


def check_same(first: Sequence[str], names: Sequence[str], first_file: Path, file: Path) -> None:
    """Refuse a shard whose columns are not those of the first."""
    lacks = [name for name in first if name not in names]
    extra = [name for name in names if name not in first]
    if lacks or extra:
        says = [f"it lacks {', '.join(lacks[:5])}"] if lacks else []
        says += [f"it also has {', '.join(extra[:5])}"] if extra else []
        raise DrossError(
            f"this shard's columns differ from those of {first_file.name}: {' and '.join(says)}",
            where=str(file),
            fix="give all shards the same columns, or load them apart",
        )


def _misfit(tables: Sequence[pa.Table], files: Sequence[Path]) -> DrossError | None:
    """The first shard with a column whose type does not go together with that of the shards before it."""
    for name in tables[0].column_names:
        kinds = [(table.schema.field(name).type, file) for table, file in zip(tables, files, strict=True)
                 if name in table.column_names]  # fmt: skip
        merged = pa.schema([pa.field(name, kinds[0][0])])
        for kind, file in kinds[1:]:
            try:
                merged = pa.unify_schemas([merged, pa.schema([pa.field(name, kind)])], promote_options="permissive")
            except pa.ArrowException:
                return DrossError(
                    f"the column {name!r} holds {kind} in this shard but {merged.field(0).type} in those before it",
                    where=str(file),
                    fix="give the column one type in all shards",
                )
    return None
