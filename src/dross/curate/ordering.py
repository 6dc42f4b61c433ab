"""Ordering: the order in which a model will read the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.errors import DrossError
from dross.core.step import KEPT, KEY, RANK, REASON, ROW, Rows, Store, Verdict, WholeStep
from dross.models.survivors import Turn

_FIRST = "first"


def folded(order: npt.NDArray[np.int64], folds: int) -> npt.NDArray[np.int64]:
    """An order taken in ``folds`` passes, each of every so-manieth entry (DELT, section 3.3).

    >>> folded(np.arange(5), 2).tolist()
    [0, 2, 4, 1, 3]
    """
    return np.concatenate([order[i::folds] for i in range(folds)]) if len(order) else order


@dataclass(frozen=True)
class Ordering(WholeStep):
    """Rows in random order, or by a number; in folds, so that each part of the training sees the whole range.

    16 bytes of memory a row, in one place. Random order goes by the hash of the text, so that it does not depend on how
    the corpus is cut.

    Attributes
    ----------
    by
        ``random``, ``highest COLUMN`` or ``lowest COLUMN`` (what comes first), ``longest`` or ``shortest``.
    folds
        Passes over the order, each of every so-manieth row.
    seed
        Of the random order.
    """

    reasons: ClassVar[tuple[str, ...]] = ()
    together: ClassVar[bool] = True

    by: str = "random"
    folds: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        Turn(self.by)  # refuses words that are no rule
        if self.folds < 1:
            raise DrossError(f"an order cannot have {self.folds} folds", fix="give 1 or more")

    def reads(self) -> tuple[str, ...]:
        return (*super().reads(), *Turn(self.by).reads)

    def sketch(self, rows: Rows, ready: Any) -> pa.Table:
        """How soon each row comes."""
        first = Turn(self.by, self.seed)(rows, self.column)
        return pa.table({KEY: np.zeros(len(rows), np.uint64), ROW: rows.addresses, _FIRST: first})

    def meet(self, sketches: pa.Table, store: Store) -> pa.Table:
        """The place of every row."""
        order = folded(np.argsort(-sketches.column(_FIRST).to_numpy(), kind="stable"), self.folds)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        return pa.table({ROW: sketches.column(ROW), REASON: np.full(len(order), KEPT, np.int16), RANK: rank})

    def judge(self, rows: Rows, decisions: pa.Table) -> Verdict:
        """All rows stay, each with its place."""
        return Verdict.keep(len(rows), **{RANK: decisions.column(RANK)})
