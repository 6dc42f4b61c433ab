"""CSV and TSV: every cell is read as text first, so that nothing is lost before its type is known."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from dross.core.compiled import threads
from dross.core.errors import DrossError
from dross.io.infer import infer
from dross.io.paths import compression_of, reading
from dross.io.shards import check_names, check_same

_BLOCK = 1 << 24
_LARGEST_BLOCK = (1 << 31) - 1
_OTHERS = {
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"FEA1": "Feather",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
}


@dataclass(frozen=True)
class Dialect:
    """What separates the cells of a file, and the names in its header."""

    delimiter: str
    names: tuple[str, ...]


def read(files: Sequence[Path], kind: str) -> tuple[pa.Table, list[str]]:
    """The rows of one or several CSV or TSV files, each column in the type that all of its cells have; and remarks.

    An empty cell is missing. In columns of numbers, truth values and dates the usual marks (``NA``, ``null``, ``?`` …)
    are missing too; in columns of text they stay as they are. Numbers with leading zeros are text.
    """
    tables = [raw(file, kind) for file in files]
    for table, file in zip(tables, files, strict=True):
        check_same(tables[0].column_names, table.column_names, files[0], file)
    names = tables[0].column_names
    whole = pa.concat_tables([table.select(names) for table in tables])
    del tables
    columns = whole.columns
    del whole
    remarks: list[str | None] = [None] * len(names)

    def settle(i: int) -> None:
        columns[i], remarks[i] = infer(columns[i], names[i])  # the text is let go column by column

    with ThreadPoolExecutor(threads()) as pool:
        list(pool.map(settle, range(len(names))))
    return pa.table(columns, names=names), [remark for remark in remarks if remark]


def raw(file: Path, kind: str) -> pa.Table:
    """The cells of one file as text (``large_string``), exactly as they stand in it; empty unquoted cells are null."""
    dialect = sniff(file, kind)
    text = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(dialect.names, pa.large_string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parse = arrow_csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True)
    block = _BLOCK
    with reading(file):
        while True:
            try:
                table = arrow_csv.read_csv(str(file), arrow_csv.ReadOptions(block_size=block), parse, text)
                break
            except pa.ArrowInvalid as error:
                if "straddling" in str(error) and block < _LARGEST_BLOCK:
                    block = min(16 * block, _LARGEST_BLOCK)  # a cell larger than a block
                    continue
                raise _explained(error, file, dialect) or error from error
    _check_last_quote(table, file)
    return table


def sniff(file: Path, kind: str) -> Dialect:
    """The delimiter and the column names, from the first line.

    A ``.csv`` without a comma in its first line is split where another usual delimiter (``;``, tab, ``|``) stands.
    """
    head = _head(file)
    line = next((line for line in head.splitlines() if line.strip()), "")
    if not line:
        raise DrossError("the file is empty", where=str(file), fix="name a file with a header line and rows")
    delimiter = "\t" if kind == "tsv" else ","
    if kind == "csv" and "," not in line:
        delimiter = max(";\t|", key=line.count) if any(mark in line for mark in ";\t|") else ","
    try:
        names = next(
            row for row in csv.reader(io.StringIO(head.lstrip("\r\n"), newline=""), delimiter=delimiter) if row
        )
    except csv.Error as error:
        raise DrossError(f"the header cannot be read: {error}", where=str(file)) from error
    check_names(names, file)
    return Dialect(delimiter, tuple(names))


def _head(file: Path, size: int = 1 << 20) -> str:
    with reading(file), pa.input_stream(str(file), compression=compression_of(file)) as stream:
        first = bytes(stream.read(size))
    other = next((kind for magic, kind in _OTHERS.items() if first.startswith(magic)), None)
    if other:
        raise DrossError(f"the file is not text but {other}", where=str(file), fix="give it the suffix of its format")
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DrossError("the file is UTF-16", where=str(file), fix=_convert(file, "UTF-16"))
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(first)
    except UnicodeDecodeError as error:
        raise not_utf8(file) from error


def _convert(file: Path, encoding: str) -> str:
    name = file.name.partition(".")[0]
    return f"save it as UTF-8, for example: iconv -f {encoding} -t UTF-8 {file.name} > {name}-utf8{file.suffix}"


def not_utf8(file: Path) -> DrossError:
    """The error for bytes that are not UTF-8: which, and in which line of which file the first of them stands."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with reading(file), pa.input_stream(str(file), compression=compression_of(file)) as stream:
        while block := bytes(stream.read(1 << 20)):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                bad, before = error.object[error.start], error.object[: error.start]
                return DrossError(
                    f"the text is not UTF-8: byte 0x{bad:02x} in line {line + before.count(10)}",
                    where=str(file),
                    fix=_convert(file, "WINDOWS-1252"),
                )
            line += block.count(b"\n")
    return DrossError("the text is not UTF-8: it ends within a character", where=str(file), fix="copy the file again")


def _explained(error: pa.ArrowInvalid, file: Path, dialect: Dialect) -> DrossError | None:
    text = str(error)
    if "UTF8" in text or "UTF-8" in text:
        return not_utf8(file)
    if "Empty CSV" in text:
        return no_rows(file)
    if "Expected" in text and "columns" in text:
        return _ragged(file, dialect)
    return None


def no_rows(where: Path | str) -> DrossError:
    """The error for a header with nothing below it."""
    return DrossError("the file has a header but no rows", where=str(where), fix="name a file with at least one row")


def _ragged(file: Path, dialect: Dialect) -> DrossError | None:
    """Read again, row by row, to say which row has the wrong number of cells."""
    bad: list[arrow_csv.InvalidRow] = []

    def seen(row: arrow_csv.InvalidRow) -> str:
        bad.append(row)
        return "skip"

    parse = arrow_csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True, invalid_row_handler=seen)
    options = arrow_csv.ReadOptions(use_threads=False, block_size=_LARGEST_BLOCK)
    text = arrow_csv.ConvertOptions(column_types=dict.fromkeys(dialect.names, pa.large_binary()))
    with reading(file):
        arrow_csv.read_csv(str(file), options, parse, text)
    if not bad:
        return None
    row = bad[0]
    return DrossError(
        f"row {row.number}, counting the header, has {row.actual_columns} cells instead of {row.expected_columns}"
        + (f" ({len(bad)} such rows)" if len(bad) > 1 else ""),
        where=str(file),
        fix="quote cells that hold the delimiter or a line break, and give every row all its cells",
    )


def _check_last_quote(table: pa.Table, file: Path) -> None:
    """Refuse a file whose last cell swallowed the rows after a quote that is never closed."""
    last = table.slice(max(0, table.num_rows - 1)).columns[-1:]
    if not last or not pc.any(pc.match_substring(last[0], "\n")).as_py():
        return
    quotes = 0
    with pa.input_stream(str(file), compression=compression_of(file)) as stream:
        while block := bytes(stream.read(1 << 24)):
            quotes += block.count(b'"')
    if quotes % 2:
        swallowed = last[0][0].as_py().count("\n")
        raise DrossError(
            f"a quote in row {table.num_rows + 1}, counting the header, is never closed and swallows {swallowed} lines",
            where=str(file),
            fix='close it, or double it ("") if it is part of the text',
        )
