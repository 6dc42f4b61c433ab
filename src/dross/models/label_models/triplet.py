"""Triplets of sources: accuracies in closed form from how often three agree two by two."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dross.models.crowd import Consensus
from dross.models.label_models.common import answer, covered
from dross.models.label_models.em import Table, expected
from dross.models.label_models.moments import pair_counts
from dross.models.votes import Votes

Floats = npt.NDArray[np.float64]
PARTNERS = 40
"""Most partners of a source from which triplets are made: those it meets most often."""
_LEAST = 0.02


def accuracies(agree: Floats, both: Floats, k: int) -> Floats:
    """The chance that each source's vote is right, from the shares ``agree`` (m, m) of the ``both`` rows they share.

    With ``a_i = (k p_i - 1) / (k - 1)``, agreement beyond chance is ``a_i a_j``, so three sources give
    ``a_i² = M_ij M_ik / M_jk``; the median over triplets is taken. Sources are taken to be better than chance.

    >>> p = np.array([0.9, 0.8, 0.7]); a = 2 * p - 1
    >>> agree = (1 + np.outer(a, a)) / 2
    >>> accuracies(agree, np.full((3, 3), 100.0), 2).round(6).tolist()
    [0.9, 0.8, 0.7]
    """
    m = len(agree)
    beyond = (k * agree - 1) / max(1, k - 1)
    out = np.full(m, np.nan)
    for i in range(m):
        near = np.argsort(-both[i], kind="stable")
        near = near[(near != i) & (both[i, near] > 0)][:PARTNERS]
        if len(near) < 2:
            continue
        j, l = np.triu_indices(len(near), 1)
        j, l = near[j], near[l]
        known = (both[j, l] > 0) & (np.abs(beyond[j, l]) > _LEAST)
        j, l = j[known], l[known]
        if len(j):
            out[i] = np.sqrt(np.median(np.abs(beyond[i, j] * beyond[i, l] / beyond[j, l])))
    fallback = np.nanmean(out) if np.isfinite(out).any() else 0.5
    skill = np.clip(np.where(np.isfinite(out), out, fallback), 0.01, 0.98)
    result: Floats = ((k - 1) * skill + 1) / k
    return result


def triplet(votes: Votes, balance: Floats | None = None) -> Consensus:
    """Accuracies by the method of moments, without iteration.

    Fu, Chen, Sala, Hooper, Fatahalian, Ré, "Fast and Three-rious: Speeding Up Weak Supervision with Triplet Methods",
    2020, sections 3 and 4; here for any number of classes, with errors spread evenly. Abstention says nothing. A rule
    that votes for one class only agrees with all others like it, whatever its accuracy: see :mod:`abstention`.
    O(votes × m) once, then O(m × partners²).
    """
    seen, k = covered(votes), len(votes.classes)
    counts = pair_counts(seen)
    both = counts.sum(axis=(1, 3))
    agree = np.einsum("iaja->ij", counts) / np.maximum(both, 1e-9)
    right = np.clip(accuracies(agree, both, k), 1e-3, 1 - 1e-3)
    delta = np.repeat(np.log((1 - right) / max(1, k - 1))[:, None], k * k, axis=1).reshape(-1, k, k)
    delta[:, np.arange(k), np.arange(k)] = np.log(right)[:, None]
    base = np.full(k, -np.log(k)) if balance is None else np.log(np.maximum(balance, 1e-12))
    table: Table = base, delta
    return answer("triplet", votes, table, expected(seen, table), balance, likelihood=False)
