"""Export: the current version as a file in any format, the user's untouched cells to the letter where that can be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset, Source
from dross.core.errors import DrossError
from dross.core.paths import expanded
from dross.ledger import outputs
from dross.ledger.state import content_of, dropped, materialise


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    path
        The file, or the folder of a Hugging Face dataset.
    rows
        How many rows it has.
    inert
        How many cells got a leading apostrophe because a spreadsheet would have run them as formulas.
    exact
        Whether everything that was not changed is byte for byte as in the source.
    """

    path: Path
    rows: int
    inert: int
    exact: bool


def export(
    out: Path, base: Dataset, winners: pa.Table, workspace: Path, *, verbatim: bool = False, kind: str | None = None
) -> Exported:
    """Write the base with the winning edits, in the user's row order and columns.

    As long as the source is there and holds what was audited, CSV and TSV keep the text of every cell that was not
    changed (``1.50`` stays ``1.50``), and any file without an edit is copied byte for byte. Else all is written anew.

    Raises
    ------
    DrossError
        The file exists and no earlier export wrote it, it is the source, it is inside the workspace, or the disk or
        the format does not take it; nothing is left behind.
    """
    from dross.io.write import write

    out = expanded(out)
    if outputs.inside(workspace, out):
        raise DrossError("the export would stand inside the workspace", where=str(out), fix="choose another folder")
    source, replace = base.source, outputs.ours(workspace, out)
    current = materialise(base, winners)
    exact = _exactly(out, base, winners, kind, replace=replace, verbatim=verbatim) if source else None
    inert = exact
    if inert is None:
        inert = write(current.table, out, kind, source=source, overwrite=replace, verbatim=verbatim)
    outputs.remember(workspace, out)
    return Exported(out, len(current), inert, exact is not None)


def _exactly(
    out: Path, base: Dataset, winners: pa.Table, kind: str | None, *, replace: bool, verbatim: bool
) -> int | None:
    """Write from the source's own bytes; None where that cannot be done, and then nothing is written."""
    from dross.io.paths import format_of
    from dross.io.place import placing
    from dross.io.rewrite import rewrite_csv

    source = base.source
    if source is None or format_of(out) != source.format or kind not in {None, source.format}:
        return None
    text = source.format in {"csv", "tsv"}
    if (winners.num_rows and not text) or not (files := _unchanged(base, source)):
        return None
    if text:
        edits = _texts(base, winners, source, files)
        keep = np.ones(len(base), bool)
        keep[dropped(winners)] = False
        return None if edits is None else rewrite_csv(source, keep, edits, out, overwrite=replace, verbatim=verbatim)
    if len(files) > 1 or not files[0].is_file() or _suffix(files[0]) != _suffix(out):
        return None
    with placing(out, source=source, overwrite=replace) as temporary:
        shutil.copyfile(files[0], temporary)
    return 0


def _suffix(path: Path) -> str:
    return "".join(path.suffixes[-2 if path.suffix.lower() in {".gz", ".zst"} else -1 :]).lower()


def _unchanged(base: Dataset, source: Source) -> Sequence[Path]:
    """The files of the source if, read again, they still hold what the base holds; else none."""
    from dross.io import load
    from dross.io.paths import find

    try:
        files = find(source.path).files
        again: Dataset = load(source.path, **source.options)
    except DrossError:  # gone or broken: the base that was kept is written instead
        return ()
    return files if len(again) == len(base) and content_of(again) == content_of(base) else ()


# ---- cells as text --------------------------------------------------------------------------------------------------


def _texts(
    base: Dataset, winners: pa.Table, source: Source, files: Sequence[Path]
) -> dict[str, dict[int, str | None]] | None:
    """The new text of each edited cell, as the source writes such values; None where it has no words for them."""
    changes = winners.filter(pc.and_(pc.is_valid(winners["field"]), pc.not_equal(winners["action"], "keep")))
    edits: dict[str, dict[int, str | None]] = {}
    for name in pc.unique(changes["field"]).to_pylist():
        if name not in base.table.column_names or pa.types.is_nested(base.table.schema.field(name).type):
            return None
        mine = changes.filter(pc.equal(changes["field"], name))
        values = [json.loads(text) for text in mine["after"].to_pylist()]
        words = _words(base.table.column(name), name, source, files)
        cells = zip(mine["position"].to_pylist(), values, strict=True)
        edits[name] = {row: None if value is None else words.get(value, _plain(value)) for row, value in cells}
    return edits


def _words(column: pa.ChunkedArray, name: str, source: Source, files: Sequence[Path]) -> Mapping[Any, str]:
    """How the source spells each value of a column that is not text: ``yes`` for true, ``1.0`` for 1."""
    from dross.io.delimited import raw

    kind, types = column.type, pa.types
    if types.is_string(kind) or types.is_large_string(kind):
        return {}
    spelled = [chunk for file in files for chunk in raw(file, source.format).column(name).chunks]
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        column = column.cast(pa.string())
    table = pa.table({"value": column, "word": pa.chunked_array(spelled, pa.large_string())})
    pairs = table.group_by("value", use_threads=False).aggregate([("word", "first")])
    words = zip(pairs["value"].to_pylist(), pairs["word_first"].to_pylist(), strict=True)
    return {value: word for value, word in words if word is not None}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
