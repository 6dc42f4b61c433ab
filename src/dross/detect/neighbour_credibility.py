"""Neighbour credibility: labels that disagree with the neighbourhood of their row, and what to write instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.compiled import over_rows
from dross.core.dataset import Codes, Dataset
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.given_labels import Probs, kernel_weights, labels_and_probs, likeliest_other, row_chunks
from dross.signals.neighbours import Neighbours
from dross.signals.probabilities import Probabilities

Shares = npt.NDArray[np.float32]

SHARPNESS = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""Powers of the neighbour-aware belief to choose from: how much more, or less, it knows than it says."""
_LEAST = 1e-6
"""Added to the model's probabilities, so that a certain 0 leaves the neighbours their say."""
_BINS, _SPAN = 1024, 16.0
_LEAST_RATE, _MOST_RATE, _RATES = 0.005, 0.45, 64
_SURE = 1.0
"""Log-likelihood given up for a lower noise rate: between one and two standard errors of it."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def soft_labels(labels: Codes, indices: npt.NDArray[Any], weights: Shares, prior: npt.NDArray[Any]) -> Shares:
    """The density of each class at each row from its neighbours (leave-one-out KDE) as a share, (m, k), float32.

    ``indices`` and ``weights`` (shape (m, j)) are the neighbours of m rows and the kernel at their distances; ``prior``
    (shape (k,), sum 1) has the weight of one neighbour at no distance. Neighbours without a label do not vote.

    >>> soft_labels(np.array([0, 1, 1], np.int32), np.array([[1, 2]]), np.ones((1, 2)), np.array([0.5, 0.5])).round(2)
    array([[0.17, 0.83]], dtype=float32)
    """
    m, k = len(indices), len(prior)
    voters = labels[indices]
    votes = np.where((indices >= 0) & (voters >= 0), weights, 0.0)
    cells = np.arange(m)[:, None] * k + np.maximum(voters, 0)
    counts = np.bincount(cells.ravel(), votes.ravel(), m * k).reshape(m, k)
    shares: Shares = ((counts + prior) / (votes.sum(axis=1, keepdims=True) + 1.0)).astype(np.float32)
    return shares


def belief_in_given(labels: Codes, belief: Shares) -> Shares:
    """The share of the given label in the belief raised to each power of ``SHARPNESS``, shape (m, 10), float32.

    >>> belief_in_given(np.array([0], np.int32), np.array([[0.8, 0.2]], np.float32)).round(2)[0, [5, 7]].tolist()
    [0.800000011920929, 0.9399999976158142]
    """
    logs = np.log(belief)
    logs -= logs.max(axis=1, keepdims=True)
    own = logs[np.arange(len(logs)), np.maximum(labels, 0)]
    powers = [np.exp(b * own) / np.exp(np.float32(b) * logs).sum(axis=1) for b in SHARPNESS]
    return np.stack(powers, axis=1).astype(np.float32)


def fit_noise(shares: Shares, k: int) -> tuple[int, float]:
    """The power of the belief and the noise rate that fit the given labels: (index into ``SHARPNESS``, rate).

    A label is right with chance 1 - rate and else any of the other k - 1 classes; ``shares`` (m, 10) is what
    :func:`belief_in_given` says of the labelled rows. Where rows of the classes look alike, noise and doubt cannot be
    told apart: of all pairs that fit about as well as the best, the one with the least noise is taken, and most
    labels are taken to be right, but not all (rate 0.005 to 0.45). The likelihood is summed over a histogram of
    log-odds, so the order of the rows does not matter.
    """
    width = 2 * _SPAN / _BINS
    bins = ((_log_odds(shares) + _SPAN) / width).astype(np.int64)
    share = 1 / (1 + np.exp(_SPAN - (np.arange(_BINS) + 0.5) * width))
    rates = np.geomspace(_LEAST_RATE, _MOST_RATE, _RATES)[:, None]
    chances = np.log((1 - rates) * share + rates * (1 - share) / (k - 1))
    likelihood = np.stack([chances @ np.bincount(column, minlength=_BINS) for column in bins.T], axis=1)
    fits = likelihood >= likelihood.max() - _SURE
    least = int(fits.any(axis=1).argmax())
    return int(likelihood[least].argmax()), float(rates[least, 0])


def credibility(share: npt.NDArray[Any], rate: float, k: int) -> npt.NDArray[Any]:
    """The chance that a given label is right: the belief in it (``share``), corrected for the labels' noise rate.

    >>> credibility(np.array([0.5, 0.01]), 0.1, 10).round(2).tolist()
    [0.99, 0.45]
    """
    right = (1 - rate) * share
    chance: npt.NDArray[Any] = right / (right + rate * (1 - share) / (k - 1))
    return chance


def _log_odds(shares: Shares) -> npt.NDArray[np.float64]:
    s = np.clip(shares.astype(np.float64), 1e-6, 1 - 1e-6)  # within the span of the histogram
    odds: npt.NDArray[np.float64] = np.log(s) - np.log1p(-s)
    return odds


# ---- the detector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NeighbourCredibility(Detector):
    """Labels that disagree with their row's neighbourhood, and the label a neighbour-aware classifier would write.

    Shu, "Pre-trained Language Models as Re-Annotators", 2022: the credibility of a label is its agreement with the
    nearest neighbours in the embedding; suspects are rewritten by a cross-validated classifier that learns from the
    neighbours' labels, softened by kernel density estimation.

    Here the kernel density soft label of each row multiplies the out-of-fold probabilities to make the neighbour-aware
    belief; how far that belief is to be trusted and how noisy the labels are is fitted to the given labels; the score
    is 1 minus the credibility of the given label after that correction. The paper fine-tunes a language model with a
    contrastive loss between distant rows of one label instead; that half needs a trainable encoder and is left out.
    """

    paper: ClassVar = Paper("Pre-trained Language Models as Re-Annotators", 2022, "2205.05368")
    alias: ClassVar = "re-annotators"
    finds: ClassVar[Issue] = Issue.LABEL
    needs: ClassVar = (Role.LABEL, Probabilities, Neighbours)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Score every labelled row; the suggestion is the label believed most but the given one. O(nk)."""
        found = labels_and_probs(data, signals)
        if isinstance(found, NotApplicable):
            return found
        if not data.content:
            return NotApplicable("no column holds content to find neighbours by: no text, image, feature or embedding")
        given, P = found
        k, rows = P.shape[1], np.flatnonzero(given >= 0)
        hood = signals[Neighbours()]
        if not hood.indices.shape[1]:
            return NotApplicable("there are too few rows to have neighbours")
        shares, agreement, suggestion = _believe(given, P, hood.indices, kernel_weights(hood.distances), rows)
        power, rate = fit_noise(shares, k)
        return Findings(
            Issue.LABEL,
            rows,
            (1 - credibility(shares[:, power], rate, k)).astype(np.float32),
            suggestion=suggestion,
            evidence={"agreement": agreement, "given_probability": P[rows, given[rows]]},
            summary={
                "estimated_errors": round(rate * len(rows)),
                "estimated_error_rate": rate,
                "agreement": float(agreement.mean()),
                "sharpness": SHARPNESS[power],
            },
        )


def _believe(
    given: Codes, P: Probs, indices: npt.NDArray[Any], weights: Shares, rows: npt.NDArray[np.int64]
) -> tuple[Shares, Shares, Codes]:
    """For the labelled rows: belief in the given label at each power, the neighbours' part, the next best label."""
    k = P.shape[1]
    counts = np.maximum(np.bincount(given[rows], minlength=k), 1)  # a class that no row has yet is rare, not impossible
    prior = counts / counts.sum()
    shares = np.empty((len(rows), len(SHARPNESS)), np.float32)
    agreement, suggestion = np.empty(len(rows), np.float32), np.empty(len(rows), np.int32)

    def work(start: int, stop: int) -> None:
        for chunk in row_chunks(stop - start):
            here = slice(start + chunk.start, start + chunk.stop)
            at = rows[here]
            soft = soft_labels(given, indices[at], weights[at], prior)
            belief = soft * (P[at].astype(np.float32) + np.float32(_LEAST))
            shares[here] = belief_in_given(given[at], belief)
            agreement[here] = soft[np.arange(len(at)), given[at]]
            suggestion[here] = likeliest_other(given[at], belief)

    over_rows(work, len(rows))
    return shares, agreement, suggestion
