"""Lazy greedy: a heap of upper bounds, of which only the topmost is ever brought up to date (Minoux, 1978)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel


@kernel()
def before(keys: Any, a: int, b: int) -> bool:
    """Whether ``a`` stands above ``b``: the larger key, and of equal ones the lower position."""
    return bool(keys[a] > keys[b] or (keys[a] == keys[b] and a < b))


@kernel()
def sift_down(heap: Any, keys: Any, start: int) -> None:
    """Move the entry at ``start``, whose key may have become smaller, to where it belongs. O(log n)."""
    n = len(heap)
    place, moved = start, heap[start]
    while 2 * place + 1 < n:
        child = 2 * place + 1
        if child + 1 < n and before(keys, heap[child + 1], heap[child]):
            child += 1
        if not before(keys, heap[child], moved):
            break
        heap[place] = heap[child]
        place = child
    heap[place] = moved


@kernel()
def heapify(heap: Any, keys: Any) -> None:
    """Put positions in heap order, the one with the largest key on top. O(n)."""
    for start in range(len(heap) // 2 - 1, -1, -1):
        sift_down(heap, keys, start)


def heap_of(keys: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """The positions 0 to n - 1 as a heap by their keys, the largest on top, shape (n,), int32.

    >>> int(heap_of(np.array([1.0, 3.0, 2.0]))[0])
    1
    """
    heap = np.arange(len(keys), dtype=np.int32)
    heapify(heap, keys)
    return heap
