"""Where rows came from, for people: the file and the row in it, or the name that a column gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.step import NONE, REFERENCE, Addresses
from dross.corpus.files import read
from dross.corpus.passes import ADDRESS, NAME
from dross.corpus.pieces import Piece, located


@dataclass(frozen=True)
class Places:
    """Turns addresses into places.

    Attributes
    ----------
    pieces, counts
        The pieces of the corpus, and how many rows each has.
    others, other_counts
        The same for the corpora it was compared with.
    names
        Files with the names of rows, one for each piece that has any; empty when no column names them.
    """

    pieces: Sequence[Piece]
    counts: Sequence[int]
    others: Sequence[Piece] = ()
    other_counts: Sequence[int] = ()
    names: tuple[str, ...] = ()

    @cached_property
    def _files(self) -> npt.NDArray[np.object_]:
        return np.array([piece.file for piece in (*self.pieces, *self.others)] or [""], object)

    @cached_property
    def _before(self) -> npt.NDArray[np.int64]:
        """Rows of the same file that stand in earlier pieces."""
        seen: dict[str, int] = {}
        out = []
        for piece, count in zip((*self.pieces, *self.others), (*self.counts, *self.other_counts), strict=True):
            out.append(seen.get(piece.file, 0) if piece.start else 0)
            seen[piece.file] = out[-1] + count
        return np.array(out or [0], np.int64)

    def of(self, addresses: Addresses) -> tuple[pa.Array, npt.NDArray[np.int64]]:
        """The file and the number of the row in it, from 1, of each address."""
        piece, row = (part.astype(np.int64) for part in located(addresses))
        at = piece + np.where(addresses >= REFERENCE, len(self.pieces), 0)
        return pa.array(self._files[at], pa.string()), row + self._before[at] + 1

    def named(self, addresses: Addresses) -> pa.Array:
        """One name for each address: that of the naming column, else ``FILE#ROW``; null for :data:`NONE`."""
        out = np.full(len(addresses), None, object)
        there = np.flatnonzero(addresses != NONE)
        files, rows = self.of(addresses[there])
        out[there] = [f"{file}#{row}" for file, row in zip(files.to_pylist(), rows.tolist(), strict=True)]
        for path in self.names:
            table = read(Path(path))
            known = table.column(ADDRESS).to_numpy()
            wanted = addresses >> np.uint64(12) << np.uint64(12)  # rows that were made go by the name of their parent
            here = np.flatnonzero((wanted >= known[0]) & (wanted <= known[-1]) & (addresses != NONE))
            found = table.column(NAME).take(pa.array(np.searchsorted(known, wanted[here]))).to_pylist()
            for i, name in zip(here.tolist(), found, strict=True):
                out[i] = name if name is not None else out[i]
        return pa.array(out, pa.string())
