"""A Ray cluster, one that is there or one started on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from dross.core.errors import DrossError, MissingExtra
from dross.engine import ATTEMPTS, cores, died, single_threaded

T = TypeVar("T")
R = TypeVar("R")
_MEMORY = 1 << 28
"""Bytes of shared memory of a Ray started here: tasks hand over files, not rows."""


@dataclass(frozen=True)
class OnRay:
    """Runs tasks as Ray tasks, ``workers`` at a time; all machines must see the same files."""

    workers: int

    def run(self, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[int, R]]:
        """See :class:`~dross.engine.Engine`."""
        import ray
        from ray.exceptions import RayTaskError, WorkerCrashedError

        remote: Any = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(alone)
        left = iter(enumerate(tasks))
        running: dict[Any, int] = {}
        try:
            while True:
                for i, task in left:
                    running[remote.remote(work, task)] = i
                    if len(running) >= self.workers:
                        break
                if not running:
                    return
                (first,), _ = ray.wait(list(running), num_returns=1)
                i = running.pop(first)
                try:
                    yield i, ray.get(first)
                except RayTaskError as error:
                    raise error.cause if isinstance(error.cause, Exception) else error from None
                except WorkerCrashedError as error:
                    raise died(str(tasks[i])) from error
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def alone(work: Callable[[T], R], task: T) -> R:
    """One task on one core."""
    single_threaded()
    return work(task)


@contextmanager
def on_ray(workers: int | None, address: str | None) -> Iterator[OnRay]:
    """Join the cluster at an address, or start Ray here and end it afterwards; one that runs is used as it is."""
    try:
        import ray
    except ImportError as error:
        raise MissingExtra.of("ray", "ray") from error
    own = not ray.is_initialized()
    if own:
        _start(ray, workers, address)
    try:
        yield OnRay(workers or _cores_of(ray))
    finally:
        if own:
            ray.shutdown()


def _start(ray: Any, workers: int | None, address: str | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": "error"}
    try:
        if address is not None:
            ray.init(address=address, **quiet)
        else:
            size = max(workers or 1, cores())
            ray.init(address="local", num_cpus=size, include_dashboard=False, object_store_memory=_MEMORY, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = address or "this machine"
        told = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DrossError(
            f"Ray does not start: {told}", where=where, fix="check the address, or use --engine local"
        ) from error


def _cores_of(ray: Any) -> int:
    return int(ray.cluster_resources().get("CPU", 1))
