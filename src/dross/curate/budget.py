"""Budget: of the rows that are left, the best, or a random few, as many as asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.errors import DrossError
from dross.core.step import KEY, REASON, ROW, VALUE, Rows, Store, WholeStep
from dross.models.survivors import Turn

_SIZE, _FIRST = "size", "first"


def within(order: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], budget: int) -> npt.NDArray[np.bool_]:
    """Which entries, taken in an order, fit a budget of sizes, shape (n,): all up to the first that does not.

    >>> within(np.array([2, 0, 1]), np.array([5, 5, 3]), 8).tolist()
    [True, False, True]
    """
    keep = np.zeros(len(sizes), bool)
    keep[order[np.cumsum(sizes[order]) <= budget]] = True
    return keep


@dataclass(frozen=True)
class Budget(WholeStep):
    """The best rows, or random ones, up to a number of rows or characters, or a share of the rows.

    24 bytes of memory a row, in one place. Random rows are chosen by the hash of their text, so that the choice does
    not depend on how the corpus is cut.

    Attributes
    ----------
    rows, characters, share
        How much to keep: one of the three.
    by
        ``random``, ``highest COLUMN`` or ``lowest COLUMN``; ``longest`` or ``shortest``; ``first``.
    seed
        Of the random choice.
    """

    reasons: ClassVar[tuple[str, ...]] = ("over_budget",)
    together: ClassVar[bool] = True

    rows: int = 0
    characters: int = 0
    share: float = 0.0
    by: str = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        Turn(self.by)  # refuses words that are no rule

    def reads(self) -> tuple[str, ...]:
        return (*super().reads(), *Turn(self.by).reads)

    def prepare(self, place: Any) -> None:
        """Refuse a budget that is none."""
        if sum(value > 0 for value in (self.rows, self.characters, self.share)) != 1 or not 0 <= self.share <= 1:
            told = f"rows: {self.rows}, characters: {self.characters}, share: {self.share}"
            raise DrossError(f"this is not one budget: {told}", where="budget", fix="give one of them, a share up to 1")

    def sketch(self, rows: Rows, ready: Any) -> pa.Table:
        """How soon each row is taken, and how much it takes."""
        first = Turn(self.by, self.seed)(rows, self.column)
        size = np.ones(len(rows), np.int64)
        if self.characters:
            size = pc.utf8_length(rows.text(self.column)).to_numpy(zero_copy_only=False).astype(np.int64)
        key = np.zeros(len(rows), np.uint64)
        return pa.table({KEY: key, ROW: rows.addresses, _FIRST: first, _SIZE: size})

    def meet(self, sketches: pa.Table, store: Store) -> pa.Table:
        """Rows that do not fit."""
        first, size = sketches.column(_FIRST).to_numpy(), sketches.column(_SIZE).to_numpy()
        budget = self.rows or self.characters or round(self.share * len(first))
        order = np.argsort(-first, kind="stable")
        gone = ~within(order, size, budget)
        value = first[gone].astype(np.float32)
        rows = sketches.column(ROW).to_numpy()[gone]
        return pa.table({ROW: rows, REASON: np.zeros(len(rows), np.int16), VALUE: value})
