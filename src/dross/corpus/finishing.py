"""The finished corpus: rows of all segments written out in parts of equal numbers of rows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dross.core.step import KEY, NONE, RANK, ROW
from dross.corpus.files import batches, fitted, full, new
from dross.corpus.passes import ADDRESS, COPY_AT, COPY_OF, TOUCHED, Segment
from dross.corpus.places import Places
from dross.corpus.reading import RAW, as_text
from dross.corpus.sketches import Sketches, part_of

ROWS = 50_000
"""Rows of one file of the finished corpus."""
_GROUP = 1_000
FILE, NUMBER = "dross_file", "dross_row"
"""Where a row came from: the file, and the number of the row in it, from 1."""


@dataclass(frozen=True)
class Span:
    """Some rows of a file that a pass left."""

    file: str
    start: int
    stop: int


@dataclass(frozen=True)
class Part:
    """One file of the finished corpus, or of a record that goes with it.

    Attributes
    ----------
    path
        The file to write.
    spans
        Its rows, in order; or, where they were scattered by rank, none, and
    scattered
        the files of which it takes part ``number`` of ``parts``.
    schema
        The columns of the rows.
    places
        How addresses are told.
    touched
        Columns that steps have changed or added, for JSON Lines.
    """

    path: str
    schema: bytes
    places: Places
    spans: tuple[Span, ...] = ()
    scattered: tuple[str, ...] = ()
    number: int = 0
    parts: int = 1
    touched: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.path

    def tables(self) -> Iterator[pa.Table]:
        """The rows, piece by piece."""
        if self.scattered:
            found = part_of([Path(file) for file in self.scattered], self.number, self.parts)
            if found is not None:
                yield found.drop_columns([KEY, ROW])
            return
        for span in self.spans:
            at = 0
            for table in batches(Path(span.file)):
                low, high = max(span.start - at, 0), min(span.stop - at, table.num_rows)
                if low < high:
                    yield table.slice(low, high - low)
                at += table.num_rows

    def groups(self) -> Iterator[pa.Table]:
        """The rows in groups of equal size, so that the bytes written do not show which files they come from."""
        schema = pa.ipc.read_schema(pa.py_buffer(self.schema))
        waiting: list[pa.Table] = []
        count = 0
        for table in self.tables():
            waiting.append(fitted(table, schema))
            count += table.num_rows
            if count >= _GROUP:
                whole = pa.concat_tables(waiting)
                stop = count - count % _GROUP
                for start in range(0, stop, _GROUP):
                    yield whole.slice(start, _GROUP).combine_chunks()
                waiting, count = [whole.slice(stop)], count - stop
        if count:
            yield pa.concat_tables(waiting).combine_chunks()


def spans(segments: Sequence[tuple[str, int]], rows: int = ROWS) -> list[tuple[Span, ...]]:
    """Which rows of which files make each part of so many rows.

    >>> [[(s.file, s.start, s.stop) for s in part] for part in spans([("a", 3), ("b", 2)], 4)]
    [[('a', 0, 3), ('b', 0, 1)], [('b', 1, 2)]]
    """
    out: list[list[Span]] = []
    room = 0
    for file, count in segments:
        start = 0
        while start < count:
            if room == 0:
                out.append([])
                room = rows
            stop = min(count, start + room)
            out[-1].append(Span(file, start, stop))
            room -= stop - start
            start = stop
    return [tuple(part) for part in out]


# ---- writing -----------------------------------------------------------------------------------------------------


def write_part(part: Part) -> int:
    """Write rows of the finished corpus, and beside them where each came from; how many bytes they take."""
    path = Path(part.path)
    origins = path.parent / "origins" / f"{path.name.split('.')[0]}.parquet"
    if not (path.exists() and origins.exists()):
        addresses = []
        with new(path) as other:
            writer = _Lines(other, part.touched) if path.suffix == ".zst" else _Groups(other)
            for group in part.groups():
                addresses.append(group.column(ADDRESS).to_numpy())
                writer.add(group.drop_columns([name for name in (ADDRESS, RANK) if name in group.column_names]))
            writer.close()
            _sync(other)
        files, rows = part.places.of(np.concatenate(addresses or [np.empty(0, np.uint64)]))
        with new(origins) as other:
            pq.write_table(pa.table({FILE: files.dictionary_encode(), NUMBER: rows}), other, compression="zstd")
    return path.stat().st_size


def write_record(part: Part) -> int:
    """Write rows that were dropped, or old values of changed ones; how many bytes they take."""
    path = Path(part.path)
    if not path.exists():
        with new(path) as other:
            writer = _Groups(other)
            for group in part.groups():
                files, rows = part.places.of(group.column(ADDRESS).to_numpy())
                table = group.drop_columns([ADDRESS])
                if COPY_AT in table.column_names:
                    at = table.column(COPY_AT).to_numpy()
                    names = part.places.named(at) if (at != NONE).any() else pa.nulls(len(at), pa.string())
                    told = table.column(COPY_OF).combine_chunks()
                    table = table.drop_columns([COPY_AT])
                    table = table.set_column(table.column_names.index(COPY_OF), COPY_OF, told.fill_null(names))
                if RAW in table.column_names:
                    table = table.set_column(
                        table.column_names.index(RAW), RAW, table.column(RAW).cast(pa.large_string())
                    )
                writer.add(table.append_column(FILE, files).append_column(NUMBER, pa.array(rows)))
            writer.close()
            _sync(other)
    return path.stat().st_size


class _Groups:
    """A Parquet file of row groups."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer: Any = None

    def add(self, table: pa.Table) -> None:
        if self.writer is None:
            self.writer = pq.ParquetWriter(self.path, table.schema, compression="zstd")
        with full(self.path.parent):
            self.writer.write_table(table)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class _Lines:
    """Compressed JSON Lines: the raw line where nothing changed, else the object with the new values in place."""

    def __init__(self, path: Path, touched: Sequence[str]) -> None:
        self.path, self.touched = path, touched
        self.stream = pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd")

    def add(self, table: pa.Table) -> None:
        lines = table.column(RAW).to_pylist()
        changed = np.flatnonzero(table.column(TOUCHED).to_numpy())
        names = [name for name in self.touched if name in table.column_names and name not in {RAW, TOUCHED}]
        if len(changed):
            news = table.select(names).take(pa.array(changed)).to_pylist()
            for i, new_values in zip(changed.tolist(), news, strict=True):
                lines[i] = _changed(lines[i], new_values)
        with full(self.path.parent):
            self.stream.write(b"\n".join([line.rstrip(b"\r") for line in lines]) + b"\n")

    def close(self) -> None:
        with full(self.path.parent):
            self.stream.close()


def _changed(line: bytes | None, values: dict[str, Any]) -> bytes:
    kept = {} if line is None else json.loads(line)
    for name, value in values.items():
        if name not in kept or as_text(kept[name]) != value:  # a number or list that no step has changed stays one
            kept[name] = value
    try:
        return json.dumps(kept, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a character in a field that no step reads
        return json.dumps(kept).encode()


def _sync(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())


# ---- by rank -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scatter:
    """A segment whose rows go to parts by their rank: the position of each among all rows, in a file of its own."""

    segment: Segment
    first: int
    positions: str
    rows: int
    parts: int
    path: str


def scatter(task: Scatter) -> None:
    """Write the rows of a segment part by part."""
    path = Path(task.path)
    if path.exists():
        return
    writer = Sketches(path, task.parts)
    positions, at = np.load(task.positions, mmap_mode="r"), task.first
    for table in batches(Path(task.segment.file)):
        place = np.asarray(positions[at : at + table.num_rows]).astype(np.uint64)
        at += table.num_rows
        part = pa.array(place // np.uint64(task.rows))
        writer.add(table.append_column(KEY, part).append_column(ROW, pa.array(place)))
    writer.close()
