"""kMQ with iterative refinement: a budget spread over clusters, and moved round by round to those that teach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.compiled import threads
from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Rows, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import splits_of
from dross.signals.embedding import Embedding
from dross.signals.probabilities import Probabilities
from dross.signals.sampling import row_keys

Vectors = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

BLOCK = 32_768
USUAL, PER_CLUSTER = 100, 8
"""Clusters where none are asked for: one for 8 rows to take, at most 100."""
MODEL = "kernel ridge"
"""What learns from the rows taken: quick, and good on few rows."""
LEAST_CHANCE = 1e-4
"""Below which a chance is counted as this."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def clusters_of(X: Vectors, count: int, seed: int) -> Codes:
    """The k-means cluster of each row, shape (n,), in [0, count). O(n count d).

    >>> found = clusters_of(np.array([[0.0], [0.1], [9.0], [9.1]], np.float32), 2, 0)
    >>> bool(found[0] == found[1] != found[2] == found[3])
    True
    """
    import faiss

    faiss.omp_set_num_threads(threads())
    X = np.ascontiguousarray(X, np.float32)
    means = faiss.Kmeans(
        X.shape[1], min(count, len(X)), niter=25, seed=seed, min_points_per_centroid=1, max_points_per_centroid=256
    )
    means.train(X)
    centres = np.asarray(means.centroids, np.float32)
    half = 0.5 * np.square(centres).sum(axis=1)
    starts = range(0, len(X), BLOCK)
    return np.concatenate([(X[i : i + BLOCK] @ centres.T - half).argmax(axis=1) for i in starts])


def quotas(weights: Values, left: Codes, budget: int) -> Codes:
    """How many rows to take of each cluster, shape (k,): in proportion to its weight, as far as it has any left.

    What a cluster cannot give is divided among the others; fractions go to the largest remainders.

    >>> quotas(np.array([0.5, 0.25, 0.25]), np.array([10, 10, 1]), 8).tolist()
    [5, 2, 1]
    """
    budget = min(budget, int(left.sum()))
    worth = weights if (weights[left > 0] > 0).all() else weights + 1e-12
    full = left == 0
    while True:
        rest = np.where(full, 0.0, worth)
        share = (budget - left[full].sum()) * rest / max(float(rest.sum()), 1e-300)
        over = ~full & (share >= left)
        if not over.any():
            break
        full |= over
    taken = np.where(full, left, np.floor(share + 1e-9).astype(np.int64))
    remainder = np.where(full, -1.0, share - taken)
    taken[np.argsort(-remainder, kind="stable")[: budget - int(taken.sum())]] += 1
    return taken


def gains(chances: Values, codes: Codes) -> Values:
    """How much likelier a row's label is to a model that learnt from other rows than the label's frequency, in nats.

    ``chances`` are those of the given labels, shape (n,), ``codes`` the labels, shape (n,), numbers from 0.

    >>> gains(np.array([1.0, 1.0, 0.75, 0.1]), np.array([0, 1, 1, 1])).round(4).tolist()
    [1.3863, 0.2877, 0.0, -2.0149]
    """
    shares = np.bincount(codes) / len(codes)
    return np.asarray(np.log(np.maximum(chances, LEAST_CHANCE)) - np.log(shares[codes]))


