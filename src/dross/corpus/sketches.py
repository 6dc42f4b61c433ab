"""Bringing rows together: sketches written in parts by their keys, and arrays that can be looked up by address."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.step import KEY, ROW, Addresses
from dross.corpus.files import full, new

_SPILL = 1 << 26
ADDRESSES = "addresses"
_UPPER = np.uint64(0xFFFFFFFF00000000)


class Sketches:
    """Writes the sketches of one task: whenever enough have come, one batch for each part of the keys."""

    def __init__(self, path: Path, parts: int) -> None:
        self.path, self.parts = path, parts
        self._waiting: list[pa.Table] = []
        self._size = 0
        self._writer: Any = None
        self._other = path.with_name(f"{path.name}.new")

    def add(self, sketches: pa.Table) -> None:
        """Take the sketches of some rows."""
        if sketches.num_rows:
            self._waiting.append(sketches)
            self._size += sketches.nbytes
        if self._size > _SPILL:
            self._spill()

    def _spill(self) -> None:
        table = pa.concat_tables(self._waiting).combine_chunks()
        part = (table.column(KEY).to_numpy() % np.uint64(self.parts)).astype(np.int64)
        order = np.argsort(part, kind="stable")
        edges = np.searchsorted(part[order], np.arange(self.parts + 1))
        table = table.take(pa.array(order)).combine_chunks()
        with full(self.path.parent):
            if self._writer is None:
                self._writer = pa.ipc.new_file(str(self._other), table.schema)
            for start, stop in itertools.pairwise(edges):
                (batch,) = table.slice(start, stop - start).to_batches() or [_nothing(table.schema)]
                self._writer.write_batch(batch)
        self._waiting, self._size = [], 0

    def close(self) -> bool:
        """Write the rest; there is no file when there was no sketch."""
        if self._waiting:
            self._spill()
        if self._writer is None:
            return False
        self._writer.close()
        self._other.replace(self.path)
        return True


def _nothing(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({field.name: pa.array([], field.type) for field in schema}, schema=schema)


def part_of(files: Sequence[Path], part: int, parts: int) -> pa.Table | None:
    """All sketches of one part of the keys, sorted by key and row; None when there are none."""
    tables = []
    for path in files:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            found = [file.get_batch(i) for i in range(part, file.num_record_batches, parts)]
            tables += [pa.Table.from_batches([batch]) for batch in found if batch.num_rows]
    if not tables:
        return None
    table = pa.concat_tables(tables)
    order = by_key_and_row(table.column(KEY).to_numpy(), table.column(ROW).to_numpy())
    return table.take(pa.array(order)).combine_chunks()


def by_key_and_row(keys: Addresses, rows: Addresses) -> npt.NDArray[np.int64]:
    """The order of entries by key, then by row, shape (n,), int64.

    Entries of one key nearly always come in the order of their rows; then keys with their places in the lower half are
    sorted as plain numbers, many times faster than by two columns.

    >>> by_key_and_row(np.array([9, 5, 9, 5], np.uint64), np.array([1, 2, 3, 1], np.uint64)).tolist()
    [3, 1, 0, 2]
    """
    packed = (keys & _UPPER) | np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    order = (packed & ~_UPPER).astype(np.int64)
    upper, found = packed & _UPPER, keys[order]
    heads = np.append(True, upper[1:] != upper[:-1])
    mixed = np.zeros(int(heads.sum()), bool)  # different keys with the same upper half
    group = np.cumsum(heads) - 1
    mixed[group[1:][(found[1:] != found[:-1]) & ~heads[1:]]] = True
    at = np.flatnonzero(mixed[group])
    order[at] = order[at][np.lexsort([order[at], found[at]])]
    found, there = keys[order], rows[order]
    if ((found[1:] == found[:-1]) & (there[1:] < there[:-1])).any():
        return np.lexsort([rows, keys]).astype(np.int64)
    return order


class Arrays:
    """Writes arrays of one entry per row: of fixed size, or Arrow lists."""

    def __init__(self, stem: Path) -> None:
        self.stem = stem
        self._parts: dict[str, list[Any]] = {}

    def add(self, addresses: Addresses, arrays: Mapping[str, npt.NDArray[Any] | pa.Array]) -> None:
        """Take the entries of some rows."""
        for name, array in {**arrays, ADDRESSES: addresses}.items() if arrays else ():
            self._parts.setdefault(name, []).append(array)

    def close(self) -> bool:
        """Write one file per array; there is none when there was no array."""
        for name, parts in self._parts.items():
            lists = isinstance(parts[0], pa.Array)
            with new(self.stem.with_name(f"{self.stem.name}.{name}.{'arrow' if lists else 'npy'}")) as other:
                if lists:
                    table = pa.table({name: pa.concat_arrays(parts)})
                    with pa.ipc.new_file(str(other), table.schema) as writer:
                        writer.write_table(table)
                else:
                    with other.open("wb") as file:
                        np.save(file, np.concatenate(parts))
        return bool(self._parts)


@dataclass(frozen=True)
class Shelves:
    """The arrays that many tasks wrote, looked up by address; pages of the files come and go as they are needed."""

    stems: tuple[str, ...]

    @cached_property
    def _opened(self) -> list[dict[str, Any]]:
        found = [
            {path.stem[len(stem.name) + 1 :]: _opened(path) for path in paths} for stem, paths in self._paths().items()
        ]
        return sorted((one for one in found if one and len(one[ADDRESSES])), key=lambda one: int(one[ADDRESSES][0]))

    def files(self) -> list[Path]:
        """The files of the arrays."""
        return [path for paths in self._paths().values() for path in paths]

    def _paths(self) -> dict[Path, list[Path]]:
        """The files of each task; each folder is listed once, however many tasks wrote there."""
        paths: dict[Path, list[Path]] = {stem: [] for stem in map(Path, self.stems)}
        for folder in {stem.parent for stem in paths}:
            for path in folder.iterdir():
                own = folder / path.name.partition(".")[0]
                if path.suffix in {".npy", ".arrow"} and own in paths:
                    paths[own].append(path)
        return paths

    @cached_property
    def _firsts(self) -> Addresses:
        return np.array([one[ADDRESSES][0] for one in self._opened], np.uint64)

    def take(self, name: str, addresses: Addresses) -> Any:
        """See :class:`~dross.core.step.Store`."""
        shelf = np.searchsorted(self._firsts, addresses, "right") - 1
        order = np.argsort(shelf, kind="stable")
        parts = []
        for i in np.unique(shelf).tolist():
            one = self._opened[i]
            at = np.searchsorted(one[ADDRESSES], addresses[shelf == i])
            parts.append(one[name].take(pa.array(at)) if isinstance(one[name], pa.Array) else one[name][at])
        if not parts:
            return self._opened[0][name][:0] if self._opened else np.empty(0)
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        if isinstance(parts[0], pa.Array):
            return pa.concat_arrays(parts).take(pa.array(back))
        return np.concatenate(parts)[back]


def _opened(path: Path) -> Any:
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r")
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all().column(0).combine_chunks()
