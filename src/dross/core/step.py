"""Step: a method that goes over a corpus larger than memory, batch by batch; what it says of rows is a Verdict."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Method
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals

V = TypeVar("V")
Addresses = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
KEPT = -1
MOST_MADE = 1 << 12
"""Rows that one row can be made into, and one more."""
NONE = np.uint64(2**64 - 1)
"""An address that names no row."""
REFERENCE = np.uint64(1 << 63)
"""Rows of another corpus, which a step compares with and which are never dropped, have addresses from here on."""
KEY, ROW, REASON, VALUE, MATCH = "key", "row", "reason", "value", "match"
"""Columns of sketches and decisions."""
WEIGHT, RANK = "dross_weight", "dross_rank"
"""Columns that a step may give to rows: how much each counts, and its place in the order."""


class Rows:
    """Some rows of a shard.

    Parameters
    ----------
    table
        Their columns.
    text
        The column that steps read when they name none.
    addresses
        One number per row that no other row of the corpus has, ascending, shape (n,), uint64.

    Examples
    --------
    >>> rows = Rows(pa.table({"text": ["a", None], "score": ["1.5", "x"]}), "text")
    >>> rows.text().to_pylist(), rows.numbers("score").tolist()
    (['a', ''], [1.5, nan])
    """

    def __init__(self, table: pa.Table, text: str, addresses: Addresses | None = None) -> None:
        self.table, self.default = table, text
        self.addresses = np.arange(table.num_rows, dtype=np.uint64) if addresses is None else addresses
        self._measured: dict[Any, Any] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str = "") -> pa.ChunkedArray:
        """A column by name, the text column when none is named; an error names the nearest when it is missing."""
        name = name or self.default
        if name not in self.table.column_names:
            known = [column for column in self.table.column_names if not column.startswith("dross_")]
            raise DrossError(f"no column {name!r}", fix=nearest(name, known))
        return self.table.column(name)

    def strings(self, name: str = "") -> pa.LargeStringArray:
        """A column as one large_string array; nulls stay."""
        return whole(self.column(name).cast(pa.large_string()))

    def text(self, name: str = "") -> pa.LargeStringArray:
        """A column as one large_string array without nulls: a missing text is empty."""
        return self.measured(_filled, name)

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A column as numbers, shape (n,), float64; NaN where it is missing or no number."""
        column = self.column(name)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            import polars as pl

            return pl.Series(whole(column)).cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
        return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(), np.float64)

    def measured(self, what: Callable[[pa.LargeStringArray], V], name: str = "") -> V:
        """A function of a text column, computed once however many steps ask for it; a text that is missing is empty."""
        key = (what, name or self.default)
        if key not in self._measured:
            given = self.strings(name) if what is _filled else self.text(name)
            self._measured[key] = what(given)
        found: V = self._measured[key]
        return found

    def where(self, keep: Flags) -> Rows:
        """The rows that are kept, with what was measured of them as arrays of one entry a row."""
        if keep.all():
            return self
        rows = Rows(self.table.filter(pa.array(keep)), self.default, self.addresses[keep])
        arrays = {key: value for key, value in self._measured.items() if isinstance(value, np.ndarray)}
        rows._measured = {key: value[keep] for key, value in arrays.items() if len(value) == len(self)}
        return rows

    def replaced(self, columns: Mapping[str, Any]) -> Rows:
        """The same rows with columns replaced or added at the end."""
        table = self.table
        for name, values in columns.items():
            if name in table.column_names:
                table = table.set_column(table.column_names.index(name), name, values)
            else:
                table = table.append_column(name, values)
        return Rows(table, self.default, self.addresses) if columns else self


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column in one piece."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _filled(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    return texts.fill_null("") if texts.null_count else texts


