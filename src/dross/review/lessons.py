"""Lessons: a queue scored again with what people decided on it, beside the answers to them."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.review.queue import Queue
from dross.review.teach import Evidence, rescore

Rows = npt.NDArray[np.int64]
_log = logging.getLogger("dross.review")
BATCH = 10
"""Decisions after which the rest of a queue is scored again."""


class Teacher:
    """Scores the queues of one audit again, one at a time, in a thread of its own.

    Parameters
    ----------
    data
        The rows that were audited.
    vectors
        Their embedding, where it was measured.
    """

    def __init__(self, data: Dataset, vectors: npt.NDArray[Any] | None) -> None:
        self.data, self.vectors = data, vectors
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="dross-teach")
        self._lock = threading.Lock()
        self._evidence: dict[str, Evidence] = {}
        self._taught: dict[str, int] = {}
        self._running: dict[str, Future[None]] = {}

    def due(self, issue: str, decisions: int) -> bool:
        """Whether a batch of decisions has come together since the last lesson, and none is being given now."""
        with self._lock:
            running = self._running.get(issue)
            return abs(decisions - self._taught.get(issue, 0)) >= BATCH and (running is None or running.done())

    def later(self, queue: Queue, findings: Rows, defect: npt.NDArray[np.bool_], decisions: int) -> None:
        """Score a queue again as :meth:`now` does, but return at once."""
        with self._lock:
            self._taught[str(queue.issue)] = decisions
            running = self._running[str(queue.issue)] = self._pool.submit(self.now, queue, findings, defect, decisions)
        running.add_done_callback(_told)

    def now(self, queue: Queue, findings: Rows, defect: npt.NDArray[np.bool_], decisions: int) -> None:
        """Score a queue again: ``findings`` (m,) were decided on, and ``defect`` (m,) says which are defects.

        ``decisions`` is how many rows that is, as :meth:`due` is asked about them.
        """
        with self._lock:
            self._taught[str(queue.issue)] = decisions
        queue.with_chances(rescore(self._known(queue), findings, defect).p)

    def wait(self) -> None:
        """Wait for the lessons that were begun; raises what one of them raised."""
        for running in list(self._running.values()):
            running.result()

    def close(self) -> None:
        """Wait, and begin no more."""
        self._pool.shutdown()

    def _known(self, queue: Queue) -> Evidence:
        issue = str(queue.issue)
        if issue not in self._evidence:
            labelled = self.data.has(Role.LABEL)
            table: pa.Table = queue.table
            self._evidence[issue] = Evidence.of_table(
                table,
                classes=self.data.classes if labelled else (),
                given=self.data.codes[queue.rows] if labelled else None,
                vectors=None if self.vectors is None else self.vectors[queue.rows],
            )
        return self._evidence[issue]


def _told(running: Future[None]) -> None:
    """Say it where a lesson failed: the queue stays as it was, and nobody waits for the lesson."""
    error = running.exception()
    if error is not None:
        _log.error("a queue could not be scored again", exc_info=error)
