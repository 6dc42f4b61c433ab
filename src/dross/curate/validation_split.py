"""Validation split: rows set aside so that no near copy of them is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.errors import DrossError
from dross.core.hashing import Hashes, hash_column, mix
from dross.core.step import KEPT, KEY, MATCH, REASON, ROW, Rows, Store, Verdict, WholeStep, runs_of
from dross.models.banding import SIGNATURE, Signed, band_width, near_pairs, sketch_bands
from dross.models.survivors import groups, shuffled
from dross.signals.content_hash import text_hashes
from dross.signals.minhash import Signatures

_OWN, _TELLS = "own", "tells"
_SALT = np.uint64(0x5851F42D4C957F2D)


@dataclass(frozen=True)
class ValidationSplit(WholeStep):
    """A column ``split`` of ``train`` and ``validation``; near copies, and rows of one group, stand on the same side.

    The side follows from the hash of a text, so that it stays when the corpus grows; of near copies the first one
    tells. Disk and memory as in minhash-deduplication.

    Attributes
    ----------
    share
        Of the groups that are set aside for validation.
    similarity
        Share of word triples in common from which two texts must not be parted.
    group
        A column whose equal values must not be parted (a document, a user); none when empty.
    into
        The column to write.
    seed
        Of the choice, and of the signatures.
    """

    reasons: ClassVar[tuple[str, ...]] = ()

    share: float = 0.01
    similarity: float = 0.5
    group: str = ""
    into: str = "split"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise DrossError(f"the share for validation is {self.share}", fix="give a share between 0 and 1")

    def reads(self) -> tuple[str, ...]:
        return (*super().reads(), *((self.group,) if self.group else ()))

    def writes(self) -> tuple[str, ...]:
        return (self.into,)

    def _signatures(self, rows: Rows) -> Signatures:
        return rows.measured(Signed(128, self.seed), self.column)

    def _hashes(self, rows: Rows) -> Hashes:
        return rows.measured(text_hashes, self.column)

    def sketch(self, rows: Rows, ready: Any) -> pa.Table:
        """Bands of near copies; texts that are the same; groups."""
        bands = sketch_bands(self._signatures(rows), rows.addresses, band_width(self.similarity, 128))
        parts = [bands.append_column("sure", pa.array(np.zeros(len(bands), bool)))]
        sure = [self._hashes(rows), *([hash_column(rows.strings(self.group))] if self.group else [])]
        for i, hashes in enumerate(sure):
            keys = mix.function(hashes + np.uint64(i) + _SALT)
            parts.append(pa.table({KEY: keys, ROW: rows.addresses, "sure": np.ones(len(rows), bool)}))
        return pa.concat_tables(parts)

    def stored(self, rows: Rows, ready: Any) -> Mapping[str, npt.NDArray[Any]]:
        """The signature and the hash of each text."""
        return {SIGNATURE: self._signatures(rows), _OWN: self._hashes(rows)}

    def meet(self, sketches: pa.Table, store: Store) -> pa.Table:
        """Pairs that must not be parted."""
        keys, rows = sketches.column(KEY).to_numpy(), sketches.column(ROW).to_numpy()
        sure = sketches.column("sure").to_numpy()
        one, other, _ = near_pairs(keys[~sure], rows[~sure], store, self.similarity)
        keys, rows = keys[sure], rows[sure]
        heads, sizes = runs_of(keys)
        first = np.repeat(rows[heads], sizes)
        more = first != rows
        pairs = np.unique(
            np.stack([np.concatenate([one, rows[more]]), np.concatenate([other, first[more]])], axis=1), axis=0
        )
        return pa.table({ROW: pairs[:, 0], MATCH: pairs[:, 1]})

    def settle(self, found: pa.Table, store: Store) -> pa.Table:
        """For each row that is tied to others, the hash that tells its side."""
        rows, group = groups(found.column(ROW).to_numpy(), found.column(MATCH).to_numpy())
        _, first = np.unique(group, return_index=True)
        tells = store.take(_OWN, rows[first])[group]
        return pa.table({ROW: rows, REASON: np.full(len(rows), KEPT, np.int16), _TELLS: tells})

    def judge(self, rows: Rows, decisions: pa.Table) -> Verdict:
        """All rows stay, each with its side."""
        tells = self._hashes(rows).copy()
        if _TELLS in decisions.column_names:
            at = np.searchsorted(rows.addresses, decisions.column(ROW).to_numpy())
            tells[at] = decisions.column(_TELLS).to_numpy()
        aside = shuffled(tells, self.seed) < self.share
        return Verdict.keep(len(rows), **{self.into: pa.array(np.where(aside, "validation", "train"))})
