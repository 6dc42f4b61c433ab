"""Running rules over all rows: block by block, in several processes, within the time each may take."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

from dross.core.compiled import threads
from dross.weak import tables
from dross.weak.answers import Answers, Columns, answer_rows, answer_table
from dross.weak.gather import Gathered, Rule
from dross.weak.process import Process, Stopped
from dross.weak.stored import Parts

BLOCK = 65_536
"""Rows that the rules of a YAML file are applied to at a time."""
SLICE = 5.0
"""Seconds after which a slow rule's answers so far are taken over."""
HELP = 1.0
"""Seconds of work after which another process is started."""
Tick = Callable[[int], None]


@dataclass
class Work:
    """One rule being applied.

    Attributes
    ----------
    rule, timeout, parts
        The rule, the seconds it may take, and its answers kept on disk.
    done
        Its answers by the row they begin at.
    spent
        Seconds it took in this run.
    stopped
        Why it was given up; None where it was not.
    """

    rule: Rule
    timeout: float
    parts: Parts
    done: dict[int, Answers] = field(default_factory=dict)
    spent: float = 0.0
    stopped: str | None = None

    def add(self, start: int, answers: Answers) -> None:
        """Take over the answers to the rows from ``start`` on."""
        self.spent += answers.seconds
        self.done[start] = answers
        self.parts.add(start, answers)

    def left(self) -> float:
        """The seconds it still may take; gives it up where there are none."""
        remaining = self.timeout - self.spent
        if remaining <= 0 and self.stopped is None:
            self.stopped = f"it took more than {self.timeout:g} s"
        return remaining

    def rows(self) -> int:
        """How many rows it has answered."""
        return sum(len(one) for one in self.done.values())


def gaps(start: int, stop: int, done: dict[int, Answers]) -> list[tuple[int, int]]:
    """The ranges of rows from ``start`` to ``stop`` without an answer.

    >>> import numpy as np
    >>> two = Answers(np.zeros(2, np.int32), ["a"], np.empty(0, np.int64), np.empty((0, 1), np.float32))
    >>> gaps(0, 10, {3: two})
    [(0, 3), (5, 10)]
    """
    found, at = [], start
    for first in sorted(first for first in done if start <= first < stop):
        if first > at:
            found.append((at, first))
        at = max(at, first + len(done[first]))
    return [*found, (at, stop)] if at < stop else found


def block_size(n: int) -> int:
    """Rows given to a process at a time; hangs on nothing but the number of rows, so that kept answers fit."""
    return int(min(max(512, 1 << (max(1, n // 16).bit_length() - 1)), 16_384))


def run(works: Sequence[Work], table: pa.Table, gathered: Gathered, tick: Tick) -> None:
    """Apply the rules to every row of a table of the columns they see. ``tick`` is told of answers as they come."""
    known, n = gathered.known, table.num_rows
    _run_tables([work for work in works if work.rule.table is not None], table, known, tick)
    for work in works:
        if work.rule.function is not None:
            _run_function(work, table, gathered, tick)
    files: dict[int, list[Work]] = {}
    for work in works:
        if work.rule.process is not None:
            work.done.update(work.parts.all())
            files.setdefault(id(work.rule.process), []).append(work)
    for several in files.values():
        _Crew(several, table, gathered, tick, n).run()


def _run_tables(works: list[Work], table: pa.Table, known: list[str] | None, tick: Tick) -> None:
    rules = [work.rule.table for work in works if work.rule.table is not None]
    for start in range(0, table.num_rows if rules else 0, BLOCK):
        part = table.slice(start, BLOCK)
        for work, answers in zip(works, tables.answer(rules, part, known), strict=True):
            work.add(start, answers)
            tick(part.num_rows)


def _run_function(work: Work, table: pa.Table, gathered: Gathered, tick: Tick) -> None:
    """Apply a function of this process. Its time is looked at between calls: a call itself cannot be ended."""
    function = work.rule.function
    assert function is not None
    size = block_size(table.num_rows)
    for start in range(0, table.num_rows, size):
        part = table.slice(start, size)
        columns, first = Columns(part, gathered.hidden), 0
        while first < part.num_rows:
            left = work.left()
            if work.stopped:
                return
            if function.vectorised:
                answers = answer_table(function, part, gathered.known)
            else:
                answers = answer_rows(function, columns, first, gathered.known, left)
            work.add(start + first, answers)
            first += len(answers)
            tick(len(answers))


class _Crew:
    """The processes that share the blocks of rows of one file of rules."""

    def __init__(self, works: list[Work], table: pa.Table, gathered: Gathered, tick: Tick, n: int) -> None:
        self.works, self.table, self.gathered, self.tick = works, table, gathered, tick
        self.size = block_size(n)
        self.blocks: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        count = 0
        for start in range(0, n, self.size):
            self.blocks.put((start, min(start + self.size, n)))
            count += 1
        self.wanted = min(threads(), count)
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.open: list[Process] = []

    def run(self) -> None:
        """Answer every block."""
        first = self.works[0].rule.process
        assert first is not None
        with ThreadPoolExecutor(max(1, self.wanted)) as pool:
            try:
                running = [pool.submit(self._serve, first if i == 0 else Process(first.path), i * HELP)
                           for i in range(self.wanted)]  # fmt: skip
                for one in running:
                    one.result()
            finally:
                self.over.set()
                for process in self.open:
                    process.close()

    def _serve(self, process: Process, wait: float) -> None:
        """Take blocks until there are none; all but the first wait, for work may soon be done."""
        until = time.monotonic() + wait
        while time.monotonic() < until:
            if self.over.wait(0.05) or self.blocks.empty():
                return
        self.open.append(process)
        while not self.over.is_set():
            try:
                start, stop = self.blocks.get_nowait()
            except queue.Empty:
                return
            self._block(process, start, stop)

    def _block(self, process: Process, start: int, stop: int) -> None:
        part = self.table.slice(start, stop - start)
        process.give(part, self.gathered.known, self.gathered.hidden)
        for work in self.works:
            with self.lock:
                missing = gaps(start, stop, work.done)
            self.tick(stop - start - sum(b - a for a, b in missing))
            for a, b in missing:
                self._range(process, work, part.slice(0, b - start), start, a)

    def _range(self, process: Process, work: Work, part: pa.Table, start: int, first: int) -> None:
        """Ask one rule about the rows of a block from ``first`` on."""
        stop = start + part.num_rows
        while first < stop and not self.over.is_set():
            with self.lock:
                left = work.left()
                if work.stopped:
                    return
            try:
                answers = process.answer(work.rule.position, first - start, left, SLICE)
            except Stopped as error:
                with self.lock:
                    work.stopped = f"{error}, at or after row {first:,}"
                    work.spent = max(work.spent, 0.0)
                return
            answers = _cut(answers, stop - first)
            with self.lock:
                work.add(first, answers)
            first += len(answers)
            self.tick(len(answers))


def _cut(answers: Answers, most: int) -> Answers:
    """The first answers: the rows after a gap have theirs already."""
    if len(answers) <= most:
        return answers
    keep = answers.soft_rows < most
    failures = {key: one for key, one in answers.failures.items() if one.row < most}
    return Answers(
        answers.codes[:most], answers.classes, answers.soft_rows[keep], answers.soft[keep], failures, answers.seconds
    )


def patience(timeout: float | None, default: float) -> float:
    """The seconds a rule may take."""
    return timeout if timeout is not None else default if default > 0 else math.inf
