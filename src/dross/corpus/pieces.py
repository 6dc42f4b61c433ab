"""What a corpus is cut into: files, and parts of large ones, each of which one worker reads from end to end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from dross.core.errors import DrossError
from dross.core.hashing import digest
from dross.core.step import MOST_MADE, Addresses, runs_of
from dross.corpus.report import REPORT
from dross.io.paths import compression_of, find, reading

PIECE = 1 << 28
"""Bytes of a file that one worker reads; compressed JSON Lines cannot be divided."""
READABLE = ("jsonl", "parquet")
_SHIFT_PIECE, _SHIFT_ROW, _MADE = np.uint64(44), np.uint64(12), np.uint64(0xFFF)
MOST_PIECES = 1 << 19


@dataclass(frozen=True)
class Piece:
    """A part of a file.

    Attributes
    ----------
    index
        Its number in the corpus.
    file, format
        Where it lies, and ``jsonl`` or ``parquet``.
    start, stop
        Bytes of an uncompressed JSON Lines file, row groups of a Parquet file; ``stop`` is -1 at the end of a file.
    size
        About how many bytes it has on disk.
    """

    index: int
    file: str
    format: str
    start: int
    stop: int
    size: int

    def __str__(self) -> str:
        return self.file

    def signature(self) -> str:
        """Name the piece, its file's size and its time of change, so that a file that was mended is read again."""
        with reading(self.file):
            status = Path(self.file).stat()
        return digest(*(str(v) for v in (*vars(self).values(), status.st_size, status.st_mtime_ns)))


def pieces_of(sources: Sequence[str], most: int = PIECE) -> list[Piece]:
    """The pieces of all files that paths, globs or folders name, in order of name within each of them."""
    found: list[Piece] = []
    for source in sources:
        folder = Path(source)
        finished = (folder / REPORT).is_file() and any(folder.glob("part-*"))  # the outcome of a run
        named = find(str(folder / "part-*") if finished else source)
        if named.format not in READABLE:
            raise DrossError(
                f"a corpus is read from JSON Lines (also .gz, .zst) or Parquet, this is {named.format}",
                where=source,
                fix="convert it first, for example: pl.scan_csv(FILE).sink_parquet(OTHER)",
            )
        for file in named.files:
            with reading(file):
                found += _cut(file.absolute(), named.format, len(found), most)  # workers may stand in other folders
    if len({piece.format for piece in found}) > 1:
        raise DrossError("some files are JSON Lines and some Parquet", fix="curate them one kind at a time")
    if len(found) > MOST_PIECES:
        raise DrossError(f"{len(found):,} files and parts are more than {MOST_PIECES:,}", fix="join small files first")
    return found


def _cut(file: Path, kind: str, first: int, most: int) -> Iterator[Piece]:
    size = file.stat().st_size
    if kind == "parquet":
        meta = pq.ParquetFile(file).metadata
        sizes = [meta.row_group(i).total_byte_size for i in range(meta.num_row_groups)]
        edges, taken = [0], 0
        for i, part in enumerate(sizes):
            if taken + part > most and i > edges[-1]:
                edges.append(i)
                taken = 0
            taken += part
        edges.append(len(sizes))
        spans = [(a, b, sum(sizes[a:b])) for a, b in itertools.pairwise(edges)]
    elif compression_of(file) is None and size > most:
        count = -(-size // most)
        edges = [size * i // count for i in range(count + 1)]
        spans = [(a, b, b - a) for a, b in itertools.pairwise(edges)]
    else:
        spans = [(0, -1, size)]
    for index, (start, stop, part) in enumerate(spans, first):
        yield Piece(index, str(file), kind, start, stop, part)


# ---- addresses ---------------------------------------------------------------------------------------------------


def address(piece: int, first: int, count: int) -> Addresses:
    """The addresses of consecutive rows of a piece, shape (count,).

    >>> address(0, 2, 2).tolist(), address(1, 0, 1).tolist()
    ([8192, 12288], [17592186044416])
    """
    rows = np.arange(first, first + count, dtype=np.uint64)
    return (np.uint64(piece) << _SHIFT_PIECE) | (rows << _SHIFT_ROW)


def located(addresses: Addresses) -> tuple[Addresses, Addresses]:
    """The piece of each address, and the row in it that it is or was made of; the mark of other corpora is ignored.

    >>> [part.tolist() for part in located(address(3, 7, 1))]
    [[3], [7]]
    """
    plain = addresses & np.uint64((1 << 63) - 1)
    return plain >> _SHIFT_PIECE, (plain & np.uint64((1 << 44) - 1)) >> _SHIFT_ROW


def made(parents: Addresses) -> Addresses:
    """Addresses of rows made of others: those of the parents, numbered from 1 where one has several.

    >>> (made(address(0, 1, 1).repeat(2)) - address(0, 1, 1)).tolist()
    [1, 2]
    """
    if len(parents) and (parents & _MADE).any():
        raise DrossError("only one step of a recipe can make rows of others", fix="leave out all but one")
    starts, sizes = runs_of(parents)
    if len(sizes) and sizes.max() >= MOST_MADE:
        raise DrossError(f"one row was made into {sizes.max():,}, more than {MOST_MADE - 1:,}", fix="split it first")
    return parents + (np.arange(len(parents)) - np.repeat(starts, sizes) + 1).astype(np.uint64)