@dataclass(frozen=True)
class Verdict:
    """What a step says of n rows.

    Attributes
    ----------
    reason
        Why each row is dropped: a position in the step's ``reasons``, shape (n,), int16; -1 where it is kept.
    value
        The number behind the reason (a count, a share, a similarity), shape (n,), float32, NaN where there is none.
    match
        What each dropped row was found to be a copy of, by name, n strings or nulls; None when nothing is matched.
    changed
        Columns with new values for all n rows, or new columns.
    """

    reason: npt.NDArray[np.int16]
    value: npt.NDArray[np.float32] | None = None
    match: pa.Array | None = None
    changed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> Flags:
        """Which rows are kept, shape (n,)."""
        return np.asarray(self.reason == KEPT)

    @classmethod
    def keep(cls, n: int, **changed: Any) -> Verdict:
        """All rows stay, perhaps with changed columns.

        >>> Verdict.keep(2).reason.tolist()
        [-1, -1]
        """
        return cls(np.full(n, KEPT, np.int16), changed=changed)

    @classmethod
    def first(cls, *tests: tuple[Flags, npt.NDArray[Any]], **changed: Any) -> Verdict:
        """Each row is dropped for the first test that strikes it.

        Each test, in the order of the step's ``reasons``, is which rows it strikes, shape (n,), and the number it
        looked at, shape (n,).

        >>> short, long = np.array([True, False, False]), np.array([True, True, False])
        >>> found = Verdict.first((short, np.array([0, 1, 2])), (long, np.array([0, 10, 20])))
        >>> found.reason.tolist(), found.value.tolist()
        ([0, 1, -1], [0.0, 10.0, nan])
        """
        n = len(tests[0][0])
        reason, value = np.full(n, KEPT, np.int16), np.full(n, np.nan, np.float32)
        for i in range(len(tests) - 1, -1, -1):
            strikes, number = tests[i]
            reason[strikes] = i
            value[strikes] = np.asarray(number, np.float32)[strikes]
        return cls(reason, value, changed=changed)


