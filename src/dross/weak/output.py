"""Labelled rows as a file: the user's columns, and beside them what the rules say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dross.core.dataset import Dataset, Rows
from dross.core.errors import DrossError
from dross.core.results import Labels
from dross.core.roles import Role
from dross.io.paths import format_of
from dross.io.write import write
from dross.weak.apply import Applied
from dross.weak.automation import Automatic

COLUMNS = ("dross_label", "dross_confidence", "dross_probs", "dross_votes")
MORE = ("dross_automatic", "dross_set", "dross_ask_again")


def labelled_table(
    applied: Applied | Dataset,
    labels: Labels,
    *,
    automatic: Automatic | None = None,
    again: Rows | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """The user's columns (``columns``, or all but those that rules made) in their order, and up to seven more.

    ``dross_label`` (null where there is none), ``dross_confidence`` (its chance), ``dross_probs`` (the chance of each
    class, by name) and, where sources voted, ``dross_votes`` (who voted for what); with ``automatic`` the columns
    ``dross_automatic`` (whether the label needs no person) and ``dross_set`` (the classes that are not ruled out); with
    ``again``, rows to send for another opinion, ``dross_ask_again`` (their order, from 1 on, null elsewhere). Raises
    DrossError where such a column exists already.
    """
    voted = applied if isinstance(applied, Applied) else None
    data = applied.data if isinstance(applied, Applied) else applied
    own = {source.name for source in voted.sources if source.where} if voted else set()
    users = data.table.column_names if columns is None else columns
    table = data.table.select([name for name in users if name not in own])
    gone = labels.abstained
    added = {
        "dross_label": pa.array([labels.classes[c] if c >= 0 else None for c in range(len(labels.classes))]).take(
            pa.array(labels.codes, mask=gone)
        ),
        "dross_confidence": pa.array(labels.confidence, mask=gone),
        "dross_probs": _probs(labels, gone),
    }
    if voted is not None:
        added["dross_votes"] = _votes(voted)
    if automatic is not None:
        added["dross_automatic"] = pa.array(np.isin(np.arange(len(data)), automatic.rows))
        added["dross_set"] = _sets(automatic)
    if again is not None:
        order = np.zeros(len(data), np.int64)
        order[again] = np.arange(1, len(again) + 1)
        added["dross_ask_again"] = pa.array(order, mask=order == 0)
    _check_names(table.column_names, list(added))
    for name, column in added.items():
        table = table.append_column(name, column)
    return table


def write_labelled(
    applied: Applied | Dataset,
    labels: Labels,
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002  (the word users know)
    overwrite: bool = False,
    automatic: Automatic | None = None,
    again: Rows | None = None,
    columns: Sequence[str] | None = None,
) -> int:
    """Write :func:`labelled_table`, as :func:`dross.io.write` does; returns how many cells were made inert.

    Raises DrossError where no row has a label, the file exists (unless ``overwrite``) or is the source.
    """
    if labels.abstained.all():
        raise DrossError("no source votes on any row, so there is no label to write", fix="mend the rules")
    data = applied.data if isinstance(applied, Applied) else applied
    table = labelled_table(applied, labels, automatic=automatic, again=again, columns=columns)
    return write(table, path, format, source=data.source, overwrite=overwrite)


def _check_names(there: list[str], wanted: list[str]) -> None:
    taken = [name for name in wanted if name in there]
    if taken:
        raise DrossError(f"the data has a column {taken[0]!r} already", fix="rename or drop it first")


def _sets(automatic: Automatic) -> pa.ListArray:
    rows, columns = np.nonzero(automatic.sets)
    names = pa.array([str(name) for name in automatic.classes], pa.string()).take(pa.array(columns))
    starts = np.searchsorted(rows, np.arange(len(automatic.sets) + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(starts), names)


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
    _check_names(data.table.column_names, [*COLUMNS, *MORE])
