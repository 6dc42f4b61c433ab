"""What the label models share: the class balance, the answer they give, intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dross.models.crowd import Consensus
from dross.models.label_models.em import Counts, Table, posteriors
from dross.models.votes import Votes, take

Floats = npt.NDArray[np.float64]
SMOOTHING = 0.1


def covered(votes: Votes) -> Votes:
    """The same with rows that have no vote counting nothing: where abstention is chance they are mute."""
    voted = np.diff(votes.starts) > 0
    if voted.all():
        return votes
    return replace(votes, times=voted.astype(np.float64) if votes.times is None else votes.times * voted)


def every(votes: Votes, most: int) -> Votes:
    """Every so-manieth row, so that about ``most`` are left."""
    stride = max(1, len(votes) // most)
    return votes if stride == 1 else take(votes, np.arange(0, len(votes), stride))


def thin_rows(votes: Votes, most: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """At most ``most`` of the rows that have votes, drawn evenly, ascending."""
    rows = np.flatnonzero(np.diff(votes.starts) > 0)
    return rows if len(rows) <= most else np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def log_balance(counts: Counts, balance: Floats | None) -> Floats:
    """The logarithm of the class balance: the given one, else that of the counted rows, smoothed; shape (k,)."""
    if balance is not None:
        return np.log(np.maximum(balance, 1e-12))
    share = counts.rows + SMOOTHING
    logs: Floats = np.log(share / share.sum())
    return logs


def wilson(share: Floats, total: Floats) -> Floats:
    """The 95 % interval of a share of ``total``, shape (m, 2).

    >>> wilson(np.array([0.5]), np.array([96.04])).round(2).tolist()
    [[0.4, 0.6]]
    """
    z, count = 1.959964, np.maximum(total, 1e-9)
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count**2)) / (1 + z * z / count)
    return np.stack([np.maximum(centre - half, 0), np.minimum(centre + half, 1)], axis=1)


def quality(counts: Counts) -> tuple[Floats, Floats]:
    """The expected share of each source's votes that are right, shape (m,), and its interval, (m, 2)."""
    total = counts.votes.sum(axis=(1, 2))
    right = np.einsum("acc->a", counts.votes)
    k = counts.votes.shape[1]
    share = np.where(total > 0, right / np.maximum(total, 1e-12), 1 / k)
    return share, wilson(share, total)


def answer(
    model: str, votes: Votes, table: Table, counts: Counts, balance: Floats | None, *, likelihood: bool = True
) -> Consensus:
    """The consensus under a fitted table; ``counts`` are those expected under it."""
    share, interval = quality(counts)
    rows = np.maximum(counts.rows.sum(), 1e-12)
    return Consensus(
        posteriors(votes, table),
        share,
        model=model,
        interval=interval,
        balance=balance if balance is not None else counts.rows / rows,
        log_likelihood=counts.log_likelihood if likelihood else None,
    )
