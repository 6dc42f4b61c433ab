"""Closeness: which neighbours are nearer than chance would bring them, given how densely rows lie around them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dross.core.hashing import Hashes
from dross.signals.neighbours import Neighbourhood
from dross.signals.pairs import Pairs

Vector = npt.NDArray[np.float64]
CHANCE = 0.05
"""Pairs expected to be called close by accident in the whole dataset."""
FARTHEST = 0.5
"""Share of the way to the last neighbour beyond which no row is a copy, however rare: in many dimensions all distances
are nearly equal, and a few rows of one small group are a little nearer to each other without being copies."""
FEWEST = 4
"""Neighbours a row needs before anything can be said of the density around it."""


def dimensions(near: Neighbourhood) -> Vector:
    """The intrinsic dimension of the data around each row, shape (n,); 0 where it has too few neighbours to tell.

    Levina and Bickel, "Maximum likelihood estimation of intrinsic dimension", 2004, from the distances of the farther
    half of the neighbours only, so that copies of the row do not enter, and averaged over the row and its neighbours:
    with locally uniform density the volumes (r_j / r_k)^m are ordered uniform draws, and -log of the j-th of k - 1 of
    them is H(k-1) - H(j-1) on average.
    """
    distances = near.distances.astype(np.float64)
    n, k = distances.shape
    if k < FEWEST:
        return np.zeros(n)
    ranks = np.arange(k // 2, k)
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, k + 1))])
    expected = (harmonic[k - 1] - harmonic[ranks - 1]).sum()
    full = np.isfinite(distances[:, -1])
    tiny = np.finfo(np.float64).tiny
    inner = np.where(full[:, None], distances[:, ranks - 1], 1.0)
    outer = np.where(full, distances[:, -1], 1.0)
    spread = np.log(np.maximum(outer, tiny)[:, None] / np.maximum(inner, tiny)).sum(1)
    around = np.where(near.indices >= 0, spread[near.indices], 0.0).sum(1)
    mean = (spread + around) / (k + 1)
    return np.where(full, expected / np.maximum(mean, 1e-9), 0.0)


def critical_distances(near: Neighbourhood, farthest: float = FARTHEST) -> Vector:
    """The distance within which a neighbour is nearer than chance allows, shape (n,); -1 where nothing can be said.

    In a Poisson process of dimension m the nearest of k neighbours lies within r of the way to the k-th with
    probability 1 - (1 - r^m)^(k-1), about (k - 1) r^m. The critical ratio makes that :data:`CHANCE` / n, so that
    in data without copies so few rows are expected to be called close, whatever their scale, clusters or dimension; it
    is never above ``farthest``. A row with k copies at its very place is left out: how densely rows lie there cannot
    be told.

    >>> X = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    >>> from dross.signals.neighbours import nearest_rows
    >>> near = nearest_rows(X, 10)
    >>> int((near.distances[:, 0] <= critical_distances(near)).sum())
    0
    """
    n, k = near.distances.shape
    if k < FEWEST or n == 0:
        return np.full(n, -1.0)
    m = dimensions(near)
    outer = np.where(m > 0, near.distances[:, -1], 0.0).astype(np.float64)
    ratio = np.minimum(np.exp(np.log(CHANCE / (n * (k - 1))) / np.maximum(m, 1e-9)), farthest)
    return np.where((m > 0) & (outer > 0), outer * ratio, -1.0)


def close_pairs(near: Neighbourhood, hashes: Hashes, farthest: float = FARTHEST) -> Pairs:
    """The pairs of rows that are nearer to each other than chance allows around either, copies of equal hash left out.

    The similarity is 1 at distance 0 and 0.5 at the critical distance (the smaller of the two rows' ones). Of rows with
    equal hash the first stands for all.
    """
    n, k = near.indices.shape
    critical = critical_distances(near, farthest)
    rows = np.repeat(np.arange(n), k)
    others, distances = near.indices.ravel().astype(np.int64), near.distances.ravel().astype(np.float64)
    limit = np.minimum(critical[rows], np.where(others >= 0, critical[others], -1.0))
    keep = (limit >= 0) & (distances <= limit)
    rows, others, distances, limit = rows[keep], others[keep], distances[keep], limit[keep]
    different = hashes[rows] != hashes[others]
    rows, others, distances, limit = (part[different] for part in (rows, others, distances, limit))
    similarity = 1 - 0.5 * distances / np.maximum(limit, np.finfo(np.float64).tiny)
    return Pairs.of(rows, others, similarity, 0.5, n)
