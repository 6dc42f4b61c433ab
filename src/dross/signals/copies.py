"""Copies: contents that stand in several rows, and contents that are near copies of each other, found in any way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals
from dross.signals.content_hash import ContentHash, first_of_each
from dross.signals.image_hash import ImagePairs
from dross.signals.near_pairs import NearPairs
from dross.signals.pairs import Pairs, suspicion
from dross.signals.semantic_pairs import SemanticPairs

KINDS = ("exact", "near", "image", "semantic")
"""How two rows may be copies of each other; the position is the ``kind``."""


@dataclass(frozen=True)
class Contents:
    """The distinct contents of a dataset and which of them resemble each other.

    Attributes
    ----------
    content
        The content of each row, shape (n,), int64: the position of the first row that has it.
    source, target
        Near copies, each pair in both directions, shape (m,), int64: contents.
    closeness
        How alike they are, shape (m,), float32: from 0.5 where they just are near copies to 1.
    kind
        How they were found, shape (m,), int8: a position in :data:`KINDS`.
    """

    content: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    target: npt.NDArray[np.int64]
    closeness: npt.NDArray[np.float32]
    kind: npt.NDArray[np.int8]


@dataclass(frozen=True)
class Copies(Signal[Contents]):
    """What is a copy of what: equal, near in text, alike in picture and, where asked for, near in the embedding."""

    semantic: bool = False
    reads: ClassVar[tuple[Role, ...]] = CONTENT
    value: ClassVar[type] = Contents

    def compute(self, data: Dataset, signals: Signals) -> Contents:
        """Gather the pairs of all kinds between contents."""
        content = first_of_each(signals[ContentHash()])
        found = list(self._pairs(data, signals))
        sources = [content[part] for _, p in found for part in (p.earlier, p.later)]
        targets = [content[part] for _, p in found for part in (p.later, p.earlier)]
        closeness = [suspicion(p.similarity, p.near) for _, p in found for _ in range(2)]
        kinds = [np.full(len(p), kind, np.int8) for kind, p in found for _ in range(2)]
        none = np.empty(0, np.int64)
        return Contents(
            content,
            np.concatenate([none, *sources]),
            np.concatenate([none, *targets]),
            np.concatenate([np.empty(0, np.float32), *closeness]),
            np.concatenate([np.empty(0, np.int8), *kinds]),
        )

    def _pairs(self, data: Dataset, signals: Signals) -> Iterator[tuple[int, Pairs]]:
        yield 1, signals[NearPairs()]
        if data.has(Role.IMAGE):
            yield 2, signals[ImagePairs()]
        if self.semantic:
            yield 3, signals[SemanticPairs()]
