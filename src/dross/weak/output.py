"""Labelled rows as a file: the user's columns, and beside them what the rules say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels
from dross.core.roles import Role
from dross.io.paths import format_of
from dross.io.write import write
from dross.weak.apply import Applied

COLUMNS = ("dross_label", "dross_confidence", "dross_probs", "dross_votes")


def labelled_table(applied: Applied, labels: Labels) -> pa.Table:
    """The user's columns in their order, and four more.

    ``dross_label`` (null where no rule votes), ``dross_confidence`` (its chance), ``dross_probs`` (the chance of each
    class, by name) and ``dross_votes`` (who voted for what). Raises DrossError where such a column exists already.
    """
    data = applied.data
    own = {source.name for source in applied.sources if source.where}
    table = data.table.select([name for name in data.table.column_names if name not in own])
    taken = [name for name in COLUMNS if name in table.column_names]
    if taken:
        raise DrossError(f"the data has a column {taken[0]!r} already", fix="rename or drop it first")
    gone = labels.abstained
    values = [
        pa.array([labels.classes[c] if c >= 0 else None for c in range(len(labels.classes))]).take(
            pa.array(labels.codes, mask=gone)
        ),
        pa.array(labels.confidence, mask=gone),
        _probs(labels, gone),
        _votes(applied),
    ]
    for name, column in zip(COLUMNS, values, strict=True):
        table = table.append_column(name, column)
    return table


def write_labelled(
    applied: Applied,
    labels: Labels,
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002  (the word users know)
    overwrite: bool = False,
) -> int:
    """Write :func:`labelled_table`, as :func:`dross.io.write` does; returns how many cells were made inert.

    Raises DrossError where no row has a label, the file exists (unless ``overwrite``) or is the source.
    """
    if labels.abstained.all():
        raise DrossError("no rule votes on any row, so there is no label to write", fix="mend the rules")
    return write(labelled_table(applied, labels), path, format, source=applied.data.source, overwrite=overwrite)


def _probs(labels: Labels, gone: Any) -> pa.StructArray:
    names = [str(name) for name in labels.classes]
    parts = [pa.array(np.nan_to_num(labels.probs[:, i])) for i in range(len(names))]
    return pa.StructArray.from_arrays(parts, names, mask=pa.array(gone))


def _votes(applied: Applied) -> pa.LargeListArray:
    votes = applied.votes(soft=False) if applied.data.has(Role.VOTES) else None
    if votes is None:
        return pa.nulls(len(applied.data), pa.large_list(pa.string()))
    items = pa.StructArray.from_arrays(
        [
            pa.array(votes.names, pa.string()).take(pa.array(votes.annotators)),
            pa.array([str(name) for name in votes.classes], pa.string()).take(pa.array(votes.labels)),
        ],
        ["source", "label"],
    )
    return pa.LargeListArray.from_arrays(pa.array(votes.starts), items)


def check_place(path: Path, data: Dataset, *, overwrite: bool = False) -> None:
    """Refuse a place that :func:`write_labelled` would refuse, before any work is done."""
    if path.exists() and not overwrite:
        raise DrossError("the file exists, and it may be yours", where=str(path), fix="choose another name")
    if not path.parent.is_dir():
        raise DrossError(f"there is no folder {str(path.parent)!r}", where=str(path), fix="create it first")
    if path.suffix and format_of(path) is None:
        raise DrossError(f"the suffix {path.suffix!r} names no format", where=str(path), fix="use .parquet or .csv")
    taken = [name for name in COLUMNS if name in data.table.column_names]
    if taken:
        raise DrossError(f"the data has a column {taken[0]!r} already", fix="rename or drop it first")
