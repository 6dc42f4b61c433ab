"""Files of a run under way: written under another name until they are whole, so that a run can end at any moment."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from dross.core.errors import DrossError

SEGMENT = 1 << 27
"""Bytes of rows in one file of a pass: what one worker reads in the next."""
_LITTLE = 1 << 20
_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")


@contextmanager
def new(path: Path) -> Iterator[Path]:
    """A name to write to; the file has its own name once the block ends without an error."""
    other = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with full(path.parent):
            yield other
            other.replace(path)
    except BaseException:
        other.unlink(missing_ok=True)
        raise


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """A full disk as an error that says so."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC and "No space left" not in str(error) and _free(folder) > _LITTLE:
            raise  # NumPy does not say why it wrote less than it should, so the room that is left tells
        raise DrossError(
            "the disk is full",
            where=str(folder),
            fix="make room and run the same command again: it goes on from the shards that are finished",
        ) from error


def _free(folder: Path) -> int:
    there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    return shutil.disk_usage(there).free


def write_json(path: Path, value: Any) -> None:
    """Write plain values."""
    with new(path) as other:
        other.write_text(json.dumps(value, ensure_ascii=False, sort_keys=True), encoding="utf-8")


def read_json(path: Path) -> Any:
    """Plain values, or None where there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def once(marker: Path, work: Callable[[], dict[str, Any]], source: str = "") -> dict[str, Any]:
    """The outcome of some work, from a file where it was done from this source before, else done and kept there."""
    done = read_json(marker)
    if done is None or done["source"] != source:
        done = work() | {"source": source}
        write_json(marker, done)
    found: dict[str, Any] = done
    return found


class Growing:
    """A table written batch by batch; the file appears when it is closed, and not at all when nothing was written."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows, self.size = path, 0, 0
        self._other = path.with_name(f"{path.name}.{os.getpid()}.new")
        self._writer: Any = None
        self._schema: pa.Schema | None = None

    def add(self, table: pa.Table) -> None:
        """Append rows; columns that the first ones lacked are left out, those they had and these lack become null."""
        if not table.num_rows:
            return
        with full(self.path.parent):
            if self._writer is None:
                self._schema = table.schema
                self._writer = pa.ipc.new_file(str(self._other), table.schema, options=_LZ4)
            self._writer.write_table(fitted(table, self._schema))
        self.rows, self.size = self.rows + table.num_rows, self.size + table.nbytes

    def close(self) -> bool:
        """Whether anything was written; the file is whole now."""
        if self._writer is None:
            return False
        with full(self.path.parent):
            self._writer.close()
            self._other.replace(self.path)
        self._writer = None
        return True


def fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of a schema: those it lacks are null, numbers are widened.

    >>> fitted(pa.table({"a": [1]}), pa.schema([("a", pa.float64()), ("b", pa.string())])).to_pylist()
    [{'a': 1.0, 'b': None}]
    """
    if table.schema.equals(schema):
        return table
    names = set(table.column_names)
    columns = [
        table.column(field.name).cast(field.type) if field.name in names else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def batches(path: Path) -> Iterator[pa.Table]:
    """The batches of a table, one in memory at a time."""
    with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as file:
        for i in range(file.num_record_batches):
            yield pa.Table.from_batches([file.get_batch(i)])


def read(path: Path) -> pa.Table:
    """A whole table."""
    with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as file:
        return file.read_all()


def write(path: Path, table: pa.Table) -> None:
    """Write a table, uncompressed, so that it can be read in place."""
    with new(path) as other, pa.ipc.new_file(str(other), table.schema) as writer:
        writer.write_table(table)
