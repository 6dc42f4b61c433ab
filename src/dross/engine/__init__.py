"""Where the work on shards runs: in processes of this machine, or on a Ray cluster. The answers are the same bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from dross.core.errors import DrossError, nearest

T = TypeVar("T")
R = TypeVar("R")
ATTEMPTS = 4
"""Times a task is tried whose worker dies; an error that the task raises ends the run at once."""


class Engine(Protocol):
    """Runs one function over many tasks.

    Tasks are independent and may run twice (when a worker dies), so each writes its files under other names first and
    renames them when they are whole.
    """

    @property
    def workers(self) -> int:
        """Tasks that run at the same time."""
        ...

    def run(self, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[int, R]]:
        """The position of each task and its result, as they come; the first error ends it."""
        ...


@contextmanager
def engine(name: str = "local", workers: int | None = None, address: str | None = None) -> Iterator[Engine]:
    """An engine by name.

    Parameters
    ----------
    name
        ``local`` or ``ray``.
    workers
        Tasks that run at the same time; as many as there are cores when None.
    address
        Of the Ray cluster to join; None starts one on this machine, which ends with the run.

    Examples
    --------
    >>> with engine("local", workers=1) as one:
    ...     list(one.run(abs, [-1, 2]))
    [(0, 1), (1, 2)]
    """
    if workers is not None and workers < 1:
        raise DrossError(f"{workers} workers cannot do the work", fix="give 1 or more")
    if name not in {"local", "ray"}:
        raise DrossError(f"there is no engine {name!r}", fix=nearest(name, ["local", "ray"]))
    if address is not None and name != "ray":
        raise DrossError("an address goes with the engine ray", fix="add --engine ray")
    if name == "ray":
        from dross.engine.ray import on_ray

        with on_ray(workers, address) as cluster:
            yield cluster
    else:
        from dross.engine.local import Local

        local = Local(workers or cores())
        try:
            yield local
        finally:
            local.close()


def cores() -> int:
    """Cores that this process may use.

    >>> cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def single_threaded(*_: Any) -> None:
    """Make this process compute on one core: the workers share the machine, and sums keep their order."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def died(what: str) -> DrossError:
    """The error when workers keep dying."""
    return DrossError(
        f"a worker died {ATTEMPTS} times on the same task",
        where=what,
        fix="memory may be short: use fewer --workers; what was finished is kept, run the same command again to go on",
    )
