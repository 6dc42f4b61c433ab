"""``dross.load``: rows from wherever they are, with a role for each column that has one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset, Source
from dross.core.errors import DrossError, nearest
from dross.core.roles import Role
from dross.io import classes, columnar, delimited, huggingface, images, jsonlines, labels
from dross.io.guess import Guess, guess
from dross.io.memory import as_table, column_of, columns_of
from dross.io.paths import Found, find
from dross.io.shards import check_names
from dross.io.vectors import ADDED, as_column, check_probs, users, vectors

REMARKS = b"dross.remarks"
_MATRICES = {Role.EMBEDDING, Role.PROBS}
_LEARNED = {Role.LABEL, Role.LABELS, Role.TARGET, Role.ANNOTATIONS}


class Keywords(TypedDict, total=False):
    """The role of each column: its name (several names where a role may have several), or None to guess none."""

    id: Any
    text: Any
    image: Any
    audio: Any
    features: Any
    embedding: Any
    pred_probs: Any
    probs: Any
    label: Any
    labels: Any
    target: Any
    annotations: Any
    votes: Any
    group: Any
    domain: Any
    split: Any
    time: Any
    prompt: Any
    response: Any
    chosen: Any
    rejected: Any
    query: Any
    passage: Any
    sequence: Any
    edges: Any


def load(source: Any = None, *, X: Any = None, **roles: Unpack[Keywords]) -> Dataset:
    """Read a dataset and give its columns their roles.

    Parameters
    ----------
    source
        A file (CSV, TSV, JSONL, each also ``.gz`` or ``.zst``; Parquet, Arrow, Feather), a glob or folder of such
        shards, a folder of images (one folder per class), a saved Hugging Face dataset; or a pandas, polars or Arrow
        table, a dict of columns, a NumPy matrix, a Hugging Face dataset.
    X
        Instead of a source: features of shape (n, d), or ``uint8`` images of shape (n, h, w) or (n, h, w, 3).
    **roles
        ``label="stars"``, ``text=["title", "body"]``, ``features=[…]`` and so on name columns; with data in memory
        they may be arrays, one value per row. A role that is not mentioned is guessed; ``role=None`` switches the guess
        off. ``embedding`` and ``pred_probs`` are a column, an array of shape (n, d) or (n, k), a table of numbers, or
        a ``.npy``, ``.npz``, ``.parquet`` or ``.csv`` file. The columns of ``pred_probs`` follow the sorted labels, or
        are called as the classes (:mod:`dross.io.classes`), some of which then may occur in no row.

    Raises
    ------
    DrossError
        When the source cannot be read, a column is missing, or the labels or vectors make no sense; it says where and
        what to do.

    Examples
    --------
    >>> data = load({"text": ["a fine film", "a bad film"], "stars": [5, 1]}, label="stars")
    >>> data
    Dataset(2 rows, classification, text=text, label=stars)
    >>> len(load(X=np.zeros((3, 2)), label=["a", "b", "a"]))
    3
    """
    given = _by_role(roles)
    found: Found | None = None
    defaults: dict[Role, tuple[str, ...]] = {}
    if source is None:
        table, notes = _from_arrays(X, given)
    elif X is not None:
        raise DrossError("both a source and X are given", fix="give one of them")
    elif isinstance(source, str | os.PathLike):
        found = find(os.fspath(source))
        table, notes, defaults = _from_files(found)
    else:
        table, notes = as_table(source)
        defaults = {Role.FEATURES: ("X",)} if isinstance(source, np.ndarray) and source.ndim == 2 else {}
    where = None if found is None else os.fspath(source)
    if table.num_rows == 0:
        raise delimited.no_rows(where or "the data")
    table, columns = _place(table, given, where)
    _refuse_twice(columns, where)
    state = guess(table, {**_unclaimed(defaults, columns), **columns})
    state.notes[:0] = notes
    _settle(state, columns, where)
    ids = _own_ids(state)
    origin = None if found is None else Source(str(where), found.format, _plain_options(given))
    data = Dataset(_remember(state), state.roles, source=origin, row_ids=ids)
    return _with_checked_probs(data) if data.has(Role.PROBS) else data


def describe_roles(data: Dataset) -> list[tuple[str, tuple[str, ...], str]]:
    """The role, its columns and why they have it, for each role of a loaded dataset; for showing to the user.

    >>> describe_roles(load({"x": [1.5, 2.5], "y": ["a", "b"]}, label="y"))
    [('features', ('x',), 'numbers, dates and categories'), ('label', ('y',), 'given')]
    """
    why = _remarks(data.table).get("why", {})
    return [(role.value, names, why.get(role.value, "given")) for role, names in data.roles.items()]


def remarks(data: Dataset) -> list[str]:
    """What a user should know about how the data was read: columns of mixed types, roles that were reinterpreted.

    >>> remarks(load({"price": [10.5, 20.25, 31.75]}, label="price"))
    ["the label 'price' has 3 distinct fractions: a number to predict (regression); as text they would be classes"]
    """
    notes = list(_remarks(data.table).get("notes", []))
    unused = classes.absent(data) if data.has(Role.PROBS, Role.LABEL) else []
    if unused:
        shown = ", ".join(str(name) for name in unused[:5]) + (", …" if len(unused) > 5 else "")
        notes.append(f"the probabilities know classes that no row is labelled with ({len(unused):,}): {shown}")
    return notes


# ---- reading --------------------------------------------------------------------------------------------------------


def _from_files(found: Found) -> tuple[pa.Table, list[str], dict[Role, tuple[str, ...]]]:
    if found.format in {"csv", "tsv"}:
        return *delimited.read(found.files, found.format), {}
    if found.format == "jsonl":
        return *jsonlines.read(found.files), {}
    if found.format == "huggingface":
        return huggingface.read(found.files[0]), [], {}
    if found.format == "images":
        table, notes = images.read_folder(found.files[0])
        label = {Role.LABEL: ("folder",)} if "folder" in table.column_names else {}
        return table, notes, {Role.IMAGE: ("file",), **label}
    return columnar.read(found.files, found.format), [], {}


def _from_arrays(X: Any, given: dict[Role, Any]) -> tuple[pa.Table, list[str]]:
    """A table of the arrays given instead of a source; ``given`` then names their columns."""
    if hasattr(X, "columns"):
        table, notes = as_table(X)
        columns = dict(zip(table.column_names, table.columns, strict=True))
    else:
        columns, notes = {}, []
        if X is not None:
            pixels = np.asarray(X) if not hasattr(X, "toarray") else X
            name, role = ("image", Role.IMAGE) if pixels.ndim > 2 else ("X", Role.FEATURES)
            columns[name], _ = column_of(pixels, "X")
            given.setdefault(role, name)
    for role, values in list(given.items()):
        if role in _MATRICES or values is None or (isinstance(values, str) and values in columns):
            continue
        if isinstance(values, str):
            raise DrossError(
                f"{role}={values!r} names a column, but there is no table", fix="give the table, or an array"
            )
        several = columns_of(values, role)
        for name, part in several.items():
            columns[name], note = column_of(part, name)
            notes += [note] if note else []
        given[role] = tuple(several)
    if not columns:
        raise DrossError(
            "there is nothing to load", fix='name a file or give arrays: dross.load("train.csv", label="y")'
        )
    table, more = as_table(columns)
    return table, notes + more


# ---- roles ----------------------------------------------------------------------------------------------------------


def _by_role(keywords: Mapping[str, Any]) -> dict[Role, Any]:
    names = {role.value: role for role in Role} | {"pred_probs": Role.PROBS}
    for name in keywords:
        if name not in names:
            raise DrossError(f"dross.load has no role called {name!r}", fix=nearest(name, sorted(names)))
    if "probs" in keywords and "pred_probs" in keywords:
        raise DrossError("probs and pred_probs are the same role", fix="give one of them")
    return {names[name]: value for name, value in keywords.items()}


def _place(
    table: pa.Table, given: dict[Role, Any], where: str | None
) -> tuple[pa.Table, dict[Role, tuple[str, ...] | None]]:
    """Find the columns that the user named, and add those given as arrays."""
    columns: dict[Role, tuple[str, ...] | None] = {}
    for role, value in given.items():
        if value is None or (isinstance(value, list | tuple) and not value):
            columns[role] = None
        elif role in _MATRICES:
            matrix, names = vectors(value, table, role)
            own = isinstance(value, str) and value in table.column_names
            if own and pa.types.is_fixed_size_list(table.schema.field(value).type):
                columns[role] = (value,)
            else:
                check_names([*table.column_names, ADDED[role]], where)
                table = table.append_column(ADDED[role], as_column(matrix))
                columns[role] = (ADDED[role],)
                table = classes.named(table, names) if names is not None and role is Role.PROBS else table
        elif _names_columns(value) and not (where is None and _are_values(value, table)):
            own_names = (value,) if isinstance(value, str) else tuple(value)
            for name in own_names:
                if name not in table.column_names:
                    raise DrossError(f"there is no column {name!r}", where=where, fix=nearest(name, table.column_names))
            columns[role] = own_names
        elif where is not None:
            raise DrossError(
                f"{role} is an array, but the data is a file", where=where, fix=f"name a column: {role}=COLUMN"
            )
        else:
            column, _ = column_of(value, role.value)
            check_names([*table.column_names, role.value], None)
            if len(column) != table.num_rows:
                raise DrossError(f"{role} has {len(column):,} values for {table.num_rows:,} rows")
            table = as_table(table.append_column(role.value, column))[0]
            columns[role] = (role.value,)
    return table, columns


def _refuse_twice(columns: Mapping[Role, tuple[str, ...] | None], where: str | None) -> None:
    """Refuse several columns for a role that takes one, and what is to be learned named as something else too."""
    for role, names in columns.items():
        if names and len(names) > 1 and not role.many:
            raise DrossError(
                f"the role {role} takes one column, not {len(names)}: {', '.join(names)}", where=where, fix="name one"
            )
        for other, others in columns.items():
            shared = sorted(set(names or ()) & set(others or ()))
            if role in _LEARNED and other is not role and shared:
                raise DrossError(
                    f"the column {shared[0]!r} is given both as {role} and as {other}",
                    where=where,
                    fix="a column to learn has no other role: leave one of them out",
                )


def _names_columns(value: Any) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(name, str) for name in value)


def _are_values(value: Any, table: pa.Table) -> bool:
    """Whether a list of texts is a column of values rather than names of columns."""
    return (
        not isinstance(value, str) and len(value) == table.num_rows and not set(value).intersection(table.column_names)
    )


def _unclaimed(defaults: Mapping[Role, tuple[str, ...]], given: Mapping[Role, Any]) -> dict[Role, tuple[str, ...]]:
    """The roles that the source itself suggests, but for columns that the user gave another role."""
    taken = {name for names in given.values() for name in names or ()}
    return {role: names for role, names in defaults.items() if not taken.intersection(names)}


def _settle(state: Guess, given: Mapping[Role, Any], where: str | None) -> None:
    """Check the columns with a role and bring them into the shape the role needs."""
    if given.get(Role.LABEL):
        (name, *_) = given[Role.LABEL]
        labels.check_label(state.column(name), name, where)
        role, remark = labels.kind_of_label(state.column(name))
        if role is not Role.LABEL:
            del state.roles[Role.LABEL]
            state.roles[role], state.why[role] = (name,), "given as the label"
            state.notes.append(f"the label {name!r} has {remark}")
    for name in state.roles.get(Role.IMAGE, ()):
        kind = state.column(name).type
        if not any(f(kind) for f in (pa.types.is_large_string, pa.types.is_large_binary, pa.types.is_struct)):
            raise DrossError(f"the column {name!r} holds {kind}, not images", fix="name a column of paths or of bytes")
    for name in state.roles.get(Role.TARGET, ()):
        labels.check_target(state.column(name), name, where)
    for name in state.roles.get(Role.LABELS, ()):
        if state.column(name).null_count == len(state.table):
            raise DrossError(
                "every label is missing", where=f"column {name!r}", fix="name another column as the labels"
            )
        column, note = labels.as_lists(state.column(name), name)
        _replace(state, name, column)
        state.notes += [note] if note else []
    for name in state.roles.get(Role.TEXT, ()):
        if not pa.types.is_large_string(state.column(name).type):
            _replace(state, name, _as_string(state.column(name), name))


def _replace(state: Guess, name: str, column: pa.ChunkedArray) -> None:
    if column is not state.column(name):
        state.table = state.table.set_column(state.table.column_names.index(name), name, column)


def _as_string(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    try:
        return column.cast(pa.large_string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DrossError(f"the column {name!r} holds {column.type}, not text", fix="name a column of text") from error


def _own_ids(state: Guess) -> Any:
    """Row ids of the user's own columns, when vectors beside them must not change the ids; else None, for later."""
    own = users(state.table)
    if Role.ID in state.roles or len(own.column_names) == len(state.table.column_names):
        return None
    return Dataset(own, {}).row_ids


