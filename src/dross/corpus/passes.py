"""One pass over the corpus: what one worker does with one piece of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from dross.core.errors import DrossError
from dross.core.step import MATCH, NONE, RANK, ROW, MakingStep, Rows, RowStep, Step, Verdict, WholeStep
from dross.corpus.files import SEGMENT, Growing, batches, once
from dross.corpus.memory import resident
from dross.corpus.pieces import Piece, address, made
from dross.corpus.reading import RAW, Block, Wanted, blocks
from dross.corpus.sketches import Arrays, Sketches

ADDRESS, TOUCHED = "dross_address", "dross_touched"
"""Columns that go with each row while a run is under way: which row it is, and whether a step has changed it."""
WHY, NUMBER, COPY_OF, COPY_AT = "dross_reason", "dross_value", "dross_match", "dross_match_address"
"""Columns of dropped rows."""
NAME = "dross_name"
READING = -1
"""The number of the step before the first: reading the rows."""
_WIDEST = 1 << 24


@dataclass(frozen=True)
class Segment:
    """Rows that a pass has left: one file, read by one worker of the next pass."""

    file: str
    rows: int
    size: int

    def __str__(self) -> str:
        return self.file


class Settled(Protocol):
    """What applies decisions to rows: a step for which rows met, or what a selector chose."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it drops rows."""
        ...

    def judge(self, rows: Rows, decisions: pa.Table) -> Verdict:
        """The verdict on rows by the decisions on them."""
        ...


@dataclass(frozen=True)
class Pass:
    """What is done to every row between two moments at which rows meet.

    Attributes
    ----------
    folder
        Where the pass writes.
    wanted
        What to read of raw files.
    settled
        The step whose decisions, in the file beside it, are applied first; None in the first pass.
    steps
        The steps that need one row at a time, with their numbers.
    sketcher
        The step whose sketches are made at the end; None in the last pass.
    parts
        Parts of its keys.
    prepared
        The folder of what steps have prepared.
    named
        The column that names rows, of which a list is kept; in the first pass.
    """

    folder: str
    wanted: Wanted
    prepared: str
    settled: tuple[int, Settled, str] | None = None
    steps: tuple[tuple[int, RowStep | MakingStep], ...] = ()
    sketcher: tuple[int, WholeStep] | None = None
    parts: int = 1
    named: str = ""


@dataclass(frozen=True)
class Task:
    """A pass over one piece of the raw corpus, or over one segment that the pass before left."""

    what: Pass
    number: int
    source: Piece | Segment

    def __str__(self) -> str:
        return str(self.source)

    @property
    def stem(self) -> Path:
        """What the names of its files begin with."""
        return Path(self.what.folder) / f"{self.number:06d}"


@dataclass
class Tally:
    """What one step did to the rows of one task."""

    rows_in: int = 0
    rows_out: int = 0
    changed: int = 0
    seconds: float = 0.0
    memory: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def plain(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "reasons": dict(self.reasons)}


def run_task(task: Task) -> dict[str, Any]:
    """Do the task, or read what it has done; how many rows each step saw and dropped, and which segments it left.

    The segment it read goes once its rows stand in new ones: a run holds the corpus about once, not once a pass.
    """
    source = task.source.signature() if isinstance(task.source, Piece) else ""
    done = once(task.stem.with_suffix(".json"), lambda: _Work(task).run(), source)
    if isinstance(task.source, Segment):
        Path(task.source.file).unlink(missing_ok=True)
    return done


@lru_cache(maxsize=64)
def ready(step: Step, place: str) -> Any:
    """What a step holds in this process."""
    return step.ready(Path(place))


