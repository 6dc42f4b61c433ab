"""The queue: the findings of one issue in the order in which deciding on them is worth most, filtered and searched."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Issue
from dross.review.filters import ALL, Mask, Matcher
from dross.review.filters import Filter as Filter
from dross.review.filters import State as State

Order = npt.NDArray[np.int32]
Column = npt.NDArray[np.float32]
States = npt.NDArray[np.int8]

HEAVIEST = 10.0
"""The most that a row counts beside a row of the largest split."""
SUREST = np.float32(0.999)
"""No finding is certain, whatever the estimate says."""
KEPT = 8
"""Filters, and searched texts, whose answers are kept."""
BLOCK = 16_384
"""Findings whose states are looked at together."""


@dataclass
class _Selection:
    """What passes a filter whatever its state: as a mask, in order, counted by state; and the last answer by state."""

    mask: Mask
    order: Order
    counts: npt.NDArray[np.int64]
    answer: tuple[State, int, Order] | None = None


def importance(splits: npt.NDArray[np.int32]) -> Column:
    """How much a defect in each row matters, by its split (codes, shape (n,), -1 unknown); shape (n,), in [1, 10].

    The rows of the largest split for each row of this one, at most 10. One wrong row of a small evaluation split moves
    the measured accuracy by one over that split's rows, and every comparison made with it; one wrong row among many
    training rows is mostly outvoted. The bound keeps a split of a few rows from coming before everything else.
    Rows of no known split count 1.

    >>> importance(np.array([0, 0, 0, 0, 1, 1, -1], np.int32)).tolist()
    [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 1.0]
    """
    sizes = np.bincount(splits[splits >= 0])
    if not len(sizes):
        return np.ones(len(splits), np.float32)
    weights = np.minimum(sizes.max() / np.maximum(sizes, 1), HEAVIEST)
    return np.append(weights, 1.0).astype(np.float32)[splits]  # the code -1 takes the last one


def chances_of(table: pa.Table) -> Column:
    """The chance that each finding is a true defect, shape (m,), float32 in [0, 1].

    It is ``expected_precision`` where the audit could tell it. Elsewhere half the score: a score that was never
    compared with planted defects tells the order and not the chance, and should not pass for a near certainty.

    >>> table = pa.table({"score": [0.9, 0.8], "expected_precision": pa.array([0.75, None], pa.float32())})
    >>> chances_of(table).tolist()
    [0.75, 0.4000000059604645]
    """
    scores = table.column("score").to_numpy().astype(np.float32)
    known = table.column("expected_precision").to_numpy().astype(np.float32)
    chances: Column = np.clip(np.where(np.isnan(known), scores / 2, known), 0, SUREST)
    return chances


class Queue:
    """The findings of one issue, by decreasing value: the chance of a defect times how much the row matters.

    A finding is named by its index in the table, 0 to m - 1. Building takes O(m log m); some 25 bytes a finding are
    kept, and 9 more for each of the last few filters; the table is only referred to. Several threads may use it.

    Parameters
    ----------
    data
        The dataset that was audited, n rows.
    issue
        The kind of defect.
    table
        Its findings with all stored columns, by ascending row.
    chances
        The chance of a defect, shape (m,); :func:`chances_of` the table where not given.
    clusters
        The group of each row of the dataset, shape (n,), -1 for none; can follow later.

    Examples
    --------
    >>> from dross.core.roles import Role
    >>> data = Dataset(pa.table({"x": ["one", "two", "three"]}), {Role.TEXT: ["x"]})
    >>> table = pa.table({"row": [0, 2], "id": ["a", "c"], "score": [0.2, 0.9], "flagged": [False, True],
    ...                   "suggestion": ["y", "z"], "expected_precision": pa.array([None, 0.8], pa.float32())})
    >>> queue = Queue(data, Issue.LABEL, table)
    >>> queue.order(Filter()).tolist(), queue.count(Filter(text="ONE")), queue.next_open(Filter())
    ([1, 0], 1, 1)
    >>> queue.set_state([2], State.DECIDED)
    >>> queue.order(Filter()).tolist(), queue.progress(Filter()).tolist()
    ([0], [1, 1, 0, 0])
    """

    def __init__(
        self,
        data: Dataset,
        issue: Issue,
        table: pa.Table,
        chances: Column | None = None,
        clusters: npt.NDArray[np.int32] | None = None,
    ) -> None:
        self.data, self.issue, self.table = data, issue, table
        self.matcher = Matcher(data, table)
        self.rows = self.matcher.rows
        if len(self.rows) and ((np.diff(self.rows) <= 0).any() or self.rows[0] < 0 or self.rows[-1] >= len(data)):
            raise DrossError(f"the findings of {issue} are not about this dataset", fix="run dross audit again")
        self.importance = importance(self.matcher.split_of.codes)[self.rows]
        self._scores: Column = table.column("score").to_numpy().astype(np.float32)
        self.states: States = np.zeros(len(self.rows), np.int8)
        self.version = 0
        """Grows with every change of what :meth:`order` answers."""
        self._lock = threading.RLock()
        self._selections: OrderedDict[Filter, _Selection] = OrderedDict()
        self._texts: OrderedDict[str, Mask] = OrderedDict()
        self.with_chances(chances_of(table) if chances is None else chances)
        if clusters is not None:
            self.set_clusters(clusters)

    def __len__(self) -> int:
        return len(self.rows)

    # ---- changes ----------------------------------------------------------------------------------------------------

    def with_chances(self, chances: Column) -> Queue:
        """Put new chances, shape (m,), in place of the old ones, and order anew; returns the queue itself."""
        new = np.array(chances, np.float32)
        if new.shape != self.rows.shape or not ((new >= 0) & (new <= 1)).all():
            raise DrossError(f"the chances of {self.issue} must be {len(self):,} numbers between 0 and 1")
        value = new * self.importance
        order = np.lexsort((-self._scores, -value)).astype(np.int32)  # many chances are equal: steps, and near 1
        ranks = np.empty(len(order), np.int32)
        ranks[order] = np.arange(len(order), dtype=np.int32)
        with self._lock:
            self.chances, self.value, self._order, self._ranks = new, value, order, ranks
            self._selections.clear()
            self.version += 1
        return self

    def set_clusters(self, clusters: npt.NDArray[np.int32]) -> None:
        """Say which group of similar rows each row of the dataset is in, shape (n,); -1 for none."""
        if len(clusters) != len(self.data):
            raise DrossError(f"there are groups of {len(clusters):,} rows for {len(self.data):,} rows")
        with self._lock:
            self.matcher.clusters = clusters
            self._selections.clear()
            self.version += 1

    def set_state(self, rows: npt.ArrayLike, states: npt.ArrayLike) -> None:
        """Note how far the decisions on some rows have come; ``states`` is one :class:`State` for all or one for each.

        Rows without a finding here are passed over. Of a row that is named twice the last state holds.
        """
        where = np.atleast_1d(np.asarray(rows, np.int64))
        codes = np.broadcast_to(np.asarray(states, np.int64), where.shape)
        if len(codes) and not (codes.min() >= 0 and codes.max() < len(State)):
            raise DrossError(f"a state is a number from 0 to {len(State) - 1}")
        _, last = np.unique(where[::-1], return_index=True)
        where, codes = where[::-1][last], codes[::-1][last]
        at = np.searchsorted(self.rows, where)
        here = at < len(self)
        here[here] = self.rows[at[here]] == where[here]
        at, codes = at[here], codes[here]
        with self._lock:
            for selection in self._selections.values():
                inside = selection.mask[at]
                selection.counts -= np.bincount(self.states[at[inside]], minlength=len(State))
                selection.counts += np.bincount(codes[inside], minlength=len(State))
            self.states[at] = codes
            self.version += 1

    # ---- questions --------------------------------------------------------------------------------------------------

    def index_of(self, row: int) -> int:
        """The finding about a row; an error where there is none."""
        at = int(np.searchsorted(self.rows, row))
        if at < len(self) and self.rows[at] == row:
            return at
        raise DrossError(f"row {row} has no finding of the kind {self.issue}", fix="choose another issue or row")

    def order(self, chosen: Filter) -> Order:
        """The findings that pass, by decreasing value, ties by decreasing score, then by ascending row; int32."""
        wanted = chosen.wanted
        with self._held(chosen) as selection:
            if wanted is None:
                return selection.order
            answer = selection.answer
            if answer is None or answer[:2] != (wanted, self.version):
                found = selection.order[self.states[selection.order] == wanted]
                found.flags.writeable = False  # it is kept and given to whoever asks again
                answer = selection.answer = (wanted, self.version, found)
            return answer[2]

    def count(self, chosen: Filter) -> int:
        """How many findings pass."""
        counts = self.progress(chosen)
        return int(counts.sum() if chosen.wanted is None else counts[chosen.wanted])

    def progress(self, chosen: Filter) -> npt.NDArray[np.int64]:
        """How many findings that pass, whatever their state, are in each :class:`State`, shape (4,)."""
        with self._held(chosen) as selection:
            return selection.counts.copy()

    def page(self, chosen: Filter, start: int, size: int) -> Order:
        """The findings from place ``start`` of :meth:`order` on, at most ``size`` of them."""
        found: list[Order] = []
        with self._held(chosen) as selection:
            for passing in self._blocks(selection.order, chosen.wanted, 0):
                part = passing[start : start + size]
                start, size = max(0, start - len(passing)), size - len(part)
                found.append(part)
                if not size:
                    break
        return np.concatenate(found) if found else np.empty(0, np.int32)

    def next_open(self, chosen: Filter, after: int | None = None) -> int | None:
        """The finding that passes and comes next after ``after`` (a finding, passing or not); None where none does.

        At the end of the queue it begins again at the top: there stand those that were passed over, and those that a
        new score has moved up. It answers ``after`` itself only where nothing else passes.
        """
        with self._held(chosen) as selection:
            order, ranks = selection.order, self._ranks
            start = 0 if after is None else bisect_right(order, ranks[after], key=ranks.__getitem__)
            for begin in (start, 0) if start else (0,):
                passing = next((p for p in self._blocks(order, chosen.wanted, begin) if len(p)), None)
                if passing is not None:
                    return int(passing[0])
        return None

    def place(self, chosen: Filter, finding: int) -> int:
        """How many findings that pass come before this one: where to open the list for a link to it."""
        with self._held(chosen) as selection:
            order, ranks, wanted = selection.order, self._ranks, chosen.wanted
            stop = bisect_left(order, ranks[finding], key=ranks.__getitem__)
            return stop if wanted is None else int(np.count_nonzero(self.states[order[:stop]] == wanted))

    def _blocks(self, order: Order, wanted: State | None, start: int) -> Iterator[Order]:
        """The findings in the wanted state from a place of the order on, some thousands at a time."""
        for begin in range(start, len(order), BLOCK):
            part = order[begin : begin + BLOCK]
            yield part if wanted is None else part[self.states[part] == wanted]

    # ---- filters ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _held(self, chosen: Filter) -> Iterator[_Selection]:
        """The selection of a filter, and nothing changes meanwhile."""
        self._selection(chosen)  # before the lock is taken: a search may take a second, and others go on deciding
        with self._lock:
            yield self._selection(chosen)

    def _selection(self, chosen: Filter) -> _Selection:
        key = replace(chosen, state=ALL)
        with self._lock:
            if key in self._selections:
                self._selections.move_to_end(key)
                return self._selections[key]
        mask = self.matcher.mask(replace(key, text=None))
        if key.text:
            mask = mask & self._containing(key.text)
        with self._lock:
            if key.at_least is not None or key.at_most is not None:
                mask = mask & self._between(key)
            counts = np.bincount(self.states[mask], minlength=len(State))
            order = self._order[mask[self._order]]
            order.flags.writeable = False
            selection = self._selections[key] = _Selection(mask, order, counts)
            while len(self._selections) > KEPT:
                self._selections.popitem(last=False)
            return selection

    def _between(self, chosen: Filter) -> Mask:
        low = 0.0 if chosen.at_least is None else chosen.at_least
        high = 1.0 if chosen.at_most is None else chosen.at_most
        return np.asarray((self.chances >= np.float32(low)) & (self.chances <= np.float32(high)))

    def _containing(self, text: str) -> Mask:
        with self._lock:
            if text in self._texts:
                self._texts.move_to_end(text)
                return self._texts[text]
        mask = self.matcher.containing(text)
        with self._lock:
            self._texts[text] = mask
            while len(self._texts) > KEPT:
                self._texts.popitem(last=False)
        return mask
