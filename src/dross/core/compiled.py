"""Compiled kernels without the cost of importing numba until one is called.

A kernel is a plain Python function in the file of its method, so it reads beside the paper. The first call compiles
it (and keeps the machine code on disk); kernels release the interpreter lock, so :func:`over_rows` runs them on all
cores without numba's own, slowly compiled, parallel mode.
"""

from __future__ import annotations

import functools
import os
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Kernel(Generic[P, R]):
    """A function that numba compiles at its first call; other kernels of its module may be called from it."""

    def __init__(self, function: Callable[P, R], options: dict[str, Any]) -> None:
        self.function, self.options = function, options
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self.compiled(*args, **kwargs)
        return result

    @functools.cached_property
    def compiled(self) -> Any:
        """The numba dispatcher, with the kernels this one calls compiled too."""
        import numba

        own = self.function
        called = {name: own.__globals__.get(name) for name in own.__code__.co_names}
        compiled = {name: value.compiled for name, value in called.items() if isinstance(value, Kernel)}
        scope = {**own.__globals__, **compiled}
        copy = types.FunctionType(own.__code__, scope, own.__name__, own.__defaults__, own.__closure__)
        copy.__module__, copy.__qualname__ = own.__module__, own.__qualname__
        try:
            return numba.njit(copy, nogil=True, cache=True, **self.options)
        except RuntimeError:  # no folder to cache in: compile for this process only
            return numba.njit(copy, nogil=True, **self.options)


def kernel(**options: Any) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """Mark a function as a compiled kernel; ``options`` go to ``numba.njit`` (``fastmath`` and the like).

    >>> @kernel()
    ... def total(values):
    ...     s = 0.0
    ...     for v in values:
    ...         s += v
    ...     return s
    >>> total.function([1.0, 2.0])
    3.0
    """
    return lambda function: Kernel(function, options)


def threads() -> int:
    """How many cores this process may use; ``OMP_NUM_THREADS`` lowers it."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(available, int(asked))) if asked.isdigit() else available


def over_rows(work: Callable[[int, int], R], n: int, *, least: int = 4096) -> list[R]:
    """Call ``work(start, stop)`` on consecutive ranges that cover ``n`` rows, on all cores; results in row order.

    The ranges depend on the number of cores, so ``work`` must give per-row answers or exact (integer) sums.

    >>> over_rows(lambda start, stop: stop - start, 10)
    [10]
    """
    parts = max(1, min(threads(), n // least))
    edges = [n * i // parts for i in range(parts + 1)]
    if parts == 1:
        return [work(0, n)]
    with ThreadPoolExecutor(parts) as pool:
        return list(pool.map(work, edges[:-1], edges[1:]))
