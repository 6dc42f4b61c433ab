"""Calibration sets: of many candidate answers to each example, the few whose ranking teaches a model most."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import shuffled
from dross.signals.embedding import Embedding

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
STRATEGIES = (
    "max-margin-min-surprise", "max-margin", "min-margin", "min-surprise", "max-surprise", "max-diversity",
    "min-diversity", "likely-negatives", "random",
)  # fmt: skip
_WORK = 1 << 22
"""Numbers in memory at a time."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


@cache
def subsets(n: int, k: int, most: int = 5000) -> Rows:
    """Subsets of k of n positions, shape (m, k), each ascending: all of them, or ``most`` random ones where more are.

    >>> subsets(4, 2).tolist()
    [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    """
    if math.comb(n, k) <= most:
        return np.array(list(itertools.combinations(range(n), k)), np.int64).reshape(-1, k)
    keys = np.random.default_rng((n, k)).random((most, n))
    return np.unique(np.sort(np.argpartition(keys, k - 1, axis=1)[:, :k], axis=1), axis=0)


def margins(metrics: Values) -> Values:
    """The mean gap between neighbours in the ranking of candidates by a metric, over the last axis.

    >>> margins(np.array([[0.5, 0.1, 0.9]])).round(3).tolist()
    [0.4]
    """
    gaps = np.ptp(metrics, axis=-1) / max(metrics.shape[-1] - 1, 1)
    return np.asarray(gaps, np.float64)


def surprises(metrics: Values, likelihoods: Values) -> Values:
    """How much the ranking by a metric disagrees with the model's own, over the last axis: minus Spearman's rho.

    Ties are broken by position.

    >>> surprises(np.array([[1.0, 2.0, 3.0]] * 2), np.array([[0.1, 0.2, 0.9], [3.0, 2.0, 1.0]])).tolist()
    [-1.0, 1.0]
    """
    k = metrics.shape[-1]
    one, other = (np.argsort(np.argsort(v, axis=-1, kind="stable"), axis=-1) for v in (metrics, likelihoods))
    away = np.square(one - other).sum(axis=-1)
    return np.asarray(6 * away / max(k * (k * k - 1), 1) - 1, np.float64)


def diversities(alike: Values, sets: Rows) -> Values:
    """The mean of one less the similarity over the pairs of each subset, shape (g, m); ``alike`` is (g, n, n).

    >>> diversities(np.array([[[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]]), subsets(3, 2)).tolist()
    [[0.5, 1.0, 1.0]]
    """
    pairs = list(itertools.combinations(range(sets.shape[1]), 2))
    total = sum(alike[:, sets[:, i], sets[:, j]] for i, j in pairs)
    return np.asarray(1 - total / max(len(pairs), 1), np.float64)


