"""Processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from dross.engine import ATTEMPTS, died, single_threaded

T = TypeVar("T")
R = TypeVar("R")


class Local:
    """Runs tasks in ``workers`` processes, which stay for the next tasks; in this process when there is one worker."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    @property
    def workers(self) -> int:
        """Tasks that run at the same time."""
        return self._workers

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
            running: dict[Future[R], int] = {}
            try:
                yield from self._pooled(work, waiting, running)
            except BrokenProcessPool as error:
                self.close()
                for i in running.values():  # one of them took the others down; which one is not known
                    tries[i] += 1
                    if tries[i] >= ATTEMPTS:
                        raise died(str(tasks[i])) from error
            except BaseException:  # an error, or the end of the caller: tasks cannot be called back
                self.close()
                raise

    def _pooled(
        self, work: Callable[[T], R], waiting: dict[int, T], running: dict[Future[R], int]
    ) -> Iterator[tuple[int, R]]:
        """The results as they come; ``waiting`` loses what is done, ``running`` holds what is under way."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.workers, get_context("spawn"), single_threaded)
        left = iter(list(waiting.items()))
        while True:
            for i, task in left:
                running[self._pool.submit(work, task)] = i
                if len(running) >= 2 * self.workers:
                    break
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                result = future.result()
                i = running.pop(future)
                waiting.pop(i)
                yield i, result

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        if self._pool is not None:
            for process in list((self._pool._processes or {}).values()):
                process.terminate()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
