"""Which rows a model learns from, which it is judged on, and how to deal rows at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.roles import Role

TRAINING = ("train", "training", "trn", "tr", "learn")
"""Names of the part that models learn from, in lower case."""


@dataclass(frozen=True)
class Splits:
    """The parts of a dataset.

    Attributes
    ----------
    names
        Their names, the training part first, the others sorted.
    codes
        The part of each row, shape (n,), int32: a position in ``names``; -1 where it is missing.
    """

    names: list[str]
    codes: npt.NDArray[np.int32]

    @property
    def training(self) -> npt.NDArray[np.bool_]:
        """Whether each row is one that models learn from, shape (n,); true everywhere where there are no parts."""
        training: npt.NDArray[np.bool_] = self.codes == 0
        return training


def splits_of(data: Dataset) -> Splits:
    """The parts by the role split; one part of all rows where there is no such column.

    The training part is the one called so ("train", "training", …), else the largest.

    >>> data = Dataset(pa.table({"x": [1, 2, 3], "part": ["test", "Train", None]}), {Role.SPLIT: ["part"]})
    >>> splits_of(data).names, splits_of(data).codes.tolist()
    (['Train', 'test'], [1, 0, -1])
    """
    if not data.has(Role.SPLIT):
        return Splits(["all"], np.zeros(len(data), np.int32))
    texts = pc.cast(data.column(Role.SPLIT), pa.string())
    encoded = pa.concat_arrays(texts.chunks or [pa.array([], pa.string())]).dictionary_encode()
    values = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    if not values:
        return Splits(["all"], np.zeros(len(data), np.int32))
    sizes = np.bincount(codes[codes >= 0], minlength=len(values))

    def rank(i: int) -> tuple[int, int, str]:
        return (0 if values[i].strip().lower() in TRAINING else 1, -int(sizes[i]), values[i])

    first = min(range(len(values)), key=rank)
    order = [first, *sorted((i for i in range(len(values)) if i != first), key=lambda i: values[i])]
    position = np.full(len(values) + 1, -1, np.int32)
    position[order] = np.arange(len(order), dtype=np.int32)
    return Splits([values[i] for i in order], position[codes])


def shuffled(data: Dataset, seed: int = 0) -> npt.NDArray[np.int64]:
    """The positions of all rows in a random order that hangs on the rows' ids, shape (n,).

    Halves and samples drawn from it hold the same rows however the file is sorted.

    >>> data = Dataset(pa.table({"x": [1, 2, 3]}), {Role.FEATURES: ["x"]})
    >>> turned = data.take(np.array([2, 0, 1]))
    >>> turned.row_ids[shuffled(turned)].tolist() == data.row_ids[shuffled(data)].tolist()
    True
    """
    salt = np.random.default_rng(seed).integers(2**63, dtype=np.uint64)
    mixed = (data.row_ids ^ salt) * np.uint64(0x9E3779B97F4A7C15)  # the high bits of the product depend on all bits
    return np.argsort(mixed, kind="stable")
