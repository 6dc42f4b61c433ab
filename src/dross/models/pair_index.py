"""PairIndex: pairs on disk, to be searched by nearness of either side and by tags."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dross.core.errors import DrossError, nearest
from dross.core.paths import expanded

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
FORMAT = 1
SIDES = ("first", "second")
ROW, KEY = "row", "key"
"""Tag columns that every index has: the position of the pair in the data set, and its id as a person knows it."""
EXACT = 50_000
"""Pairs up to which every vector is compared; beyond, cells are searched."""
PROBES = 32
"""Cells visited beyond."""


@dataclass(frozen=True)
class PairIndex:
    """Pairs read from a folder; vectors are read when they are first asked for, tags row group by row group.

    Attributes
    ----------
    folder
        Holds ``tags.parquet``, ``first.faiss``, ``second.faiss`` and ``about.json``.
    about
        What the sides are called, how many pairs there are, their dimensions.
    """

    folder: Path
    about: Mapping[str, Any]

    def __len__(self) -> int:
        return int(self.about["pairs"])

    @property
    def tags(self) -> list[str]:
        """The names of the tag columns."""
        return list(pq.read_schema(self.folder / "tags.parquet").names)

    def subset(self, where: Mapping[str, Any], columns: Sequence[str] = (ROW,)) -> pa.Table:
        """The pairs whose tags all fit, in order: exactly these, read without holding the others.

        A value asks for equality, a list for any of its values, and a pair (tuple) for a range: from the first to the
        second, both included, None leaving an end open. A missing tag fits nothing but None.

        Raises DrossError for a tag that is not there, or a value of another type.
        """
        condition: Any = pc.scalar(True)
        for name, value in where.items():
            self._known(name)
            condition &= self._fits(name, value)
        for name in columns:
            self._known(name)
        try:
            return pq.read_table(self.folder / "tags.parquet", columns=list(columns), filters=condition)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            told = ", ".join(f"{name}: {value!r}" for name, value in where.items())
            raise DrossError(f"a tag cannot be compared with its value ({told})", where=str(self.folder)) from error

    def nearest(self, vectors: Vectors, k: int = 10, side: str = "first") -> tuple[Rows, Vectors]:
        """The k pairs whose first (or second) side is nearest to each vector, (m, d): rows (m, k), cosines (m, k).

        -1 and -inf stand where there are fewer than k pairs.
        """
        vectors = np.ascontiguousarray(vectors, np.float32)
        index = self._index(side)
        if vectors.ndim != 2 or vectors.shape[1] != index.d:
            raise DrossError(f"vectors of shape {vectors.shape} cannot be compared with {index.d} dimensions")
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        cosines, places = index.search(vectors / lengths, k)
        rows = pq.read_table(self.folder / "tags.parquet", columns=[ROW]).column(ROW).to_numpy()
        return np.where(places < 0, -1, rows[places]), np.where(places < 0, -np.inf, cosines).astype(np.float32)

    def vectors(self, side: str = "first") -> Vectors:
        """All vectors of a side, shape (n, d), float32, in the order of the tags."""
        index = self._index(side)
        if hasattr(index, "make_direct_map"):
            index.make_direct_map()
        return np.asarray(index.reconstruct_n(0, len(self)), np.float32)

    def _known(self, name: str) -> None:
        if name not in self.tags:
            raise DrossError(f"no tag is called {name!r}", where=str(self.folder), fix=nearest(name, self.tags))

    @staticmethod
    def _fits(name: str, value: Any) -> Any:
        field = pc.field(name)
        if value is None:
            return field.is_null()
        if isinstance(value, tuple):
            low, high = value
            above = pc.scalar(True) if low is None else field >= low
            return above & (pc.scalar(True) if high is None else field <= high) & field.is_valid()
        return field.isin(list(value)) if isinstance(value, list | set | frozenset) else field == value

    def _index(self, side: str) -> Any:
        import faiss

        if side not in SIDES:
            raise DrossError(f"no side is called {side!r}", fix=nearest(side, list(SIDES)))
        try:
            return faiss.read_index(str(self.folder / f"{side}.faiss"))
        except RuntimeError as error:
            raise DrossError("an index is missing or damaged", where=str(self.folder / f"{side}.faiss")) from error


def write_index(
    folder: str | Path, tags: pa.Table, first: Vectors, second: Vectors, names: tuple[str, str]
) -> PairIndex:
    """Write pairs to a new folder that appears at once or not at all.

    ``tags`` holds one row a pair with the columns ``row`` and ``key``; ``first`` and ``second``, (n, d) and (n, e),
    unit vectors. Raises DrossError where the folder is there already.
    """
    import faiss

    target = expanded(folder)
    if target.exists():
        raise DrossError("there is something already", where=str(target), fix="name a new folder")
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
    about = {
        "format": FORMAT,
        "pairs": len(first),
        "sides": list(names),
        "dimensions": [first.shape[1], second.shape[1]],
    }
    try:
        temporary.mkdir(parents=True)
        pq.write_table(tags, temporary / "tags.parquet", row_group_size=65_536)
        for side, vectors in zip(SIDES, (first, second), strict=True):
            faiss.write_index(_searchable(np.ascontiguousarray(vectors, np.float32)), str(temporary / f"{side}.faiss"))
        (temporary / "about.json").write_text(json.dumps(about), encoding="utf-8")
        temporary.rename(target)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise DrossError(
            f"cannot write: {error.strerror}", where=str(target), fix="free space, or name another"
        ) from error
    return PairIndex(target, about)


def read_index(folder: str | Path) -> PairIndex:
    """What :func:`write_index` wrote. Raises DrossError where the folder holds no such thing."""
    place = expanded(folder)
    try:
        about = json.loads((place / "about.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DrossError("no index of pairs stands there", where=str(place)) from error
    if about["format"] > FORMAT:
        raise DrossError("the index was written by a newer dross", where=str(place), fix="pip install -U dross")
    return PairIndex(place, about)


def _searchable(vectors: Vectors) -> Any:
    """Every vector compared where there are few, else those of the nearest cells."""
    import faiss

    n, d = vectors.shape
    index: Any
    if n <= EXACT:
        index = faiss.IndexFlatIP(d)
    else:
        cells = int(4 * n**0.5)
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(d), d, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed, index.nprobe = 0, min(PROBES, cells)
        index.train(vectors)
    index.add(vectors)
    return index
