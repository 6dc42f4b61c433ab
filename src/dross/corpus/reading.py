"""Reading a piece as blocks of rows, of bounded size whatever the file holds."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from dross.core.errors import DrossError, nearest
from dross.corpus.pieces import Piece
from dross.io.paths import compression_of, reading

RAW = "dross_raw"
"""The line that a row of JSON Lines stands in; written out again as it is where no step changes the row."""
BLOCK = 1 << 23
"""Bytes that are read at a time."""
LONGEST = 1 << 26
"""Bytes of one line, or of one row group row, that are still taken for a row."""
_ROWS = 1024


@dataclass(frozen=True)
class Wanted:
    """Which columns to read.

    Attributes
    ----------
    text
        The text column: an error when a file lacks it.
    more
        Other columns that steps read: missing values where a file lacks them, an error when no row of it has them.
    drop_broken
        Whether lines that are no JSON object are reported and passed over; otherwise they end the run.
    """

    text: str
    more: tuple[str, ...] = ()
    drop_broken: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them, once each."""
        return tuple(dict.fromkeys((self.text, *self.more)))


@dataclass(frozen=True)
class Block:
    """Some rows, and lines that could not be read.

    Attributes
    ----------
    table
        The rows: all columns of Parquet; the wanted ones and :data:`RAW` of JSON Lines.
    ordinals
        Which row of the piece each is, where some were passed over; None when they follow one another.
    broken
        Ordinal, reason and beginning of each line that is no row.
    size
        Bytes read for the block.
    """

    table: pa.Table
    size: int
    ordinals: list[int] | None = None
    broken: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Rows and broken lines together."""
        return int(self.table.num_rows) + len(self.broken)


def blocks(piece: Piece, wanted: Wanted) -> Iterator[Block]:
    """The rows of a piece.

    Raises
    ------
    DrossError
        When the file is missing or cut short, a line is no JSON object or too long, or a column is missing.
    """
    with reading(piece.file):
        yield from _row_groups(piece, wanted) if piece.format == "parquet" else _lines(piece, wanted)


# ---- Parquet -----------------------------------------------------------------------------------------------------


def _row_groups(piece: Piece, wanted: Wanted) -> Iterator[Block]:
    with pq.ParquetFile(piece.file, memory_map=False) as file:
        names = file.schema_arrow.names
        for name in wanted.columns:
            if name not in names:
                raise DrossError(f"no column {name!r}", where=piece.file, fix=nearest(name, names))
        for batch in file.iter_batches(_ROWS, row_groups=list(range(piece.start, piece.stop)), use_threads=False):
            yield Block(pa.Table.from_batches([batch]), batch.nbytes)


# ---- JSON Lines --------------------------------------------------------------------------------------------------


def _lines(piece: Piece, wanted: Wanted) -> Iterator[Block]:
    first, seen = 0, set[str]()
    for content, size in _whole_lines(piece):
        lines = [line for line in content.split(b"\n") if line.strip()]
        if not lines:
            continue
        block = _parsed(lines, wanted, piece, first, size)
        seen.update(name for name in wanted.columns if block.table.column(name).null_count < block.table.num_rows)
        yield block
        first += block.count
    missing = [name for name in wanted.columns if name not in seen]
    if first and missing and piece.start == 0:
        raise DrossError(f"no row has the field {missing[0]!r}", where=piece.file, fix=_fields(piece))


def _whole_lines(piece: Piece) -> Iterator[tuple[bytes, int]]:
    """The bytes of the piece in blocks that end with a line, and how many bytes of disk each took."""
    kept: list[bytes] = []
    number = 0
    for part, size in _chunks(piece):
        end = part.rfind(b"\n") + 1
        if end:
            yield b"".join([*kept, part[:end]]), size
            kept, number = [part[end:]], 0
        else:
            kept.append(part)
        number += len(part) - end
        if number > LONGEST:
            raise DrossError(
                f"a line is longer than {LONGEST >> 20} MB; it begins {b''.join(kept)[:60]!r}",
                where=piece.file,
                fix="write one JSON object a line; texts of this size must be split first",
            )
    if any(kept):
        yield b"".join(kept), 0


def _chunks(piece: Piece) -> Iterator[tuple[bytes, int]]:
    with Path(piece.file).open("rb") as raw:
        if piece.stop >= 0:
            yield from _span(raw, piece.start, piece.stop)
            return
        compression, at = compression_of(Path(piece.file)), 0
        with pa.input_stream(raw, compression=compression) as stream:
            while part := stream.read(BLOCK):
                now = raw.tell()
                yield bytes(part), now - at
                at = now


def _span(raw: io.BufferedReader, start: int, stop: int) -> Iterator[tuple[bytes, int]]:
    """The lines that begin between two places of a file."""
    if start:
        raw.seek(start - 1)
        while (skipped := raw.readline(LONGEST)) and not skipped.endswith(b"\n"):
            pass
    while (at := raw.tell()) < stop:
        part = raw.read(min(BLOCK, stop - at))
        if raw.tell() >= stop and not part.endswith(b"\n"):
            part += raw.readline(LONGEST)
        yield part, len(part)


def _parsed(lines: list[bytes], wanted: Wanted, piece: Piece, first: int, size: int) -> Block:
    schema = pa.schema([(name, pa.large_string()) for name in wanted.columns])
    content = b"\n".join(lines) + b"\n"
    options = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    try:
        content.decode("utf-8")  # Arrow does not look
        source = pa.BufferReader(content)
        table = pj.read_json(source, pj.ReadOptions(use_threads=False, block_size=len(content) + 1), options)
    except (UnicodeDecodeError, pa.ArrowException):  # a broken line, or a field that is no text: find out which
        return _slowly(lines, wanted, piece, first, size)
    if table.num_rows != len(lines):  # two objects on one line
        return _slowly(lines, wanted, piece, first, size)
    return Block(table.append_column(RAW, pa.array(lines, pa.large_binary())).combine_chunks(), size)


def _slowly(lines: list[bytes], wanted: Wanted, piece: Piece, first: int, size: int) -> Block:
    """Line by line in Python: only for blocks with a broken line or with fields of other types than text."""
    found: dict[str, list[str | None]] = {name: [] for name in wanted.columns}
    ordinals, good, broken = [], [], []
    for number, line in enumerate(lines, first):
        value, why = _object(line)
        if value is None:
            if not wanted.drop_broken:
                what = (
                    f"row {number + 1:,} of this {'file' if piece.start == 0 else f'part (from byte {piece.start:,})'}"
                )
                fix = "mend it, or pass over such lines with bad_lines: drop in the recipe"
                raise DrossError(f"{what} {why}", where=piece.file, fix=fix)
            broken.append((number, why, line[:1000].decode("utf-8", "replace")))
            continue
        for name, values in found.items():
            values.append(as_text(value.get(name)))
        ordinals.append(number)
        good.append(line)
    columns = {name: pa.array(values, pa.large_string()) for name, values in found.items()}
    return Block(pa.table({**columns, RAW: pa.array(good, pa.large_binary())}), size, ordinals, broken)


def _object(line: bytes) -> tuple[dict[str, Any] | None, str]:
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return None, "is not UTF-8"
    except (ValueError, RecursionError) as error:
        return None, f"is not JSON: {error}"
    if not isinstance(value, dict):
        return None, "is not a JSON object"
    if b"\\ud" in line.lower():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return None, "holds half a character (a lone surrogate)"
    return value, ""


def as_text(value: Any) -> str | None:
    """A value of JSON as a column of texts holds it: numbers and lists as they are written.

    >>> as_text("a"), as_text([1, None]), as_text(None)
    ('a', '[1, null]', None)
    """
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fields(piece: Piece) -> str:
    with (
        Path(piece.file).open("rb") as raw,
        pa.input_stream(raw, compression=compression_of(Path(piece.file))) as stream,
    ):
        head = bytes(stream.read(BLOCK)).split(b"\n", 1)[0]
    value, _ = _object(head)
    return f"the first row has: {', '.join(value)}" if value else "name one of its fields with text: in the recipe"


def sample(pieces: Sequence[Piece], wanted: Wanted, rows: int) -> pa.Table:
    """About so many rows from the beginnings of pieces spread over the corpus."""
    chosen = pieces[:: max(1, len(pieces) // 16)][:16]
    tables = []
    for piece in chosen:
        left = -(-rows // len(chosen))
        for block in blocks(piece, wanted):
            tables.append(block.table.slice(0, left))
            left -= len(tables[-1])
            if left <= 0:
                break
    return (
        pa.concat_tables(tables, promote_options="default")
        if tables
        else pa.table({wanted.text: pa.array([], pa.large_string())})
    )
