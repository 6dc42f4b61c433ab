"""Domain mixture: as much of each domain as a stated mixture asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.errors import DrossError
from dross.core.hashing import hash_column
from dross.core.step import KEY, REASON, ROW, VALUE, Rows, Store, WholeStep
from dross.models.survivors import Turn

_DOMAIN, _SIZE, _FIRST = "domain", "size", "first"
Sizes = npt.NDArray[np.float64]


def quotas(totals: Sizes, shares: Sizes) -> Sizes:
    """How much of each domain to take so that the mixture is right and as much as can be is taken, shape (d,).

    The domain of which there is least, measured by its share, is taken whole.

    >>> quotas(np.array([100.0, 10.0]), np.array([0.75, 0.25])).tolist()
    [30.0, 10.0]
    """
    asked = shares > 0
    most = np.min(totals[asked] / shares[asked])
    return np.asarray(most * shares)


@dataclass(frozen=True)
class DomainMixture(WholeStep):
    """Random rows of each domain, so that the domains have stated shares of the characters.

    32 bytes of memory a row, in one place. Rows are chosen by the hash of their text, so that the choice does not
    depend on how the corpus is cut. Nothing is repeated: the scarcest domain, by its share, is taken whole.

    Attributes
    ----------
    shares
        One ``DOMAIN=SHARE`` each, adding up to 1; domains that are not named are dropped.
    domain
        The column that names the domain.
    seed
        Of the random choice.
    """

    reasons: ClassVar[tuple[str, ...]] = ("over_the_share", "domain_not_asked_for")
    together: ClassVar[bool] = True

    shares: tuple[str, ...] = ()
    domain: str = "domain"
    seed: int = 0

    def reads(self) -> tuple[str, ...]:
        return (*super().reads(), self.domain)

    def parsed(self) -> dict[str, float]:
        """The share of each domain."""
        out = {}
        for one in self.shares:
            name, equals, share = one.rpartition("=")
            try:
                out[name] = float(share)
            except ValueError:
                equals = ""
            if not equals or not 0 < out[name] <= 1:
                raise DrossError(f"{one!r} is no share of a domain", where="domain-mixture", fix="write wiki=0.3")
        if abs(sum(out.values()) - 1) > 1e-6:
            told = f"the shares add up to {sum(out.values()):g}"
            raise DrossError(told, where="domain-mixture", fix="write shares: [wiki=0.3, web=0.7]")
        return out

    def prepare(self, place: Any) -> None:
        """Refuse shares that are none."""
        self.parsed()

    def sketch(self, rows: Rows, ready: Any) -> pa.Table:
        """The domain of each row, its size, and how soon it is taken."""
        texts = rows.text(self.column)
        columns = {
            KEY: np.zeros(len(rows), np.uint64),
            ROW: rows.addresses,
            _DOMAIN: hash_column(rows.strings(self.domain)),
            _SIZE: pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.int64),
            _FIRST: Turn("random", self.seed)(rows, self.column),
        }
        return pa.table(columns)

    def meet(self, sketches: pa.Table, store: Store) -> pa.Table:
        """Rows beyond the share of their domain."""
        domain, size, first = (sketches.column(name).to_numpy() for name in (_DOMAIN, _SIZE, _FIRST))
        asked = self.parsed()
        names = hash_column(pa.array(list(asked), pa.large_string()))
        own = [np.flatnonzero(domain == name) for name in names]
        totals = np.array([size[at].sum() for at in own], np.float64)
        missing = [name for name, total in zip(asked, totals, strict=True) if total == 0]
        if missing:
            raise DrossError(f"no row is of the domain {missing[0]!r}", where=f"column {self.domain!r}")
        reason = np.ones(len(domain), np.int16)
        for at, most in zip(own, quotas(totals, np.array(list(asked.values()))), strict=True):
            order = at[np.argsort(first[at], kind="stable")]
            reason[order] = np.where(np.cumsum(size[order]) <= most + 1e-6, -1, 0)
        gone = reason >= 0
        value = size[gone].astype(np.float32)
        return pa.table({ROW: sketches.column(ROW).to_numpy()[gone], REASON: reason[gone], VALUE: value})
