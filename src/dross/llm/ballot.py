"""What several voters say of rows, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.llm.chances import with_doubt
from dross.models.label_models import fit
from dross.models.label_models.common import wilson
from dross.models.votes import from_probs

Floats = npt.NDArray[np.float64]

FEWEST_KNOWN = 30
"""Known labels from which confidence is calibrated."""
_BY_COUNT = ("majority", "weighted")
_LEAST = 1e-6


@dataclass(frozen=True)
class Ballot:
    """What m voters say of n rows.

    Attributes
    ----------
    shares
        The chance each voter gives each class, shape (n, m, k), NaN where it says nothing.
    samples
        The answers behind it, shape (n, m).
    measured
        Whether it rests on token log-probabilities, shape (n, m).
    """

    shares: Floats
    samples: npt.NDArray[np.int64]
    measured: npt.NDArray[np.bool_]

    @classmethod
    def empty(cls, n: int, m: int, k: int) -> Ballot:
        """Nobody has spoken."""
        return cls(np.full((n, m, k), np.nan), np.zeros((n, m), np.int64), np.zeros((n, m), bool))

    def add(self, row: int, voter: int, chances: Floats, *, measured: bool) -> None:
        """One more sample of a voter on a row: the mean over its samples is kept."""
        count = self.samples[row, voter]
        before = np.nan_to_num(self.shares[row, voter])
        self.shares[row, voter] = (before * count + chances) / (count + 1)
        self.measured[row, voter] = measured and (self.measured[row, voter] or count == 0)
        self.samples[row, voter] += 1


def combine(
    ballot: Ballot, names: list[str], model: str
) -> tuple[Floats, npt.NDArray[np.float64], str, tuple[str, ...]]:
    """Chances of the classes, shape (n, k), NaN where nobody spoke; each voter's quality (m,); the model; why that.

    One voter speaks for itself. Several are weighed by a label model, on soft votes; where that is a plain count, and
    for one voter, hard answers keep some doubt (:func:`dross.llm.chances.with_doubt`).

    >>> ballot = Ballot.empty(1, 1, 2); ballot.add(0, 0, np.array([1.0, 0.0]), measured=False)
    >>> combine(ballot, ["m"], "auto")[0].tolist()
    [[0.75, 0.25]]
    """
    _, m, k = ballot.shares.shape
    silent = ~(ballot.samples > 0).any(axis=1)
    quality = np.full(m, np.nan)
    why: tuple[str, ...] = ("there is one voter",)
    chosen, share = "", ballot.shares[:, 0]
    if m > 1 and not silent.all() and k > 1:
        said = fit(model, from_probs(ballot.shares, names))
        share, quality, chosen, why = said.probs, said.quality, said.model, said.why
    if m == 1 or chosen in _BY_COUNT:
        total, sure = ballot.samples.sum(axis=1), (ballot.measured | (ballot.samples == 0)).all(axis=1)
        share = with_doubt(share, total, sure)
    share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
    share[silent] = np.nan
    return share, quality, chosen, why


def temperature(probs: Floats, gold: npt.NDArray[np.int32]) -> float | None:
    """The T by which chances (n, k), to the power 1/T, suit the known labels (n,) best; None where too few are known.

    Guo et al., "On Calibration of Modern Neural Networks", 2017: one number, fitted by the likelihood, that changes no
    row's likeliest class. As if each class had been seen once more, so that 30 right answers do not make it certain.

    >>> probs, gold = np.tile([0.9, 0.1], (100, 1)), np.repeat([0, 1], [60, 40]).astype(np.int32)
    >>> found = temperature(probs, gold); rescaled(probs, found)[0].round(2).tolist()
    [0.6, 0.4]
    """
    from scipy.optimize import minimize_scalar

    judged = (gold >= 0) & ~np.isnan(probs).any(axis=1)
    if judged.sum() < FEWEST_KNOWN:
        return None
    logs, rows, k = np.log(np.maximum(probs[judged], _LEAST)), np.arange(judged.sum()), probs.shape[1]

    def loss(log_t: float) -> float:
        z = logs / np.exp(log_t)
        total = np.logaddexp.reduce(z, axis=1)
        return float((total - z[rows, gold[judged]]).sum() + k * (total - z.mean(axis=1)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def rescaled(probs: Floats, by: float) -> Floats:
    """Chances at another temperature, shape (n, k); NaN stays NaN."""
    spoken = ~np.isnan(probs).any(axis=1)
    z = np.log(np.maximum(probs[spoken], _LEAST)) / by
    out: Floats = np.full(probs.shape, np.nan)
    out[spoken] = np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True))
    return out


def voter_facts(ballot: Ballot, names: list[str], quality: Floats, gold: npt.NDArray[np.int32]) -> dict[str, Any]:
    """What each voter said, and how good it is estimated and measured to be; plain JSON values."""
    spoke = ballot.samples > 0
    return {
        "labelled": int(spoke.any(axis=1).sum()),
        "voters": [
            {
                "voter": name,
                "labelled": round(float(spoke[:, j].mean()), 4),
                "with_logprobs": round(float(ballot.measured[spoke[:, j], j].mean()), 4) if spoke[:, j].any() else None,
                "quality": round(float(quality[j]), 4) if np.isfinite(quality[j]) else None,
                "measured": accuracy(ballot.shares[:, j], gold),
            }
            for j, name in enumerate(names)
        ],
    }


def accuracy(probs: Floats, gold: npt.NDArray[np.int32]) -> dict[str, Any] | None:
    """Accuracy, with its 95 % interval, on the rows whose label is known and that were not shown as examples."""
    judged = (gold >= 0) & ~np.isnan(probs).any(axis=1)
    if not judged.any():
        return None
    share = float((probs[judged].argmax(axis=1) == gold[judged]).mean())
    low, high = wilson(np.array([share]), np.array([judged.sum()]))[0]
    return {"accuracy": round(share, 4), "low": round(low, 4), "high": round(high, 4), "rows": int(judged.sum())}
