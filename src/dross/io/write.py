"""Writing a table in any format that dross reads."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Source
from dross.core.errors import DrossError, nearest
from dross.core.hashing import digest
from dross.core.paths import expanded
from dross.io.canonical import restore
from dross.io.paths import compression_of, format_of
from dross.io.place import placing
from dross.io.spreadsheet import inert
from dross.io.vectors import users

FORMATS = ("csv", "tsv", "jsonl", "parquet", "arrow", "huggingface")


def write(
    table: pa.Table,
    path: str | PathLike[str],
    format: str | None = None,  # noqa: A002  (the word users know)
    *,
    source: Source | None = None,
    overwrite: bool = False,
    verbatim: bool = False,
) -> int:
    """Write a table, and return how many cells were made inert.

    Parameters
    ----------
    table
        The rows. Columns that dross added (see :data:`dross.io.vectors.ADDED`) are left out, and in Parquet, Arrow and
        Hugging Face files columns get back the types they were read with.
    path
        Where to. The suffix tells the format: ``.csv``, ``.tsv``, ``.jsonl`` (each also ``.gz`` or ``.zst``),
        ``.parquet``, ``.arrow``, ``.feather``; without a suffix it is a folder that ``datasets.load_from_disk`` reads.
    format
        One of :data:`FORMATS`, where the suffix does not tell.
    source
        Where the data came from; dross refuses to write onto or into it.
    overwrite
        Replace a file of that name. Without it, dross refuses.
    verbatim
        Write CSV and TSV cells as they are. Without it, cells that a spreadsheet would run as a formula get a leading
        apostrophe.

    Notes
    -----
    In CSV, lists and objects are written as JSON. In JSONL, NaN is null.

    Raises
    ------
    DrossError
        When the format cannot hold the data, the file exists, or the disk does not take it; nothing is left behind.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write(pa.table({"x": [1, 2], "y": ["=1+1", "b"]}), folder / "out.csv")
    1
    >>> (folder / "out.csv").read_text()
    "x,y\\n1,'=1+1\\n2,b\\n"
    """
    path = expanded(path)
    kind, table = _kind(path, format), users(table)
    count = 0
    if kind in {"csv", "tsv"}:
        table = _as_text(_no_bytes(table, kind))
        table, count = (table, 0) if verbatim else _all_inert(table)
    with placing(path, source=source, overwrite=overwrite) as temporary:
        _WRITERS[kind](table, temporary, compression_of(path))
    return count


def _kind(path: Path, given: str | None) -> str:
    kind = given or ("huggingface" if path.suffix == "" else format_of(path))
    if kind is None:
        known = "use .parquet, .csv, .tsv, .jsonl, .arrow, or no suffix for a Hugging Face folder"
        raise DrossError(f"the suffix {path.suffix!r} names no format", where=str(path), fix=known)
    if kind not in FORMATS:
        raise DrossError(f"there is no format {kind!r}", fix=nearest(kind, list(FORMATS)))
    return kind


def _parquet(table: pa.Table, path: Path, compression: str | None) -> None:
    import pyarrow.parquet as pq

    pq.write_table(restore(table), path, compression="zstd")


def _arrow(table: pa.Table, path: Path, compression: str | None) -> None:
    table = restore(table)
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)


def _csv(table: pa.Table, path: Path, compression: str | None) -> None:
    _delimited(table, path, compression, ",")


def _tsv(table: pa.Table, path: Path, compression: str | None) -> None:
    _delimited(table, path, compression, "\t")


def _delimited(table: pa.Table, path: Path, compression: str | None, separator: str) -> None:
    import polars as pl

    frame = pl.DataFrame(table)
    if frame.width == 1 and frame.null_count().item():
        frame = frame.select(pl.all().cast(pl.String).fill_null(""))  # an empty line would not count as a row
    with _stream(path, compression) as out:
        frame.write_csv(out, separator=separator)


def _jsonl(table: pa.Table, path: Path, compression: str | None) -> None:
    import polars as pl

    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_floating(field.type) and pc.any(pc.is_inf(column)).as_py():
            raise DrossError(
                "JSON cannot hold an infinity", where=f"column {field.name!r}", fix="write Parquet or CSV instead"
            )
    frame = pl.DataFrame(_as_text(_no_bytes(table, "jsonl"), lists=False))
    with _stream(path, compression) as out:
        frame.write_ndjson(out)


def _huggingface(table: pa.Table, folder: Path, compression: str | None) -> None:
    """The three files that ``datasets.load_from_disk`` wants; it finds the features in the Arrow schema."""
    table = restore(table)
    folder.mkdir()
    name = "data-00000-of-00001.arrow"
    with pa.OSFile(str(folder / name), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=10_000)
    state: dict[str, Any] = {
        "_data_files": [{"filename": name}],
        "_fingerprint": digest(uuid.uuid4().bytes)[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "state.json").write_text(json.dumps(state, indent=2))
    info = {"citation": "", "description": "", "homepage": "", "license": ""}
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=2))


_WRITERS: dict[str, Callable[[pa.Table, Path, str | None], None]] = {
    "parquet": _parquet,
    "arrow": _arrow,
    "csv": _csv,
    "tsv": _tsv,
    "jsonl": _jsonl,
    "huggingface": _huggingface,
}


def _stream(path: Path, compression: str | None) -> IO[bytes]:
    stream: IO[bytes] = pa.output_stream(str(path), compression=compression)
    return stream


def _no_bytes(table: pa.Table, kind: str) -> pa.Table:
    for field in table.schema:
        if _holds_bytes(field.type):
            raise DrossError(
                f"{kind} cannot hold the bytes in the column {field.name!r}", fix="write Parquet or Arrow instead"
            )
    return table


def _holds_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return True
    return any(_holds_bytes(kind.field(i).type) for i in range(kind.num_fields))


def _as_text(table: pa.Table, *, lists: bool = True) -> pa.Table:
    """Times as ISO text, as they are read back; and lists and objects, where the format has none, as JSON."""
    for i, field in enumerate(table.schema):
        if pa.types.is_temporal(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(pa.large_string()))
        elif lists and pa.types.is_nested(field.type):
            table = table.set_column(i, field.name, _json(table.column(i)))
    return table


def _json(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import polars as pl

    series = pl.DataFrame(pa.table({"v": column})).select(
        pl.when(pl.col("v").is_not_null()).then(pl.struct("v").struct.json_encode().str.slice(5).str.head(-1))
    )
    return pa.chunked_array([series.to_series().to_arrow()]).cast(pa.large_string())


def _all_inert(table: pa.Table) -> tuple[pa.Table, int]:
    names, count = inert(pa.chunked_array([pa.array(table.column_names, pa.large_string())]))
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            column, found = inert(table.column(i))
            table = table.set_column(i, field.name, column)
            count += found
    return table.rename_columns(names.to_pylist()), count
