"""Dataset: immutable rows with stable ids and typed roles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.errors import DrossError, nearest
from dross.core.hashing import Hashes, combine, digest, hash_column, occurrences
from dross.core.roles import Role, Task, task_of

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
CLASSES = b"dross.classes"
"""Table metadata: the classes of the user's probabilities as a JSON list, where some of them occur in no row."""


@dataclass(frozen=True)
class Source:
    """Where a dataset was read from, so that a later command can read it again."""

    path: str
    """The path or glob as the user gave it."""
    format: str
    """``csv``, ``parquet``, … as named in :mod:`dross.io`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What else ``dross.load`` was given, plain JSON values only."""


class Dataset:
    """Rows in an Arrow table, their roles and their ids; never changed in place.

    Parameters
    ----------
    table
        The rows. Column order is the user's.
    roles
        Which columns play which role. Columns without a role are carried along and not read.
    source
        Where the table came from, when it came from a file.
    row_ids
        Ids to keep, shape (n,); computed from the key column or the content when absent.

    Examples
    --------
    >>> data = Dataset(pa.table({"x": [1.0, 2.0], "y": ["a", "b"]}), {Role.FEATURES: ["x"], Role.LABEL: ["y"]})
    >>> len(data), data.task.value, data.classes, data.codes.tolist()
    (2, 'classification', ['a', 'b'], [0, 1])
    """

    def __init__(
        self,
        table: pa.Table,
        roles: Mapping[Role, Sequence[str]],
        *,
        source: Source | None = None,
        row_ids: Hashes | None = None,
    ) -> None:
        self.table = table
        self.roles: dict[Role, tuple[str, ...]] = {Role(r): tuple(c) for r, c in roles.items() if c}
        self.source = source
        self._given_ids = row_ids
        self._hashes: dict[str, Hashes] = {}
        for role, columns in self.roles.items():
            for column in columns:
                if column not in table.column_names:
                    raise DrossError(
                        f"no column {column!r} for the role {role}", fix=nearest(column, table.column_names)
                    )
            if len(columns) > 1 and not role.many:
                raise DrossError(f"the role {role} takes one column, not {len(columns)}: {', '.join(columns)}")

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        roles = ", ".join(f"{role}={'+'.join(columns[:3])}" for role, columns in self.roles.items())
        return f"Dataset({len(self):,} rows, {self.task}, {roles})"

    # ---- roles and columns ------------------------------------------------------------------------------------------

    def has(self, *roles: Role) -> bool:
        """Whether every one of the roles is played by some column."""
        return all(role in self.roles for role in roles)

    def name_of(self, role: Role) -> str:
        """The name of the role's (first) column; an error when there is none."""
        if role not in self.roles:
            raise DrossError(f"no column has the role {role}", fix=f"name one with {role}=COLUMN when loading")
        return self.roles[role][0]

    def column(self, role: Role) -> pa.ChunkedArray:
        """The role's (first) column."""
        return self.table.column(self.name_of(role))

    @cached_property
    def task(self) -> Task:
        """What the data is to teach."""
        return task_of(frozenset(self.roles))

    @property
    def content(self) -> tuple[str, ...]:
        """The columns a model may learn from, in table order."""
        from dross.core.roles import CONTENT

        wanted = {column for role in CONTENT for column in self.roles.get(role, ())}
        return tuple(name for name in self.table.column_names if name in wanted)

    # ---- identity ---------------------------------------------------------------------------------------------------

    def hashes(self, column: str) -> Hashes:
        """The 64-bit content hash of each row of one column, shape (n,)."""
        if column not in self._hashes:
            self._hashes[column] = hash_column(self.table.column(column))
        return self._hashes[column]

    @cached_property
    def row_ids(self) -> Hashes:
        """One stable 64-bit id per row, shape (n,): from the key column where there is one, else from the content.

        Ids survive shuffling, subsetting and reloading. Equal rows are told apart by their occurrence number.
        """
        if self._given_ids is not None:
            return self._given_ids
        if self.has(Role.ID):
            ids = self.hashes(self.name_of(Role.ID))
            repeated = np.flatnonzero(occurrences(ids))
            if len(repeated):
                value = self.column(Role.ID)[int(repeated[0])]
                raise DrossError(
                    f"the id {value} stands on more than one row ({len(repeated)} repeated ids)",
                    where=f"column {self.name_of(Role.ID)!r}, row {int(repeated[0])}",
                    fix="make the ids unique, or load with id=None to let dross make them",
                )
            return ids
        rows = combine([self.hashes(name) for name in self.table.column_names], len(self))
        return combine([rows, occurrences(rows).astype(np.uint64)], len(self))

    def key(self, row: int) -> str:
        """The id of a row as a person knows it: the key column's value, or 16 hexadecimal digits."""
        if self.has(Role.ID):
            return str(self.column(Role.ID)[row].as_py())
        return f"{int(self.row_ids[row]):016x}"

    def keys(self, rows: Rows) -> pa.Array:
        """:meth:`key` for many rows, as an Arrow string array."""
        if self.has(Role.ID):
            return pc.cast(self.column(Role.ID).take(pa.array(rows)), pa.string()).combine_chunks()
        return pa.array([f"{i:016x}" for i in self.row_ids[rows].tolist()], pa.string())

    def fingerprint(self, *roles: Role) -> str:
        """Name the content of some roles (all of them when none is named) and the order of the rows.

        Independent of the file's layout: format, compression, chunking, integer width.
        """
        chosen = sorted(r for r in self.roles if not roles or r in roles)
        parts = [str(len(self))]
        for role in chosen:
            for column in self.roles[role]:
                parts += [role, column, self._column_digest(column)]
        return digest(*parts)

    def _column_digest(self, column: str) -> str:
        return digest(np.ascontiguousarray(self.hashes(column)).data.cast("B"))

    # ---- labels and numbers -----------------------------------------------------------------------------------------

    @cached_property
    def _encoded(self) -> tuple[Codes, list[Any]]:
        column = self.column(Role.LABEL)
        if pa.types.is_null(column.type):  # nothing but missing values, which cannot be encoded
            return np.full(len(self), -1, np.int32), []
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        column = column.unify_dictionaries().combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
        values = column.dictionary.to_pylist()
        codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        used = np.bincount(codes[codes >= 0], minlength=len(values)) > 0
        keep = [i for i, value in enumerate(values) if used[i] and value is not None]
        known = [values[i] for i in keep]
        classes = sorted({*known, *self._given_classes(known)}, key=sort_key)
        place = {value: j for j, value in enumerate(classes)}
        rank = np.full(len(values) + 1, -1, np.int32)
        rank[keep] = [place[value] for value in known]
        return rank[codes], classes

    def _given_classes(self, known: list[Any]) -> list[Any]:
        """The classes of the user's probabilities, where these are the only ones that occur."""
        stored = (self.table.schema.metadata or {}).get(CLASSES)
        if stored is None or not self.has(Role.PROBS):
            return []
        named: list[Any] = json.loads(stored)
        fits = self.column(Role.PROBS).type.list_size == len(named) and set(known) <= set(named)
        return named if fits else []

    @property
    def codes(self) -> Codes:
        """The label of each row as a number into :attr:`classes`, shape (n,), int32; -1 where it is missing."""
        return self._encoded[0]

    @property
    def classes(self) -> list[Any]:
        """The distinct labels, sorted; with them the classes that only the user's own probabilities name."""
        return self._encoded[1]

    @cached_property
    def target(self) -> npt.NDArray[np.float64]:
        """The number to predict, shape (n,), float64; NaN where it is missing."""
        return self.numbers(self.name_of(Role.TARGET))

    def numbers(self, column: str) -> npt.NDArray[np.float64]:
        """A numeric column as float64, shape (n,), NaN where it is null."""
        values = pc.cast(self.table.column(column), pa.float64(), safe=False)  # integers beyond 2**53 are rounded
        return np.asarray(values.to_numpy(), dtype=np.float64)

    def matrix(self, role: Role) -> npt.NDArray[np.float32]:
        """The vectors of a fixed-size-list column, shape (n, d), float32, without a copy where Arrow allows."""
        column = self.column(role).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
        width = column.type.list_size
        flat = column.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat, dtype=np.float32).reshape(-1, width)

    # ---- new datasets from this one ---------------------------------------------------------------------------------

    def take(self, rows: Rows) -> Dataset:
        """The given rows, in the given order, with their ids."""
        return Dataset(self.table.take(pa.array(rows)), self.roles, source=self.source, row_ids=self.row_ids[rows])

    def slice(self, start: int, stop: int) -> Dataset:
        """Rows ``start`` to ``stop`` without a copy; ids are kept."""
        return Dataset(
            self.table.slice(start, stop - start),
            self.roles,
            source=self.source,
            row_ids=self.row_ids[start:stop],
        )

    def with_column(self, name: str, values: pa.Array | pa.ChunkedArray) -> Dataset:
        """The same rows, ids and roles with one column's values replaced."""
        position = self.table.column_names.index(name)
        table = self.table.set_column(position, name, values)
        changed = Dataset(table, self.roles, source=self.source, row_ids=self.row_ids)
        changed._hashes = {k: v for k, v in self._hashes.items() if k != name}
        return changed

    def append(self, rows: pa.Table) -> Dataset:
        """These rows followed by others of the same columns; the new ones get ids of their own."""
        table = pa.concat_tables([self.table, rows.select(self.table.column_names).cast(self.table.schema)])
        fresh = np.arange(rows.num_rows, dtype=np.uint64)
        ids = combine([fresh, np.full(rows.num_rows, self.row_ids[:1].sum(), np.uint64)], rows.num_rows)
        return Dataset(table, self.roles, source=self.source, row_ids=np.concatenate([self.row_ids, ids]))

    def batches(self, size: int = 65_536) -> Iterator[Dataset]:
        """The rows in consecutive pieces of ``size``; the boundaries do not depend on the file or the machine."""
        for start in range(0, len(self), size):
            yield self.slice(start, min(start + size, len(self)))


def sort_key(value: Any) -> tuple[int, float, str]:
    """Numbers before texts, each in its own order: how classes are sorted.

    >>> sorted(["b", 2, "a", 10], key=sort_key)
    [2, 10, 'a', 'b']
    """
    if isinstance(value, bool | int | float):
        return (0, float(value), "")
    return (1, 0.0, str(value))
