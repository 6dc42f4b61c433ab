"""Rows meet: the sketches of other corpora, the looks at each part of the keys, and the decisions of a step."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dross.core.errors import DrossError
from dross.core.step import REFERENCE, ROW, Rows, WholeStep
from dross.corpus.files import once, read, write
from dross.corpus.memory import resident
from dross.corpus.passes import Tally, ready
from dross.corpus.pieces import Piece, address
from dross.corpus.reading import Wanted, blocks
from dross.corpus.sketches import Arrays, Shelves, Sketches, part_of

GATHERED = 1 << 22
"""Rows of findings that are gathered before repeated ones are put together."""


@dataclass(frozen=True)
class Reading:
    """One piece of another corpus, of which the rows are sketched and nothing else."""

    step: WholeStep
    piece: Piece
    wanted: Wanted
    place: str
    stem: str
    parts: int

    def __str__(self) -> str:
        return self.piece.file


@dataclass(frozen=True)
class Meeting:
    """One part of the keys of a step."""

    step: WholeStep
    sketches: tuple[str, ...]
    shelves: Shelves
    part: int
    parts: int
    path: str

    def __str__(self) -> str:
        return f"{self.step.name()}, part {self.part + 1} of {self.parts}"


def read_reference(task: Reading) -> dict[str, Any]:
    """Sketch the rows of another corpus; how many there are, and the files of sketches and arrays."""
    return once(Path(task.stem + ".json"), lambda: _sketched(task), task.piece.signature())


def _sketched(task: Reading) -> dict[str, Any]:
    sketches, arrays = Sketches(Path(task.stem + ".sketches"), task.parts), Arrays(Path(task.stem))
    held, count = ready(task.step, task.place), 0
    for block in blocks(task.piece, task.wanted):
        addresses = address(task.piece.index, count, block.count) | REFERENCE
        if block.ordinals is not None:
            addresses = addresses[np.array(block.ordinals, np.int64) - count]
        count += block.count
        rows = Rows(block.table, task.wanted.text, addresses)
        sketches.add(task.step.sketch(rows, held))
        arrays.add(addresses, task.step.stored(rows, held))
    files = [str(sketches.path)] if sketches.close() else []
    return {"count": count, "sketches": files, "stems": [task.stem] if arrays.close() else []}


def meet(task: Meeting) -> dict[str, Any]:
    """What follows from one part of the keys, into a file; the CPU time it took and the memory it held."""
    return once(Path(task.path).with_suffix(".json"), lambda: _met(task))


def _met(task: Meeting) -> dict[str, Any]:
    started = time.process_time()
    sketches = part_of([Path(file) for file in task.sketches], task.part, task.parts)
    if sketches is not None:
        write(Path(task.path), task.step.meet(sketches, task.shelves))
    return Tally(seconds=time.process_time() - started, memory=resident()).plain()


def settle(step: WholeStep, files: list[Path], shelves: Shelves, path: Path) -> None:
    """The decisions of a step from all that was found, sorted by row, into a file."""
    found = _gathered(files)
    if found is not None and found.num_rows:
        found = step.settle(found.sort_by([(name, "ascending") for name in found.column_names]), shelves)
        rows = found.column(ROW).to_numpy()
        order = np.argsort(rows, kind="stable")
        if (np.diff(rows[order]) == 0).any():
            raise DrossError(f"{step.name()} decides twice on one row", fix="this is a defect of that step: report it")
        found = found.take(pa.array(order)).combine_chunks()
    if found is None or not found.num_rows:
        found = pa.table({ROW: pa.array([], pa.uint64()), "reason": pa.array([], pa.int16())})
    write(path, found)


def _gathered(files: list[Path]) -> pa.Table | None:
    """All that was found, once: what several keys say of the same rows is put together on the way."""
    waiting: list[pa.Table] = []
    most = GATHERED
    for file in files:
        if file.exists():
            waiting.append(read(file))
        if sum(len(table) for table in waiting) > most:
            waiting = [distinct(pa.concat_tables(waiting))]
            most = max(most, 2 * len(waiting[0]))
    return distinct(pa.concat_tables(waiting)) if waiting else None


def distinct(table: pa.Table) -> pa.Table:
    """Each row once, in no order; a table with lists or the like is left as it is.

    >>> distinct(pa.table({"a": [1, 2, 1], "b": [0.5, 0.5, 0.5]})).num_rows
    2
    """
    plain = all(pa.types.is_primitive(field.type) for field in table.schema)
    return table.group_by(table.column_names, use_threads=False).aggregate([]) if plain and table.num_columns else table
