"""SemanticPairs: rows whose embeddings are nearer to each other than chance would bring them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dross.core.dataset import Dataset
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals
from dross.signals.closeness import close_pairs
from dross.signals.content_hash import ContentHash
from dross.signals.neighbours import Neighbours
from dross.signals.pairs import Pairs


@dataclass(frozen=True)
class SemanticPairs(Signal[Pairs]):
    """Pairs of rows far nearer in the embedding than the rows around them, by :func:`close_pairs`.

    The pairs of planted rows follow from their own neighbours, so the value is computed afresh for them: O(n k).
    """

    reads: ClassVar[tuple[Role, ...]] = CONTENT
    value: ClassVar[type] = Pairs

    def compute(self, data: Dataset, signals: Signals) -> Pairs:
        """Read the pairs off the neighbours."""
        return close_pairs(signals[Neighbours()], signals[ContentHash()])
