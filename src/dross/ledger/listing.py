"""Findings as CSV, JSON lines or Parquet, with nothing in them that a terminal or a spreadsheet would obey."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from dross.core.errors import DrossError
from dross.core.paths import expanded
from dross.ledger import outputs

if TYPE_CHECKING:
    import polars as pl

BATCH = 100_000
_CONTROL = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
"""Control characters and marks that change the direction of text."""
_FORMULA = r"^[=+\-@]"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_BEYOND = re.compile(r"[^\x20-\x7e\n]")


def write_findings(findings: pa.Table, kind: str, out: Path | None, workspace: Path) -> None:
    """Write findings as ``csv``, ``json`` (one object a line) or ``parquet``, to a file or to standard output.

    A file that exists is replaced only if dross wrote it.
    """
    from dross.io.place import placing

    if out is None:
        if kind == "parquet":
            raise DrossError("Parquet is not text", fix="name a file with --out")
        for text in _texts(findings, kind):
            sys.stdout.write(text)
        return

    out = expanded(out)
    with placing(out, overwrite=outputs.ours(workspace, out)) as path:
        if kind == "parquet":
            pq.write_table(findings, path)
        else:
            with path.open("w", encoding="utf-8", newline="") as file:
                file.writelines(_texts(findings, kind))
    outputs.remember(workspace, out)


def _texts(findings: pa.Table, kind: str) -> Iterator[str]:
    """The lines, many at a time; the header alone when there are no findings."""
    for start in range(0, max(1, findings.num_rows), BATCH):
        part = findings.slice(start, BATCH)
        yield _csv(part, header=start == 0) if kind == "csv" else _json(part)


def _csv(findings: pa.Table, *, header: bool) -> str:
    """A cell that a spreadsheet would take for a formula gets an apostrophe; control characters are shown as �."""
    import polars as pl
    import polars.selectors as cs

    frame = pl.DataFrame(findings).with_columns(cs.categorical().cast(pl.String))
    frame = frame.with_columns(_inert(pl.col(name)) for name in frame.select(pl.col(pl.String)).columns)
    return frame.write_csv(include_header=header)


def _inert(cell: pl.Expr) -> pl.Expr:
    import polars as pl

    text = cell.str.replace_all(_CONTROL, "�")
    formula = cell.str.contains(_FORMULA) & ~cell.str.contains(_NUMBER)
    return pl.when(formula).then("'" + text).otherwise(text).name.keep()


def _json(findings: pa.Table) -> str:
    import polars as pl
    import polars.selectors as cs

    frame = pl.DataFrame(findings).with_columns(cs.categorical().cast(pl.String))
    text = frame.write_ndjson() if len(frame) else ""
    return text if text.isascii() and "\x7f" not in text else _BEYOND.sub(lambda c: json.dumps(c.group())[1:-1], text)
