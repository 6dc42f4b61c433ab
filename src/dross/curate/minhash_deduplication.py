"""MinHash deduplication: of texts that share most of their word triples one stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.step import KEY, MATCH, REFERENCE, ROW, VALUE, Rows, Store, WholeStep
from dross.models.banding import SIGNATURE, Signed, band_width, near_pairs, sketch_bands
from dross.models.survivors import Rule, one_of_each
from dross.signals.minhash import Signatures

PRIORITY = "priority"


@dataclass(frozen=True)
class MinhashDeduplication(WholeStep):
    """Of texts that are nearly the same one stays: groups of them are found by banded MinHash signatures.

    Broder, "On the resemblance and containment of documents", 1997. Word triples are hashed (characters where there are
    no words); texts that share a band are compared by their whole signatures, which estimate the share of triples in
    common with a standard deviation of ``sqrt(s (1 - s) / permutations)``. Pairs connect into groups. About
    ``12 * permutations`` bytes a row on disk while the step runs; memory grows with the rows that have copies.

    Attributes
    ----------
    similarity
        Share of triples in common (Jaccard) from which two texts are copies.
    keep
        Which row of a group stays: ``first``, ``longest``, ``shortest``, ``highest COLUMN`` or ``lowest COLUMN``.
    against
        Paths or globs of other corpora with the same text column: what is near a text there is dropped here.
    permutations, seed
        Of the signatures.

    Examples
    --------
    >>> from dross.core.dataset import Dataset
    >>> from dross.core.roles import Role
    >>> from dross.core.signal import Signals
    >>> long = "the quick brown fox jumps over the lazy dog and runs away into the deep dark wood"
    >>> data = Dataset(pa.table({"text": [long, "something else", long + " today"]}), {Role.TEXT: ["text"]})
    >>> MinhashDeduplication(keep="longest").run(data, Signals(data)).rows.tolist()
    [1, 2]
    """

    paper: ClassVar = Paper("On the resemblance and containment of documents", 1997, "")
    reasons: ClassVar[tuple[str, ...]] = ("near_copy", "near_the_other_corpus")

    similarity: float = 0.7
    keep: str = "first"
    against: tuple[str, ...] = ()
    permutations: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        Rule.of(self.keep)
        if not 0 < self.similarity <= 1:
            raise DrossError(f"the similarity is {self.similarity}", fix="give a share above 0 and at most 1")
        if self.permutations < 8:
            raise DrossError(f"{self.permutations} permutations tell too little", fix="give 128")

    def reads(self) -> tuple[str, ...]:
        return (*super().reads(), *Rule.of(self.keep).reads)

    def references(self) -> tuple[str, ...]:
        return self.against

    def _signatures(self, rows: Rows) -> Signatures:
        return rows.measured(Signed(self.permutations, self.seed), self.column)

    def sketch(self, rows: Rows, ready: Any) -> pa.Table:
        """One entry for each band of each text that has a word."""
        width = band_width(self.similarity, self.permutations)
        return sketch_bands(self._signatures(rows), rows.addresses, width)

    def stored(self, rows: Rows, ready: Any) -> Mapping[str, npt.NDArray[Any]]:
        """The signature of each text, and its claim to stay; rows of another corpus stay in any case."""
        rule = Rule.of(self.keep)
        apart = len(rows) and rows.addresses[0] >= REFERENCE
        priority = np.zeros(len(rows)) if apart else rule.priorities(rows, self.column)
        return {SIGNATURE: self._signatures(rows), PRIORITY: priority}

    def meet(self, sketches: pa.Table, store: Store) -> pa.Table:
        """Pairs of near copies."""
        keys, rows = sketches.column(KEY).to_numpy(), sketches.column(ROW).to_numpy()
        one, other, share = near_pairs(keys, rows, store, self.similarity)
        pairs, at = np.unique(np.stack([one, other], axis=1), axis=0, return_index=True)
        return pa.table({ROW: pairs[:, 0], MATCH: pairs[:, 1], VALUE: share[at]})

    def settle(self, found: pa.Table, store: Store) -> pa.Table:
        """All but one row of each group; the number is the highest similarity to another row of it."""
        return one_of_each(found, lambda rows: store.take(PRIORITY, rows))
