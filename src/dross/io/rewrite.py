"""Writing a CSV file again, some rows left out and some cells changed, all else byte for byte as it was."""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Source
from dross.core.errors import DrossError, nearest
from dross.core.paths import expanded
from dross.io.delimited import Dialect, raw, sniff
from dross.io.paths import Found, compression_of, find, format_of, reading
from dross.io.place import placing
from dross.io.spreadsheet import dangerous, inert

Edits = Mapping[str, Mapping[int, str | None]]
Mask = npt.NDArray[np.bool_]
Ends = npt.NDArray[np.int64]
_QUOTE, _NEWLINE, _RETURN, _BOM = 34, 10, 13, b"\xef\xbb\xbf"
_PIECE = 1 << 24


def rewrite_csv(
    source: Source | str,
    keep: Mask,
    edits: Edits,
    out: str | PathLike[str],
    *,
    overwrite: bool = False,
    verbatim: bool = False,
) -> int:
    """Write the rows of a CSV or TSV source that are kept, some cells changed; return how many were made inert.

    Rows without a changed cell are copied byte by byte: quotes, spaces, ``1.50`` and line ends stay as they are. A row
    with a changed cell keeps the text of its other cells. Where the source quotes irregularly, so that its rows cannot
    be told apart without doubt, all of its rows are written anew with the same text.

    Parameters
    ----------
    source
        The file, glob or folder that was read.
    keep
        Which rows stay, shape (n,), in the order of the source.
    edits
        The new text of cells: ``{column: {row: text}}``, rows counted from 0 in the source; None empties a cell.
    out
        The file to write; it may add or leave out compression, but not change between CSV and TSV.
    overwrite
        Replace a file of that name (never the source). Without it, dross refuses.
    verbatim
        Leave cells as they are that a spreadsheet would run as a formula. Without it they get a leading apostrophe.

    Raises
    ------
    DrossError
        When an edit names no column or row, ``keep`` does not match the source, or the file exists.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "in.csv").write_text('x,y\\n1.50,"a"\\n2,b\\n3,c\\n')
    >>> kept = np.array([True, False, True])
    >>> rewrite_csv(str(folder / "in.csv"), kept, {"y": {2: "d"}}, folder / "out.csv")
    0
    >>> (folder / "out.csv").read_text()
    'x,y\\n1.50,"a"\\n3,d\\n'
    """
    path = expanded(out)
    location = source.path if isinstance(source, Source) else source
    found = find(location)
    if found.format not in {"csv", "tsv"} or format_of(path) != found.format:
        raise DrossError(f"this writes {found.format} only as it was read", where=str(path), fix="use dross.io.write")
    dialect = sniff(found.files[0], found.format)
    _check_edits(edits, dialect.names, len(keep))
    with (
        placing(path, source=Source(location, found.format), overwrite=overwrite) as temporary,
        pa.output_stream(str(temporary), compression=compression_of(path)) as stream,
    ):
        return _write_files(stream, found, dialect, keep, edits, verbatim)


def _write_files(stream: Any, found: Found, dialect: Dialect, keep: Mask, edits: Edits, verbatim: bool) -> int:
    """Write the shards one after the other under one header; return how many cells were made inert."""
    count = start = 0
    for i, file in enumerate(found.files):
        table = raw(file, found.format).select(list(dialect.names))
        mask = np.asarray(keep[start : start + table.num_rows], bool)
        last_file = i == len(found.files) - 1
        if len(mask) != table.num_rows or (last_file and start + len(mask) != len(keep)):
            raise DrossError(f"the source no longer has {len(keep):,} rows", where=str(file), fix="load it again")
        own = {name: _shift(cells, start, len(mask)) for name, cells in edits.items()}
        table, changed, made = _apply(table, mask, own, verbatim)
        header, pieces, renamed = _output_of(file, found.format, dialect, table, mask, changed, verbatim)
        count += made + (renamed if i == 0 else 0)
        last: Any = header if i == 0 else b"\n"
        stream.write(header if i == 0 else b"")
        for last in pieces:
            stream.write(last)
        if not last_file and bytes(last[-1:]) != b"\n":
            stream.write(b"\n")
        start += len(mask)
    return count


def _check_edits(edits: Edits, names: tuple[str, ...], n: int) -> None:
    for name, cells in edits.items():
        if name not in names:
            raise DrossError(f"an edit names the column {name!r}, which is not there", fix=nearest(name, list(names)))
        wrong = next((row for row in cells if not 0 <= row < n), None)
        if wrong is not None:
            raise DrossError(f"an edit names row {wrong} of {n:,} rows", where=f"column {name!r}")


def _shift(cells: Mapping[int, str | None], start: int, n: int) -> dict[int, str | None]:
    return {row - start: cells[row] for row in sorted(cells) if start <= row < start + n}


def _apply(table: pa.Table, keep: Mask, edits: Edits, verbatim: bool) -> tuple[pa.Table, Mask, int]:
    """The cells as they shall be, the rows in which one differs from the file, and how many were made inert."""
    changed, count = np.zeros(table.num_rows, bool), 0
    for i, name in enumerate(table.column_names):
        cells = edits.get(name)
        if cells:
            here = np.zeros(table.num_rows, bool)
            here[list(cells)] = True
            flat = pa.concat_arrays(table.column(i).chunks)
            new = pc.replace_with_mask(flat, pa.array(here), pa.array(list(cells.values()), pa.large_string()))
            table = table.set_column(i, name, new)
            changed |= here
        found = False if verbatim else np.asarray(dangerous(table.column(i)).fill_null(False), bool) & keep
        if np.any(found):
            table = table.set_column(i, name, inert(table.column(i))[0])
            changed |= found
            count += int(np.sum(found))
    return table, changed, count