def standing(values: Values) -> Values:
    """Values of each example's subsets, shape (g, m), less their mean, over their spread (0 where all are equal).

    >>> standing(np.array([[1.0, 3.0], [2.0, 2.0]])).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    spread = values.std(axis=1, keepdims=True)
    away = values - values.mean(axis=1, keepdims=True)
    return np.asarray(np.divide(away, spread, out=np.zeros_like(away), where=spread > 1e-12))


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CalibrationSetSelection(Selector):
    """A few of the candidate answers to each example, to train a model to rank them as a metric does.

    Adams, Nguyen, Smith, Xia, Xie, Ostropolets, Deb, Chen, Naumann, Elhadad, "What are the Desired Characteristics of
    Calibration Sets? Identifying Correlates on Long Form Scientific Summarization", 2023. Models are calibrated by
    ranking candidates; which few of a large pool are ranked matters. For relevance the paper found that the margin by
    the metric should be large and the surprise (the disagreement of the model's own ranking with the metric's) small:
    what is both is the default here. For faithfulness negatives should be extractive and likely under the model:
    ``likely-negatives``.

    Rows are candidates; those of one example share the group. Examples with too few candidates are left out. Chosen
    rows stand example by example, the best candidate of each first.

    Attributes
    ----------
    per_example
        Candidates to keep for each example, 2 or more.
    strategy
        One of :data:`STRATEGIES`.
    metric
        The column of numbers that says how good a candidate is, higher is better; empty takes the role target.
    likelihood
        The column that says how likely the model finds it (a log-likelihood, or minus the beam's rank).
    extractiveness
        For ``likely-negatives``: a column that says how much of the candidate is copied from the source; empty ignores
        it.
    most
        Subsets that are looked at for each example, random ones where there are more.
    seed
        Of the strategy ``random``.
    """

    paper: ClassVar = Paper(
        "What are the Desired Characteristics of Calibration Sets? Identifying Correlates on Long Form Scientific "
        "Summarization",
        2023,
        "2305.07615",
    )
    needs: ClassVar = (Role.GROUP,)

    per_example: int = 4
    strategy: str = "max-margin-min-surprise"
    metric: str = ""
    likelihood: str = "likelihood"
    extractiveness: str = ""
    most: int = 5000
    seed: int = 0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where candidates have a group, a metric and what else the strategy asks for."""
        missing = super().applies(data)
        if missing is None and not self.metric and not data.has(Role.TARGET):
            return NotApplicable("needs a metric of each candidate: a column with the role target, or metric=COLUMN")
        if missing is None and self._asks_likelihood and self.likelihood not in data.table.column_names:
            return NotApplicable(f"{self.strategy} needs how likely each candidate is: likelihood=COLUMN")
        if missing is None and "diversity" in self.strategy and not data.content:
            return NotApplicable("diversity needs content: a text, or another column that can be embedded")
        return missing

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Choose for all examples with as many candidates together."""
        self._check(data)
        missing = self.applies(data)
        if missing is not None:
            return missing
        metrics = data.numbers(self.metric) if self.metric else data.target
        likely = data.numbers(self.likelihood) if self._asks_likelihood else np.zeros(len(data))
        copied = data.numbers(self.extractiveness) if self.extractiveness else np.zeros(len(data))
        columns = np.stack([metrics, likely, copied])
        vectors = np.asarray(signals[Embedding()], np.float64) if "diversity" in self.strategy else None
        order = shuffled(data, self.seed)
        order = order[np.isfinite(columns[:, order]).all(axis=0)]
        found = [self._chosen(rows, columns, vectors) for rows in self._examples(data, order)]
        chosen = np.concatenate(found) if found else np.empty((0, self.per_example), np.int64)
        if not len(chosen):
            return NotApplicable(f"no example has {self.per_example} candidates with all numbers")
        chosen = chosen[np.argsort(data.row_ids[chosen].min(axis=1), kind="stable")]
        summary = {
            "examples": len(chosen),
            "candidates": len(order),
            "kept": chosen.size,
            "mean_margin": round(float(margins(metrics[chosen]).mean()), 6),
            "mean_surprise": round(float(surprises(metrics[chosen], likely[chosen]).mean()), 4)
            if self._asks_likelihood
            else None,
        }
        return Selection(chosen.ravel(), None, summary)

    def _examples(self, data: Dataset, order: Rows) -> list[Rows]:
        """The rows of the examples that have as many candidates, shape (g, n), for each number that is enough."""
        hashes = data.hashes(data.name_of(Role.GROUP))[order]
        by_group = np.argsort(hashes, kind="stable")
        starts = np.flatnonzero(np.diff(hashes[by_group], prepend=hashes[by_group][:1] ^ np.uint64(1)))
        sizes = np.diff(np.append(starts, len(order)))
        return [
            order[by_group[starts[sizes == n][:, None] + np.arange(n)]]
            for n in np.unique(sizes).tolist()
            if n >= self.per_example
        ]

    def _chosen(self, rows: Rows, columns: Values, vectors: Values | None) -> Rows:
        """The kept rows of each example, best metric first, shape (g, k)."""
        n, k = rows.shape[1], self.per_example
        sets = subsets(n, k, self.most)
        out = np.empty((len(rows), k), np.int64)
        together = max(1, _WORK // (sets.size + n * n))
        for start in range(0, len(rows), together):
            part = rows[start : start + together]
            metrics, likely, copied = columns[:, part]
            if self.strategy == "likely-negatives":
                picked = self._likely_negatives(metrics, likely, copied)
            elif self.strategy == "random":
                picked = np.tile(np.arange(k), (len(part), 1))  # rows come in random order
            else:
                worth = self._worth(metrics, likely, None if vectors is None else vectors[part], sets)
                picked = sets[worth.argmax(axis=1)]
            best = np.argsort(-np.take_along_axis(metrics, picked, axis=1), axis=1, kind="stable")
            out[start : start + together] = np.take_along_axis(part, np.take_along_axis(picked, best, axis=1), axis=1)
        return out

    def _worth(self, metrics: Values, likely: Values, vectors: Values | None, sets: Rows) -> Values:
        """What the strategy brings up, for each subset of each example, shape (g, m)."""
        if vectors is not None:
            found = diversities(vectors @ vectors.transpose(0, 2, 1), sets)
            return found if self.strategy == "max-diversity" else -found
        margin = margins(metrics[:, sets]) if "margin" in self.strategy else np.zeros((len(metrics), len(sets)))
        if not self._asks_likelihood:
            return margin if self.strategy == "max-margin" else -margin
        surprise = surprises(metrics[:, sets], likely[:, sets])
        if self.strategy == "max-surprise":
            return surprise
        return standing(margin) - standing(surprise)

    def _likely_negatives(self, metrics: Values, likely: Values, copied: Values) -> Rows:
        """The best half by the metric, and of the worse half of the candidates the likeliest, most extractive ones."""
        k, n = self.per_example, metrics.shape[1]
        by_metric = np.argsort(-metrics, axis=1, kind="stable")
        positives, worse = by_metric[:, : k - k // 2], by_metric[:, max(k - k // 2, n - max(n // 2, k // 2)) :]
        pull = standing(np.take_along_axis(likely, worse, axis=1)) + standing(np.take_along_axis(copied, worse, axis=1))
        hard = np.argsort(-pull, axis=1, kind="stable")[:, : k // 2]
        return np.concatenate([positives, np.take_along_axis(worse, hard, axis=1)], axis=1)

    @property
    def _asks_likelihood(self) -> bool:
        return "surprise" in self.strategy or self.strategy == "likely-negatives"

    def _check(self, data: Dataset) -> None:
        if self.strategy not in STRATEGIES:
            raise DrossError(f"no strategy is called {self.strategy!r}", fix=nearest(self.strategy, list(STRATEGIES)))
        if self.per_example < 2 or self.most < 1:
            told = f"per_example is {self.per_example}, most {self.most}"
            raise DrossError(told, fix="give at least 2 candidates for each example, and 1 subset")
        asked: dict[str, Any] = {"metric": self.metric, "extractiveness": self.extractiveness}
        for field, name in asked.items():
            if name and name not in data.table.column_names:
                raise DrossError(f"no column {name!r} for {field}", fix=nearest(name, data.table.column_names))