class _Work:
    """The state of one task: open files and tallies."""

    def __init__(self, task: Task) -> None:
        self.task, self.what = task, task.what
        self.tallies: dict[int, Tally] = {}
        self.files: dict[tuple[str, int], Growing] = {}
        self.segments: list[Segment] = []
        self.stems: list[str] = []
        self.touched: set[str] = set()
        self.sketches = Sketches(task.stem.with_suffix(".sketches"), self.what.parts)
        self._open()

    def _open(self) -> None:
        stem = self.task.stem.with_name(f"{self.task.stem.name}-{len(self.segments):04d}")
        self.kept, self.arrays = Growing(stem.with_suffix(".kept")), Arrays(stem)

    def _roll(self) -> None:
        if self.kept.close():
            self.segments.append(Segment(str(self.kept.path), self.kept.rows, self.kept.size))
            if self.arrays.close():
                self.stems.append(str(self.arrays.stem))
        self._open()

    def run(self) -> dict[str, Any]:
        count = 0
        for rows, read in self._source():
            count += read
            for part in _bounded(rows):
                self._batch(part)
            if self.kept.size > SEGMENT:
                self._roll()
        self._roll()
        sketches = [str(self.sketches.path)] if self.sketches.close() else []
        files = [(kind, number, str(file.path)) for (kind, number), file in self.files.items() if file.close()]
        return {
            "count": count,
            "steps": {str(i): tally.plain() for i, tally in self.tallies.items()},
            "segments": [vars(segment) for segment in self.segments],
            "touched": sorted(self.touched),
            "sketches": sketches,
            "stems": self.stems,
            "files": sorted(files),
        }

    # ---- rows in -------------------------------------------------------------------------------------------------

    def _source(self) -> Iterator[tuple[Rows, int]]:
        """Batches of rows with their addresses, and how many rows were read for each."""
        source, text = self.task.source, self.what.wanted.text
        if isinstance(source, Segment):
            for table in batches(Path(source.file)):
                yield Rows(table.drop_columns([ADDRESS]), text, table.column(ADDRESS).to_numpy()), table.num_rows
            return
        first = 0
        started = time.process_time()
        for block in blocks(source, self.what.wanted):
            count = block.count
            addresses = address(source.index, first, count)
            tally = self._tally(READING)
            tally.seconds += time.process_time() - started
            tally.rows_in += count
            tally.memory = max(tally.memory, resident())
            if block.broken:
                self._broken(block, addresses, first)
            if block.ordinals is not None:
                addresses = addresses[np.array(block.ordinals, np.int64) - first]
            tally.rows_out += len(addresses)
            if self.what.named:
                names = block.table.column(self.what.named).cast(pa.large_string())
                self._file(READING, "names").add(pa.table({ADDRESS: addresses, NAME: names}))
            table = block.table
            if RAW in table.column_names:
                table = table.append_column(TOUCHED, pa.array(np.zeros(len(addresses), bool)))
            yield Rows(table, text, addresses), count
            first += count
            started = time.process_time()

    def _broken(self, block: Block, addresses: Any, first: int) -> None:
        places, reasons, beginnings = zip(*block.broken, strict=True)
        table = pa.table({RAW: pa.array([text.encode() for text in beginnings], pa.large_binary())})
        at = addresses[np.array(places) - first]
        self._drop(READING, Rows(table, "", at), list(reasons), None, None, None)
        self._tally(READING).reasons["broken_line"] += len(places)

    # ---- the steps -----------------------------------------------------------------------------------------------

    def _batch(self, rows: Rows) -> None:
        if self.what.settled is not None:
            number, settled, file = self.what.settled
            rows = self._timed(number, rows, lambda given: self._settled(number, settled, file, given))
        for number, step in self.what.steps:
            if not len(rows):
                return
            if isinstance(step, MakingStep):
                rows = self._timed(number, rows, lambda given, n=number, s=step: self._made(n, s, given))
            else:
                rows = self._timed(number, rows, lambda given, n=number, s=step: self._judged(n, s, given))
        if not len(rows):
            return
        if self.what.sketcher is not None:
            number, whole = self.what.sketcher
            self._timed(number, rows, lambda given: self._sketched(whole, number, given), counts=False)
        self.kept.add(rows.table.append_column(ADDRESS, pa.array(rows.addresses)))

    def _timed(self, number: int, rows: Rows, work: Any, *, counts: bool = True) -> Rows:
        started = time.process_time()
        try:
            left: Rows = work(rows)
        except DrossError as error:
            where = error.where or str(self.task.source)
            raise DrossError(f"step {number + 1}: {error.what}", where=where, fix=error.fix) from error
        tally = self._tally(number)
        tally.seconds += time.process_time() - started
        tally.memory = max(tally.memory, resident())
        if counts:
            tally.rows_in += len(rows)
            tally.rows_out += len(left)
        return left

    def _tally(self, number: int) -> Tally:
        return self.tallies.setdefault(number, Tally())

    def _ready(self, number: int, step: Step) -> Any:
        return ready(step, str(Path(self.what.prepared) / f"{number:02d}"))

    def _judged(self, number: int, step: RowStep, rows: Rows) -> Rows:
        return self._apply(number, step, rows, step.judge(rows, self._ready(number, step)), None)

    def _settled(self, number: int, step: Settled, file: str, rows: Rows) -> Rows:
        decisions = _decisions(file)
        at = decisions.column(ROW).to_numpy()
        start, stop = np.searchsorted(at, rows.addresses[[0, -1]]) + np.array([0, 1])
        mine = decisions.slice(start, stop - start)
        mine = mine.filter(pa.array(np.isin(mine.column(ROW).to_numpy(), rows.addresses)))
        matches = None
        if MATCH in mine.column_names:
            matches = np.full(len(rows), NONE, np.uint64)
            matches[np.searchsorted(rows.addresses, mine.column(ROW).to_numpy())] = mine.column(MATCH).to_numpy()
        return self._apply(number, step, rows, step.judge(rows, mine), matches)

    def _made(self, number: int, step: MakingStep, rows: Rows) -> Rows:
        table, parents = step.make(rows, self._ready(number, step))
        barren = ~np.isin(np.arange(len(rows)), parents)
        self._drop(number, rows.where(barren), [step.reasons[0]] * int(barren.sum()), None, None, None)
        self._tally(number).reasons[step.reasons[0]] += int(barren.sum())
        table = table.drop_columns([name for name in (RAW, TOUCHED) if name in table.column_names])
        if RAW in rows.table.column_names:  # rows that were made have no line of their own
            raw = pa.nulls(len(parents), pa.large_binary())
            table = table.append_column(RAW, raw).append_column(TOUCHED, pa.array(np.ones(len(parents), bool)))
        self.touched.update(table.column_names)
        return Rows(table, rows.default, made(rows.addresses[parents]))

    def _sketched(self, step: WholeStep, number: int, rows: Rows) -> Rows:
        held = self._ready(number, step)
        self.sketches.add(step.sketch(rows, held))
        self.arrays.add(rows.addresses, step.stored(rows, held))
        return rows

    # ---- rows out ------------------------------------------------------------------------------------------------

    def _apply(self, number: int, step: Step | Settled, rows: Rows, verdict: Verdict, matches: Any) -> Rows:
        gone = ~verdict.kept
        if gone.any():
            reasons = [step.reasons[i] for i in verdict.reason[gone].tolist()]
            self._tally(number).reasons.update(reasons)
            value = None if verdict.value is None else verdict.value[gone]
            match = None if verdict.match is None else verdict.match.filter(pa.array(gone))
            self._drop(number, rows.where(gone), reasons, value, match, None if matches is None else matches[gone])
        if verdict.changed:
            rows = self._change(number, rows, verdict.changed, gone)
        return rows.where(~gone)

    def _drop(self, number: int, rows: Rows, reasons: list[str], value: Any, match: Any, at: Any) -> None:
        n = len(rows)
        if not n:
            return
        table = rows.table.drop_columns([name for name in (TOUCHED,) if name in rows.table.column_names])
        record = {
            ADDRESS: pa.array(rows.addresses),
            WHY: pa.array(reasons, pa.string()),
            NUMBER: pa.array(np.full(n, np.nan, np.float32) if value is None else value),
            COPY_OF: pa.nulls(n, pa.string()) if match is None else match.cast(pa.string()),
            COPY_AT: pa.array(np.full(n, NONE, np.uint64) if at is None else at),
        }
        for name, column in record.items():
            table = table.append_column(name, column)
        self._file(number, "dropped").add(table)

    def _change(self, number: int, rows: Rows, changed: Mapping[str, Any], gone: Any) -> Rows:
        """Put new values in place; the old ones of columns that were there are kept in a file of their own."""
        touched = np.zeros(len(rows), bool)
        for name, values in changed.items():
            column = pa.chunked_array([values]) if isinstance(values, pa.Array) else values
            if name in rows.table.column_names:
                old = rows.table.column(name)
                other = _differs(old, column.cast(old.type)) & ~gone
                if other.any():
                    before = {ADDRESS: rows.addresses[other], "column": [name] * int(other.sum())}
                    told = pa.table({**before, "before": old.filter(pa.array(other)).cast(pa.large_string())})
                    self._file(number, "changed").add(told)
            else:
                other = ~gone if name != RANK else np.zeros(len(rows), bool)  # a place in the order is not written out
            touched |= other
            if other.any():
                self.touched.add(name)
        self._tally(number).changed += int(touched.sum())
        rows = rows.replaced(
            {
                k: v if k not in rows.table.column_names else v.cast(rows.table.column(k).type)
                for k, v in changed.items()
            }
        )
        if TOUCHED in rows.table.column_names:
            marks = rows.table.column(TOUCHED).to_numpy() | touched
            rows = rows.replaced({TOUCHED: pa.array(marks)})
        return rows

    def _file(self, number: int, kind: str) -> Growing:
        path = self.task.stem.with_name(f"{self.task.stem.name}.{number:02d}.{kind}")
        return self.files.setdefault((kind, number), Growing(path))


def _differs(old: Any, new: Any) -> Any:
    """Which values differ, nulls being equal to each other, shape (n,)."""
    import pyarrow.compute as pc

    same = pc.equal(old, new).fill_null(False).to_numpy()
    both = pc.and_(old.is_null(), new.is_null()).to_numpy()
    return ~(same | both)


def _bounded(rows: Rows) -> Iterator[Rows]:
    """The rows in batches of bounded size."""
    parts = max(1, -(-rows.table.nbytes // _WIDEST))
    size = max(1, -(-len(rows) // parts))
    if parts == 1:
        yield rows
        return
    for start in range(0, len(rows), size):
        yield Rows(rows.table.slice(start, size), rows.default, rows.addresses[start : start + size])


@lru_cache(maxsize=4)
def _decisions(file: str) -> pa.Table:
    """The decisions of a step, in place on disk."""
    with pa.memory_map(file) as source:
        return pa.ipc.open_file(source).read_all().combine_chunks()


def forget() -> None:
    """Let go of what this process holds of an earlier run."""
    ready.cache_clear()
    _decisions.cache_clear()