def _output_of(
    file: Path, kind: str, dialect: Dialect, table: pa.Table, keep: Mask, changed: Mask, verbatim: bool
) -> tuple[Any, Iterator[Any], int]:
    """The bytes of the header and of the kept rows, and how many column names were made inert."""
    content = memoryview(_content(file))
    ends = row_ends(content, dialect.delimiter) if sniff(file, kind) == dialect else None
    if (
        ends is None or len(ends) != table.num_rows + 1
    ):  # irregular quotes, other columns or delimiter: nothing is copied
        ends, changed = None, np.ones(table.num_rows, bool)
    crlf = ends is not None and bytes(content[: ends[0]]).endswith(b"\r\n")
    names = pa.chunked_array([pa.array(dialect.names, pa.large_string())])
    plain, renamed = (names, 0) if verbatim else inert(names)
    fresh = _serialised(table.rename_columns(plain.to_pylist()), keep & changed, dialect.delimiter, crlf=crlf)
    fresh_ends = row_ends(fresh, dialect.delimiter)
    assert fresh_ends is not None, "what polars writes is quoted by the book"
    header = content[: ends[0]] if ends is not None and not renamed else fresh[: fresh_ends[0]]
    return header, _interleaved(content, ends, fresh, fresh_ends, keep, changed), renamed


def _serialised(table: pa.Table, rows: Mask, delimiter: str, *, crlf: bool) -> memoryview:
    import polars as pl

    frame = pl.DataFrame(table.filter(pa.array(rows)))
    if frame.width == 1:
        frame = frame.fill_null("")  # an empty line would not count as a row
    out = io.BytesIO()
    frame.write_csv(out, separator=delimiter, line_terminator="\r\n" if crlf else "\n")
    return out.getbuffer()


def _interleaved(
    content: memoryview, ends: Ends | None, fresh: memoryview, fresh_ends: Ends, keep: Mask, changed: Mask
) -> Iterator[memoryview]:
    """The bytes of the kept rows in order: runs of old rows from ``content``, of changed ones from ``fresh``."""
    kept = np.flatnonzero(keep)
    anew = changed[kept]
    place = np.where(anew, np.cumsum(anew) - 1, kept)
    breaks = np.flatnonzero((np.diff(place) != 1) | (anew[1:] != anew[:-1])) + 1
    for start, stop in zip([0, *breaks.tolist()], [*breaks.tolist(), len(kept)], strict=True):
        if start < stop:
            buffer, edges = (fresh, fresh_ends) if anew[start] or ends is None else (content, ends)
            yield buffer[edges[place[start]] : edges[place[stop - 1] + 1]]


def _content(file: Path) -> Any:
    with reading(file):
        if compression_of(file) is None:
            with file.open("rb") as opened:
                return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        with pa.input_stream(str(file), compression=compression_of(file)) as stream:
            return stream.read()


def row_ends(content: Any, delimiter: str) -> Ends | None:
    """Where the header and each row end, shape (rows + 1,); None when quotes stand where RFC 4180 has none.

    A row ends where the next begins, so it takes its line break, and empty lines, along.

    >>> row_ends(b'a,b\\n1,"x\\ny"\\n\\n2,z', ",").tolist()
    [4, 13, 16]
    """
    data = np.frombuffer(content, np.uint8)
    if not len(data):
        return None
    breaks, quotes = [], 0
    for start in range(0, len(data), _PIECE):
        piece = data[start : start + _PIECE]
        marks = np.flatnonzero(piece == _QUOTE) + start
        if not _regular(data, marks, quotes % 2, ord(delimiter)):
            return None
        lines = np.flatnonzero(piece == _NEWLINE) + start
        breaks.append(lines[(np.searchsorted(marks, lines) + quotes) % 2 == 0])
        quotes += len(marks)
    if quotes % 2:
        return None
    stops = np.concatenate([*breaks, [len(data)]])  # a line break, or the end of the file
    starts = np.concatenate([[0], stops[:-1] + 1])
    length = stops - starts
    blank = (length <= 0) | ((length == 1) & (data[np.minimum(starts, len(data) - 1)] == _RETURN))
    begins = starts[~blank]
    return np.asarray(np.append(begins[1:], len(data)), np.int64)


def _regular(data: npt.NDArray[np.uint8], marks: Ends, inside: int, delimiter: int) -> bool:
    """Whether every quote opens a cell, closes one, or is doubled within one."""
    edges = np.array([delimiter, _NEWLINE, _RETURN, _QUOTE], np.uint8)
    opening, closing = marks[inside::2], marks[1 - inside :: 2]
    first = 3 if data[:3].tobytes() == _BOM else 0
    opened = np.isin(data[np.maximum(opening - 1, 0)], edges) | (opening == first)
    closed = np.isin(data[np.minimum(closing + 1, len(data) - 1)], edges) | (closing == len(data) - 1)
    return bool(opened.all() and closed.all())