def refined(weights: Values, scores: Values, clusters: Codes) -> Values:
    """The new weight of each cluster, shape (k,), adding up to 1: the old one times exp of the mean score of its rows.

    A cluster of which nothing was scored counts as if its rows had the mean of all scores.

    >>> refined(np.array([0.5, 0.5]), np.array([0.0, 0.0, np.log(3.0)]), np.array([0, 0, 1])).round(2).tolist()
    [0.25, 0.75]
    """
    k = len(weights)
    count = np.bincount(clusters, minlength=k)
    mean = np.bincount(clusters, scores, minlength=k) / np.maximum(count, 1)
    worth = weights * np.exp(np.where(count > 0, mean, scores.mean()))
    return np.asarray(worth / worth.sum())


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KMQIterative(Selector):
    """Rows from all clusters of the data, in rounds; each moves the budget to the clusters that a model learns from.

    Yu, Chen, Ahmadian, Fadaee, "Diversify and Conquer: Diversity-Centric Data Selection with Iterative Refinement",
    2024. The rows are clustered by k-means, and the first round takes equally many of each cluster. After each round a
    model learns from what was taken, and each row taken is scored by how likely its label is to a model that has not
    seen the row; the weight of each cluster is multiplied by the exponential of its rows' mean score. Clusters of wrong
    labels, or of content that goes with no label, get little of what is left of the budget. Rows come in the order of
    the rounds.

    The paper scores the answers of a language model by a reward model; here the label is the answer, and the gain in
    its likelihood over its frequency the reward. Without labels, ``quality`` is the score; without both
    the budget is spread evenly over the clusters.

    Attributes
    ----------
    count
        How many rows to take.
    rounds
        Over how many rounds; 1 only spreads the budget evenly over the clusters.
    clusters
        How many; 0: one for eight rows to take, at most 100.
    quality
        A column of numbers above 0: of a cluster, rows are drawn in proportion to it. Empty: all alike.
    seed
        Of the clusters and the draws.
    """

    paper: ClassVar = Paper(
        "Diversify and Conquer: Diversity-Centric Data Selection with Iterative Refinement", 2024, "2409.11378"
    )
    needs: ClassVar = (Embedding,)

    count: int = 100
    rounds: int = 6
    clusters: int = 0
    quality: str = ""
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Cluster, take, score, weigh anew."""
        least = {"count": 1, "rounds": 1, "clusters": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise DrossError(f"{name} is {getattr(self, name)}", fix=f"give {bound} or more")
        quality = self._quality(data)
        pool = np.flatnonzero(splits_of(data).training & self._known(data))
        if not len(pool):
            return NotApplicable("no row of the training part has a label")
        X = np.asarray(signals[Embedding()][pool], np.float32)
        if not np.isfinite(X).all():
            raise DrossError("some embeddings are not numbers", where=f"row {pool[(~np.isfinite(X)).any(axis=1)][0]}")
        k = min(self.clusters or int(np.clip(self.count // PER_CLUSTER, 2, USUAL)), len(pool))
        cluster = clusters_of(X, k, self.seed)
        keys = row_keys(data, list(data.roles), self.seed)[pool].astype(np.float64)
        turns = -np.log((keys + 1) / 2.0**64) / quality[pool]  # the least of these is drawn in proportion to quality
        taken, weights, told = self._rounds(data, pool, cluster, turns, quality, k, signals)
        summary = {
            "candidates": len(pool),
            "clusters": k,
            "scored_by": "the given labels" if self._labelled(data) else self.quality or "nothing",
            "rows_of_rounds": told,
            "largest_weight": round(float(weights.max()), 6),
            "smallest_weight": round(float(weights.min()), 6),
        }
        return Selection(pool[taken], summary=summary)

    def _rounds(
        self,
        data: Dataset,
        pool: Rows,
        cluster: Codes,
        turns: Values,
        quality: Values,
        k: int,
        signals: Signals,
    ) -> tuple[Rows, Values, list[int]]:
        """Positions in the pool in the order taken, the last weights of the clusters, and the size of each round."""
        weights = np.full(k, 1 / k)
        order = np.lexsort((turns, cluster))
        starts = np.concatenate([[0], np.cumsum(np.bincount(cluster, minlength=k))])
        used = np.zeros(k, np.int64)
        taken, sizes = np.empty(0, np.int64), []
        most = min(self.count, len(pool))
        for i in range(self.rounds):
            budget = most * (i + 1) // self.rounds - most * i // self.rounds
            given = quotas(weights, np.diff(starts) - used, budget)
            new = [order[starts[c] + used[c] : starts[c] + used[c] + given[c]] for c in range(k)]
            used += given
            fresh = np.concatenate(new)
            taken = np.concatenate([taken, fresh[np.argsort(turns[fresh], kind="stable")]])
            sizes.append(int(given.sum()))
            signals.progress("rows taken", len(taken), most)
            if i + 1 < self.rounds:
                scores = self._scores(data, pool[taken], quality)
                weights = weights if scores is None else refined(weights, scores, cluster[taken])
        return taken, weights, sizes

    def _scores(self, data: Dataset, rows: Rows, quality: Values) -> Values | None:
        """What each row taken is worth, shape (m,); None where nothing says so."""
        if not self._labelled(data):
            return np.log(quality[rows]) if self.quality else None
        chosen = data.take(rows)
        if len(chosen.classes) < 2 or np.bincount(chosen.codes).min() < 2:
            common = np.bincount(chosen.codes) >= 2
            if common.sum() < 2:
                return None
            kept = np.flatnonzero(common[chosen.codes])
            scores = np.full(len(rows), np.nan)
            scores[kept] = self._chances(chosen.take(kept))
            return np.where(np.isnan(scores), np.nanmean(scores), scores)
        return self._chances(chosen)

    def _chances(self, chosen: Dataset) -> Values:
        probs: Any = np.asarray(Signals(chosen)[Probabilities(MODEL, seed=self.seed)], np.float64)
        codes = chosen.codes.astype(np.int64)
        return gains(probs[np.arange(len(chosen)), codes], codes)

    def _quality(self, data: Dataset) -> Values:
        if not self.quality:
            return np.ones(len(data))
        if self.quality not in data.table.column_names:
            raise DrossError(
                f"no column {self.quality!r} for the quality", fix=nearest(self.quality, data.table.column_names)
            )
        values = data.numbers(self.quality)
        bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if len(bad):
            where = f"column {self.quality!r}, row {int(bad[0])}"
            raise DrossError(f"{len(bad)} rows have no quality above 0", where=where, fix="give each row one")
        return values

    @staticmethod
    def _labelled(data: Dataset) -> bool:
        return data.has(Role.LABEL) and len(data.classes) > 1

    def _known(self, data: Dataset) -> npt.NDArray[np.bool_]:
        return data.codes >= 0 if self._labelled(data) else np.ones(len(data), bool)