def _with_checked_probs(data: Dataset) -> Dataset:
    """The data with the user's probabilities in the order of the classes; an error when they are none."""
    check_probs(data.matrix(Role.PROBS), exclusive=not data.has(Role.LABELS))
    if data.has(Role.LABEL):
        return classes.with_classes(data)
    if data.has(Role.LABELS):
        values = pc.unique(data.column(Role.LABELS).combine_chunks().flatten()).drop_null().to_pylist()
        classes.matched(sorted(values), data.column(Role.PROBS).type.list_size, None)
    return data


# ---- what is remembered ---------------------------------------------------------------------------------------------


def _plain_options(given: Mapping[Role, Any]) -> dict[str, Any]:
    """What was given, as plain JSON values; arrays are not kept, so a file read again comes without them."""
    options: dict[str, Any] = {}
    for role, value in given.items():
        name = "pred_probs" if role is Role.PROBS else role.value
        if value is None or isinstance(value, str):
            options[name] = _from_anywhere(role, value)
        elif isinstance(value, os.PathLike):
            options[name] = _from_anywhere(role, os.fspath(value))
        elif _names_columns(value):
            options[name] = list(value)
    return options


def _from_anywhere(role: Role, value: str | None) -> str | None:
    """The name of a column as it is; that of a file of vectors so that it is found from any folder."""
    vectors = value is not None and role in {Role.EMBEDDING, Role.PROBS} and Path(value).is_file()
    return str(Path(value).absolute()) if vectors and value else value


def _remember(state: Guess) -> pa.Table:
    said = json.dumps({"why": {str(role): why for role, why in state.why.items()}, "notes": state.notes})
    return state.table.replace_schema_metadata({**(state.table.schema.metadata or {}), REMARKS: said.encode()})


def _remarks(table: pa.Table) -> dict[str, Any]:
    stored = (table.schema.metadata or {}).get(REMARKS)
    return dict(json.loads(stored)) if stored else {}