def runs_of(keys: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each run of equal neighbours begins, and how long it is, both of shape (runs,).

    >>> [part.tolist() for part in runs_of(np.array([5, 5, 2, 9, 9]))]
    [[0, 2, 3], [2, 1, 2]]
    """
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.empty(0, np.int64)
    return starts, np.diff(np.append(starts, len(keys)))


def replaced_at(texts: pa.LargeStringArray, at: npt.NDArray[np.int64], new: Sequence[str]) -> pa.LargeStringArray:
    """The texts with others in place of those at some positions, ascending.

    >>> replaced_at(pa.array(["a", "b"], pa.large_string()), np.array([1]), ["c"]).to_pylist()
    ['a', 'c']
    """
    mask = np.zeros(len(texts), bool)
    mask[at] = True
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(new, pa.large_string()))


# ---- steps -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step(Method):
    """A step of a recipe.

    Attributes
    ----------
    column
        The column it reads; the recipe's text column when empty.
    """

    reasons: ClassVar[tuple[str, ...]] = ()
    """Why it drops rows, in the order that a :class:`Verdict` refers to."""

    learns: ClassVar[int] = 0
    """From how many rows of the corpus it learns before it begins."""

    column: str = ""

    def reads(self) -> tuple[str, ...]:
        """The columns it needs beside the recipe's text column."""
        return (self.column,) if self.column else ()

    def writes(self) -> tuple[str, ...]:
        """The columns it adds, which later steps may read."""
        return ()

    def prepare(self, place: Path) -> None:
        """Make, once, what all workers need, and write it into an empty folder: an index, a trained model."""

    def learn(self, rows: Rows, place: Path) -> None:
        """Learn from a sample of the rows that come to the step, and write it into the folder of :meth:`prepare`.

        The sample holds the rows whose texts have the smallest hashes, so it does not depend on how the corpus is cut.
        """

    def ready(self, place: Path) -> Any:
        """What one worker holds while it works: read from the folder of :meth:`prepare` and :meth:`learn`."""
        return None

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """The step on a dataset in memory: the rows it keeps; the summary counts the others by reason."""
        if not data.has(Role.TEXT) and not self.column:
            return NotApplicable("needs a column with the role text")
        kept, counts = alone(self, Rows(data.table, self.column or data.name_of(Role.TEXT)))
        rows = np.unique(kept.addresses.astype(np.int64))
        return Selection(rows, summary={"dropped": dict(sorted(counts.items()))})

    @abstractmethod
    def over(self, rows: Rows, ready: Any) -> tuple[Rows, Counter[str]]:
        """What it leaves of rows that are the whole corpus, and how many it drops for which reason."""

    def _split(self, rows: Rows, verdict: Verdict) -> tuple[Rows, Counter[str]]:
        counts = Counter(self.reasons[i] for i in verdict.reason[~verdict.kept].tolist())
        return rows.replaced(verdict.changed).where(verdict.kept), counts


@dataclass(frozen=True)
class RowStep(Step):
    """A step that judges each row by itself: what it says of a row must not depend on the other rows of the batch."""

    @abstractmethod
    def judge(self, rows: Rows, ready: Any) -> Verdict:
        """The verdict on the rows of a batch."""

    def over(self, rows: Rows, ready: Any) -> tuple[Rows, Counter[str]]:
        return self._split(rows, self.judge(rows, ready))


class Store(Protocol):
    """What :meth:`WholeStep.stored` gave for each row, wherever it lies."""

    def take(self, name: str, addresses: Addresses) -> Any:
        """The entries of an array by address: shape (m, …), or an Arrow list array of m lists."""


@dataclass(frozen=True)
class WholeStep(Step):
    """A step for which rows must meet: copies find each other, shares are taken of the whole.

    Three moves: ``sketch`` says what must be known of each row, as few bytes as can be; sketches with equal keys are
    brought together and ``meet`` looks at them, a part of the keys at a time; ``settle`` makes of all that was found
    one table of decisions, in one place. Then ``judge`` applies them to the rows, batch by batch.
    """

    together: ClassVar[bool] = False
    """Whether all sketches meet in one place (a ranking of the whole) instead of part by part."""

    def references(self) -> tuple[str, ...]:
        """Paths or globs of other corpora to compare with; their rows have addresses from :data:`REFERENCE` on."""
        return ()

    @abstractmethod
    def sketch(self, rows: Rows, ready: Any) -> pa.Table:
        """What must be known of the rows: columns ``key`` (uint64), ``row`` (the address), and any others."""

    def stored(self, rows: Rows, ready: Any) -> Mapping[str, npt.NDArray[Any] | pa.Array]:
        """Arrays of one entry per row that :meth:`meet` may look up by address, whatever the key.

        An Arrow large_list array where the entries are of different lengths.
        """
        return {}

    @abstractmethod
    def meet(self, sketches: pa.Table, store: Store) -> pa.Table:
        """What follows from the sketches of some keys: all of each key, sorted by key and row."""

    def settle(self, found: pa.Table, store: Store) -> pa.Table:
        """Decisions from all that :meth:`meet` found, one row each at most: columns ``row``, ``reason`` and any others.

        ``value`` (a number) and ``match`` (the address of another row, or :data:`NONE`) go into the record.
        """
        return found

    def judge(self, rows: Rows, decisions: pa.Table) -> Verdict:
        """Apply the decisions on these rows (sorted by row); the default drops the rows they name."""
        reason, value = np.full(len(rows), KEPT, np.int16), np.full(len(rows), np.nan, np.float32)
        at = np.searchsorted(rows.addresses, decisions.column(ROW).to_numpy())
        reason[at] = decisions.column(REASON).to_numpy()
        if VALUE in decisions.column_names:
            value[at] = decisions.column(VALUE).to_numpy()
        return Verdict(reason, value)

    def over(self, rows: Rows, ready: Any) -> tuple[Rows, Counter[str]]:
        store = _Held(rows.addresses, self.stored(rows, ready))
        sketches = self.sketch(rows, ready)
        found = self.meet(sketches.sort_by([(KEY, "ascending"), (ROW, "ascending")]), store)
        decisions = self.settle(found, store).sort_by(ROW)
        return self._split(rows, self.judge(rows, decisions))


class _Held:
    """A store of one batch that is everything."""

    def __init__(self, rows: Addresses, arrays: Mapping[str, npt.NDArray[Any] | pa.Array]) -> None:
        self.rows, self.arrays = rows, arrays

    def take(self, name: str, addresses: Addresses) -> Any:
        at, array = np.searchsorted(self.rows, addresses), self.arrays[name]
        return array.take(pa.array(at)) if isinstance(array, pa.Array) else array[at]


@dataclass(frozen=True)
class MakingStep(Step):
    """A step that makes several rows of one, or none: functions of a source file, passages of a book."""

    @abstractmethod
    def make(self, rows: Rows, ready: Any) -> tuple[pa.Table, npt.NDArray[np.int64]]:
        """The new rows, and the position of the row that each was made of, ascending, shape (m,)."""

    def over(self, rows: Rows, ready: Any) -> tuple[Rows, Counter[str]]:
        table, parents = self.make(rows, ready)
        barren = len(rows) - len(np.unique(parents))
        return Rows(table, rows.default, rows.addresses[parents]), Counter({self.reasons[0]: barren} if barren else {})


@dataclass(frozen=True)
class Composite(Step):
    """A published pipeline: it stands for several steps."""

    @abstractmethod
    def steps(self) -> Sequence[Step]:
        """The steps, in order."""

    def over(self, rows: Rows, ready: Any) -> tuple[Rows, Counter[str]]:
        counts: Counter[str] = Counter()
        for step in self.steps():
            rows, more = alone(step, rows)
            counts += more
        return rows, counts


def alone(step: Step, rows: Rows) -> tuple[Rows, Counter[str]]:
    """What a step, prepared first, leaves of rows that are the whole corpus; and how many it drops for which reason."""
    with TemporaryDirectory() as folder:
        step.prepare(Path(folder))
        if step.learns:
            step.learn(rows, Path(folder))
        return step.over(rows, step.ready(Path(folder)))
