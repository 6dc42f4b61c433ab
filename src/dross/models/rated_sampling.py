"""Sampling by ratings: without replacement, the rating over a temperature as the logit, up to a share of the text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dross.core.hashing import Hashes

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def standardised(ratings: Floats) -> Floats:
    """Ratings less their mean, over their spread, shape (n,); 0 where all are alike.

    >>> standardised(np.array([1.0, 3.0])).tolist()
    [-1.0, 1.0]
    """
    spread = float(ratings.std()) if len(ratings) else 0.0
    away: Floats = ratings - ratings.mean() if len(ratings) else ratings
    return away / spread if spread > 1e-12 else np.zeros(len(ratings))


def gumbels(keys: Hashes) -> Floats:
    """Noise of the standard Gumbel distribution, shape (n,), from one evenly distributed number a row.

    >>> gumbels(np.array([2**63], np.uint64)).round(4).tolist()
    [0.3665]
    """
    even = ((keys >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return np.asarray(-np.log(-np.log(even)))


def within(order: Rows, sizes: Floats, budget: float) -> Rows:
    """The first rows of an order whose sizes, shape (n,), reach the budget together.

    >>> within(np.array([2, 0, 1]), np.array([5.0, 1.0, 2.0]), 6).tolist()
    [2, 0]
    """
    total = np.cumsum(sizes[order])
    return order[: int(np.searchsorted(total, budget - 1e-9)) + 1] if budget > 0 else order[:0]


def sampled(
    ratings: Floats,
    sizes: Floats,
    keys: Hashes,
    share: float,
    temperature: float,
    groups: npt.NDArray[np.int64] | None = None,
) -> Rows:
    """Rows drawn without replacement with chances in proportion to exp(rating / temperature), the first drawn first.

    Adding Gumbel noise to the logits and taking the largest draws one row after the other (Kool et al., 2019; Wettig et
    al., 2024, section 3.3). At a temperature of 0 the best-rated rows are taken. O(n log n).

    Parameters
    ----------
    ratings, sizes, keys
        Of each row, shape (n,): its rating, how much of the budget it takes, and an evenly distributed number.
    share, temperature
        Of all sizes, what to keep; how little the ratings weigh.
    groups
        Codes, shape (n,): the share is kept of each group by itself.

    >>> keys = np.array([2**62, 2**63, 2**61], np.uint64)
    >>> sampled(np.array([0.0, 9.0, 5.0]), np.ones(3), keys, 2 / 3, 0.0).tolist()
    [1, 2]
    """
    scores = ratings if temperature == 0 else ratings / temperature + gumbels(keys)
    order = np.lexsort([keys, -scores])
    if groups is None:
        return within(order, sizes, share * float(sizes.sum()))
    own = [within(order[groups[order] == g], sizes, share * float(sizes[groups == g].sum())) for g in np.unique(groups)]
    taken = np.zeros(len(ratings), bool)
    taken[np.concatenate(own) if own else []] = True
    return order[taken[order]]
