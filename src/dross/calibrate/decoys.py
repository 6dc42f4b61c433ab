"""What findings about pairs of rows are worth, read from planted copies and from decoys.

A decoy is a new row that looks like the data and is a copy of none: whatever is found about it is a false alarm. Of
``n`` real rows, ``(1 - pi) n F0(t)`` are then expected to score at least ``t`` by accident, ``F0`` the decoys' share;
planted copies give the recall. This is the target-decoy search of proteomics (Elias, Gygi, "Target-decoy search
strategy for increased confidence in large-scale protein identifications by mass spectrometry", 2007).
"""

from __future__ import annotations

import numpy as np

from dross.calibrate.mixture import CAUTION, REPLICATES, Matrix, Vector, Worth, bin_masses, fit_weights

MOST_EDGES = 100


def estimate_by_decoys(planted: Vector, decoys: Vector, real: Vector, n: int, rng: np.random.Generator) -> Worth:
    """Compare what real rows, decoys and planted copies score.

    Parameters
    ----------
    planted, decoys
        Scores of planted copies, shape (m,), and of decoys, shape (d,); 0 where nothing was found.
    real
        Scores of the real rows that something was found about, shape (r,).
    n
        Number of real rows, those without a finding included.
    rng
        For the replicates (a bootstrap of all three samples).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> w = estimate_by_decoys(np.full(50, 0.9), np.repeat([0.0, 0.6], 50), np.repeat([0.6, 0.9], 50), 200, rng)
    >>> w.chance(np.array([0.6, 0.9])).round(2).tolist()
    [0.0, 1.0]
    """
    edges = np.unique(np.concatenate([real, planted[planted > 0]]))
    if len(edges) > MOST_EDGES:
        edges = np.unique(np.quantile(edges, np.linspace(0, 1, MOST_EDGES), method="lower"))
    bins = len(edges)
    counts = [
        np.bincount(np.searchsorted(edges, scores, "right"), minlength=bins + 1).astype(np.float64)
        for scores in (planted, decoys, real)
    ]
    counts[2][0] += n - len(real)
    local, recall, share = _worth(*counts)
    replicates = [_worth(*(rng.poisson(c).astype(np.float64) for c in counts)) for _ in range(REPLICATES)]
    locals_: Matrix = np.array([r[0] for r in replicates])
    return Worth(
        edges=edges,
        knots=_knots(edges),
        local=local,
        cautious=np.minimum(np.quantile(locals_, CAUTION, axis=0), local),
        recall=recall,
        share=share,
        shares=np.array([r[2] for r in replicates]),
        local_replicates=locals_,
        recall_replicates=np.array([r[1] for r in replicates]),
    )


def _worth(planted: Vector, decoys: Vector, real: Vector) -> tuple[Vector, Vector, float]:
    """Chance of a true defect in each bin, recall at each edge, and the share of defects, from the binned counts."""
    recall = _beyond(planted)
    accidents, seen = _beyond(decoys), _beyond(real)
    # the share is read where planted copies and decoys are told apart best
    best = int(np.argmax(recall - accidents)) if len(recall) else 0
    gap = recall[best] - accidents[best] if len(recall) else 0.0
    # copies edited unlike the planted ones are found more or less often than those: no long extrapolation
    copies = float(np.clip(seen[best] - accidents[best], 0.0, 1.0)) if gap > 0 else 0.0
    share = min(1.0, copies / max(gap, 0.5))
    expected = _smoothed(decoys, planted)
    observed = real / max(real.sum(), 1.0)
    false = (1 - copies) * falling_ratio(expected, observed)
    local: Vector = np.clip(1 - false, 0.0, 1.0)
    local[0] = 0.0
    return np.maximum.accumulate(local), recall, share


def _smoothed(decoys: Vector, planted: Vector) -> Vector:
    """The decoys' share of each bin, ascending, smoothed: the rarer the higher the score, as in :mod:`.mixture`.

    Without this the few decoys of a high score that chance left out would pass for none.
    """
    shares: Vector = decoys / max(decoys.sum(), 1.0)
    scale = planted > 0  # elsewhere the planted copies give no measure of how high a score is
    if not decoys[scale].any() or not decoys[1:].any():
        return shares
    tails = np.concatenate([[0.0], np.cumsum(planted[scale][::-1])]) / planted.sum()
    tails[-1] = 1.0
    masses = bin_masses(tails)[:, 1:]  # no uniform part: decoys hold no defects
    smooth = (masses @ fit_weights(masses, decoys[scale][::-1]))[::-1]
    shares[scale] = smooth * shares[scale].sum()
    return shares


def falling_ratio(expected: Vector, observed: Vector) -> Vector:
    """The ratio of two densities over ascending bins, never rising: bins are pooled, an empty one is as the one below.

    >>> falling_ratio(np.array([0.2, 0.4, 0.0]), np.array([0.5, 0.4, 0.1])).round(2).tolist()
    [0.67, 0.67, 0.0]
    """
    from scipy.optimize import isotonic_regression

    total = expected + observed
    used = total > 0
    ratio = np.zeros(len(total))
    if used.any():
        part = isotonic_regression(expected[used] / total[used], weights=total[used], increasing=False).x
        at = np.flatnonzero(used)
        # an empty bin is worth what the nearest filled one below it is
        nearest = np.clip(np.searchsorted(at, np.arange(len(total)), "right") - 1, 0, None)
        ratio = (part / np.maximum(1 - part, 1e-12))[nearest]
    return ratio


def _beyond(counts: Vector) -> Vector:
    """The share at or above each edge, from the counts of the bins around the edges."""
    tail: Vector = np.cumsum(counts[::-1])[::-1][1:] / max(counts.sum(), 1.0)
    return tail


def _knots(edges: Vector) -> Vector:
    """One score for each bin: its lower edge; for the bin below all edges, a score under it."""
    below = edges[:1] - 1e-9 if len(edges) else np.zeros(1)
    knots: Vector = np.concatenate([below, edges])
    return knots
