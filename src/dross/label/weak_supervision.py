"""Weak supervision: labels from the votes of several fallible sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Labeler
from dross.core.paper import Paper
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.crowd import Consensus
from dross.models.label_models import MODELS, fit
from dross.models.votes import Votes, votes_of

MOST_PAIRS = 20
"""Dependent pairs named in the summary."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def source_facts(votes: Votes) -> dict[str, npt.NDArray[np.float64]]:
    """What each source's votes look like without any model, each shape (m,).

    ``votes``: on how many rows it votes; as shares of all rows, ``coverage``: on how many it votes, ``overlap``: on how
    many of those another source votes too, ``conflict``: on how many another source votes otherwise.

    >>> from dross.models.votes import from_matrix
    >>> facts = source_facts(from_matrix(np.array([[0, 1], [0, -1], [1, 1], [-1, -1]]), 2))
    >>> facts["coverage"].tolist(), facts["overlap"].tolist(), facts["conflict"].tolist()
    ([0.75, 0.5], [0.5, 0.5], [0.25, 0.25])
    """
    n, m = max(len(votes), 1), len(votes.names)
    counts, rows = votes.counts(), votes.rows
    weights = np.ones(len(rows)) if votes.weights is None else votes.weights
    cast = np.bincount(votes.annotators, weights, m).astype(np.float64)
    others = counts.sum(axis=1)[rows] - _own_total(votes, weights)
    against = counts.sum(axis=1)[rows] - counts[rows, votes.labels]
    return {
        "votes": cast,
        "coverage": cast / n,
        "overlap": np.bincount(votes.annotators, weights * (others > 0.5), m) / n,
        "conflict": np.bincount(votes.annotators, weights * (against > 0.5), m) / n,
    }


def _own_total(votes: Votes, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The weight of all votes of the same source on the same row as each vote."""
    if votes.weights is None:
        return weights
    pair = votes.rows * len(votes.names) + votes.annotators
    _, place = np.unique(pair, return_inverse=True)
    return np.bincount(place, weights)[place].astype(np.float64)


# ---- the labeler -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WeakSupervision(Labeler):
    """Labels from rules, people or models that vote, each weighed by how good it turns out to be without any truth.

    Ratner, Bach, Ehrenberg, Fries, Wu, Ré, "Snorkel: Rapid Training Data Creation with Weak Supervision", 2017. The
    models stand in :mod:`dross.models.label_models`; ``auto`` chooses one for these votes and says why, also where the
    majority vote is the honest choice and where sources are dependent. Rows on which nobody votes get no label.

    Attributes
    ----------
    model
        One of :data:`dross.models.label_models.MODELS`.
    balance
        The share of each class by its name; estimated, or taken for even, when absent.
    """

    paper: ClassVar[Paper | None] = Paper(
        "Snorkel: Rapid Training Data Creation with Weak Supervision", 2017, "1711.10160"
    )
    needs: ClassVar = (Role.VOTES,)

    model: str = "auto"
    balance: Mapping[str, float] | None = None

    def run(self, data: Dataset, signals: Signals) -> Labels | NotApplicable:
        """Fit the model to the votes; the summary tells the choice, the sources' quality, and which are dependent."""
        if self.model not in MODELS:
            raise DrossError(f"no label model is called {self.model!r}", fix=nearest(self.model, list(MODELS)))
        votes = votes_of(data, Role.VOTES)
        if not votes.classes:
            return NotApplicable("no source votes on any row")
        share = None if self.balance is None else _in_order(self.balance, votes.classes)
        belief = fit(self.model, votes, share)
        probs = belief.probs.astype(np.float32)
        probs /= probs.sum(axis=1, keepdims=True)
        probs[np.diff(votes.starts) == 0] = np.nan
        return Labels(votes.classes, probs, summary=_summary(votes, belief))


def _in_order(balance: Mapping[str, float], classes: list[Any]) -> list[float]:
    unknown = [name for name in balance if name not in classes]
    if unknown:
        raise DrossError(
            f"the class balance names {unknown[0]!r}, for which no source votes", fix=nearest(unknown[0], classes)
        )
    missing = [name for name in classes if name not in balance]
    if missing:
        raise DrossError(f"the class balance leaves out {missing[0]!r}, for which sources vote")
    return [float(balance[name]) for name in classes]


def _summary(votes: Votes, belief: Consensus) -> dict[str, Any]:
    facts = source_facts(votes)
    interval = np.full((len(votes.names), 2), np.nan) if belief.interval is None else belief.interval
    sources = [
        {
            "source": name,
            "votes": round(float(facts["votes"][j])),
            **{key: round(float(facts[key][j]), 4) for key in ("coverage", "overlap", "conflict")},
            "quality": round(float(belief.quality[j]), 4) if facts["votes"][j] > 0 else None,
            "low": round(float(interval[j, 0]), 4) if facts["votes"][j] > 0 else None,
            "high": round(float(interval[j, 1]), 4) if facts["votes"][j] > 0 else None,
        }
        for j, name in enumerate(votes.names)
    ]
    pairs = [
        {"one": votes.names[i], "other": votes.names[j], "strength": s} for i, j, s in belief.dependent[:MOST_PAIRS]
    ]
    balance = None if belief.balance is None else np.round(belief.balance, 4).tolist()
    return {
        "model": belief.model,
        "why": list(belief.why),
        "covered": round(float((np.diff(votes.starts) > 0).mean()), 4) if len(votes) else 0.0,
        "sources": sources,
        "dependent": pairs,
        "dependent_pairs": len(belief.dependent),
        "balance": None if balance is None else dict(zip(map(str, votes.classes), balance, strict=True)),
        "log_likelihood": None if belief.log_likelihood is None else round(belief.log_likelihood, 3),
    }
