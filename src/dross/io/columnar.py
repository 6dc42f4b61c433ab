"""Parquet and Arrow IPC files (Feather too)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from dross.core.errors import DrossError
from dross.io.canonical import canonical
from dross.io.paths import reading
from dross.io.shards import check_names, unify


def read(files: Sequence[Path], kind: str, metadata: dict[bytes, bytes] | None = None) -> pa.Table:
    """The rows of one or several Parquet or Arrow files, columns in their canonical types.

    ``metadata`` stands in for the files' own where they have none.
    """
    one = read_parquet if kind == "parquet" else read_arrow
    tables = []
    for file in files:
        table = one(file)
        if metadata:
            table = table.replace_schema_metadata({**metadata, **(table.schema.metadata or {})})
        with reading(file):
            tables.append(canonical(table))
    return unify(tables, files)


def read_parquet(file: Path) -> pa.Table:
    """One Parquet file, in its own types."""
    import pyarrow.parquet as pq

    _not_empty(file)
    with reading(file):
        check_names(pq.read_schema(file).names, file)
        return pq.ParquetFile(file).read()


def read_arrow(file: Path) -> pa.Table:
    """One Arrow file in its own types: the IPC file format, the stream format, or the first Feather; memory-mapped."""
    _not_empty(file)
    with reading(file):
        with file.open("rb") as opened:
            magic = opened.read(6)
        if magic.startswith(b"FEA1"):
            import pyarrow.feather

            return pyarrow.feather.read_table(str(file))
        mapped = pa.memory_map(str(file))
        reader = pa.ipc.open_file(mapped) if magic == b"ARROW1" else pa.ipc.open_stream(mapped)
        check_names(reader.schema.names, file)
        table = reader.read_all()
        table.validate(full=True)  # a damaged file must not reach code that trusts its offsets
        return table


def _not_empty(file: Path) -> None:
    with reading(file):
        size = file.stat().st_size
    if size == 0:
        raise DrossError("the file is empty", where=str(file), fix="name a file with rows")
