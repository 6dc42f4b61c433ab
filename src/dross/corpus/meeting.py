"""Rows meet: the sketches of other corpora, the looks at each part of the keys, and the decisions of a step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dross.core.errors import DrossError
from dross.core.step import REFERENCE, ROW, Rows, WholeStep
from dross.corpus.files import new, read, read_json, write, write_json
from dross.corpus.passes import ready
from dross.corpus.pieces import Piece, address
from dross.corpus.reading import Wanted, blocks
from dross.corpus.sketches import Arrays, Shelves, Sketches, part_of


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


def read_reference(task: Reading) -> int:
    """Sketch the rows of another corpus; how many there are."""
    marker = Path(task.stem + ".json")
    done = read_json(marker)
    if done is None:
        sketches, arrays = Sketches(Path(task.stem + ".sketches"), task.parts), Arrays(Path(task.stem))
        held, done = ready(task.step, task.place), 0
        for block in blocks(task.piece, task.wanted):
            addresses = address(task.piece.index, done, block.count) | REFERENCE
            done += block.count
            if block.ordinals is not None:
                first = done - block.count
                addresses = addresses[np.array(block.ordinals, np.int64) - first]
            rows = Rows(block.table, task.wanted.text, addresses)
            sketches.add(task.step.sketch(rows, held))
            arrays.add(addresses, task.step.stored(rows, held))
        sketches.close()
        arrays.close()
        write_json(marker, done)
    return int(done)


def meet(task: Meeting) -> int:
    """What follows from one part of the keys, into a file; how many rows it has."""
    path = Path(task.path)
    marker = path.with_suffix(".json")
    done = read_json(marker)
    if done is None:
        sketches = part_of([Path(file) for file in task.sketches], task.part, task.parts)
        done = 0
        if sketches is not None:
            found = task.step.meet(sketches, task.shelves)
            write(path, found)
            done = found.num_rows
        write_json(marker, done)
    return int(done)


def settle(step: WholeStep, files: list[Path], shelves: Shelves, path: Path) -> None:
    """The decisions of a step from all that was found, sorted by row, into a file."""
    tables = [read(file) for file in files if file.exists()]
    found = pa.concat_tables(tables) if tables else None
    if found is not None and found.num_rows:
        found = step.settle(found.sort_by([(name, "ascending") for name in found.column_names]), shelves)
        rows = found.column(ROW).to_numpy()
        order = np.argsort(rows, kind="stable")
        if (np.diff(rows[order]) == 0).any():
            raise DrossError(f"{step.name()} decides twice on one row", fix="this is a defect of that step: report it")
        found = found.take(pa.array(order)).combine_chunks()
    if found is None or not found.num_rows:
        found = pa.table({ROW: pa.array([], pa.uint64()), "reason": pa.array([], pa.int16())})
    with new(path) as other:
        write(other, found)


def sketched(folder: Path) -> tuple[tuple[str, ...], Shelves]:
    """The sketches and the looked-up arrays that a pass wrote, in order."""
    sketches = sorted(str(path) for path in folder.glob("*.sketches"))
    return tuple(sketches), Shelves(tuple(_stems(folder)))


def _stems(folder: Path) -> Iterator[str]:
    seen: dict[str, Any] = {}
    for path in sorted(folder.glob("*.addresses.npy")):
        seen[str(path)[: -len(".addresses.npy")]] = None
    yield from seen
