"""Processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

from dross.engine import ATTEMPTS, died, single_threaded

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Local:
    """Runs tasks in ``workers`` processes, or in this one when there is one worker."""

    workers: int

    def run(self, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[int, R]]:
        """See :class:`~dross.engine.Engine`."""
        if self.workers == 1 or len(tasks) <= 1:
            from threadpoolctl import threadpool_limits

            with threadpool_limits(1):
                for i, task in enumerate(tasks):
                    yield i, work(task)
            return
        waiting = dict(enumerate(tasks))
        tries = dict.fromkeys(waiting, 0)
        while waiting:
            running: set[int] = set()
            try:
                yield from self._pooled(work, waiting, running)
            except BrokenProcessPool as error:
                for i in running:  # one of them took the pool down; which one is not known
                    tries[i] += 1
                    if tries[i] >= ATTEMPTS:
                        raise died(str(tasks[i])) from error

    def _pooled(self, work: Callable[[T], R], waiting: dict[int, T], running: set[int]) -> Iterator[tuple[int, R]]:
        """The results of one pool; ``waiting`` loses what is done, ``running`` names what is under way."""
        pool = ProcessPoolExecutor(min(self.workers, len(waiting)), get_context("spawn"), single_threaded)
        try:
            left = iter(list(waiting.items()))
            futures: dict[Future[R], int] = {}
            while True:
                for i, task in left:
                    futures[pool.submit(work, task)] = i
                    running.add(i)
                    if len(futures) >= 2 * self.workers:
                        break
                if not futures:
                    return
                done, _ = wait(futures, return_when=FIRST_COMPLETED)
                for future in done:
                    i = futures.pop(future)
                    result = future.result()
                    running.discard(i)
                    waiting.pop(i)
                    yield i, result
        finally:
            for process in list(
                (pool._processes or {}).values()
            ):  # a task cannot be called back, so that Ctrl-C ends it
                process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)
