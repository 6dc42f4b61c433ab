"""Latent label shift: classes nobody has labelled, found because their shares differ from domain to domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Codes, Dataset
from dross.core.errors import DrossError
from dross.core.method import Labeler
from dross.core.paper import Paper
from dross.core.results import Labels, NotApplicable
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signals
from dross.signals.principal import Principal
from dross.signals.probabilities import Probabilities

Values = npt.NDArray[np.float64]
Shares = npt.NDArray[np.float64]

LEAST_PER_DOMAIN = 10
MOST_CLASSES = 12
"""The largest number of classes that is tried where none is given."""
STEPS, PROJECTIONS = 300, 100
_LEAST = 1e-12
_SMOOTH = 0.02
"""The share of a uniform distribution mixed into one that is judged on rows it has not seen."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def factorise(counts: Values, k: int, rng: np.random.Generator, starts: int) -> tuple[Shares, Shares, float]:
    """Each domain's distribution over clusters as a mixture of k distributions that all domains share.

    Non-negative factorisation of the counts (m, r) by expectation-maximisation for the Kullback-Leibler divergence
    (probabilistic latent semantic analysis), the best of several starts. Returns p(cluster | class), (m, k),
    p(class | domain), (k, r), both with columns that add up to one, and the log-likelihood. O(m k r) per step.

    >>> parts = factorise(np.array([[9.0, 0.0], [0.0, 9.0]]), 2, np.random.default_rng(0), 3)
    >>> np.sort(parts[1], axis=0).round(2).tolist(), round(parts[2], 2)
    ([[0.0, 0.0], [1.0, 1.0]], 0.0)
    """
    m, r = counts.shape
    best: tuple[Shares, Shares, float] | None = None
    for _ in range(starts):
        W, H = rng.dirichlet(np.ones(m), k).T, rng.dirichlet(np.ones(k), r).T
        for _ in range(STEPS):
            ratio = counts / np.maximum(W @ H, _LEAST)
            W, H = W * (ratio @ H.T), H * (W.T @ ratio)
            W, H = W / np.maximum(W.sum(axis=0), _LEAST), H / np.maximum(H.sum(axis=0), _LEAST)
        likelihood = float((counts * np.log(np.maximum(W @ H, _LEAST))).sum())
        if best is None or likelihood > best[2]:
            best = W, H, likelihood
    assert best is not None, "at least one start"
    return best


def how_many(clusters: Codes, domains: Codes, shape: tuple[int, int], rng: np.random.Generator) -> list[float]:
    """How well 1, 2, … classes fitted to half of the rows predict the clusters of the other half, log-likelihoods.

    Rows are split at random; each half judges the other. As many numbers as there can be classes: the least of
    clusters, domains and ``MOST_CLASSES``.
    """
    half = rng.random(len(clusters)) < 0.5
    first, second = table(clusters[half], domains[half], shape), table(clusters[~half], domains[~half], shape)
    found = []
    for k in range(1, min(*shape, MOST_CLASSES) + 1):
        total = 0.0
        for fitted, judged in ((first, second), (second, first)):
            W, H, _ = factorise(fitted, k, rng, 4)
            said = (1 - _SMOOTH) * (W @ H) + _SMOOTH / shape[0]
            total += float((judged * np.log(said / said.sum(axis=0))).sum())
        found.append(total)
    return found


def table(clusters: Codes, domains: Codes, shape: tuple[int, int]) -> Values:
    """How many rows of each domain fall into each cluster.

    >>> table(np.array([0, 1, 1]), np.array([0, 0, 1]), (2, 2)).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    counts = np.zeros(shape)
    np.add.at(counts, (clusters, domains), 1)
    return counts


def unmix(discriminator: Values, by_class: Shares) -> Shares:
    """The class chances p(y | x) whose mixture of p(d | y) is nearest to what the discriminator says, shape (n, k).

    ``discriminator`` is p(d | x), (n, r); ``by_class`` is p(d | y), (r, k). Nearest in Kullback-Leibler divergence, by
    expectation-maximisation. O(n r k) per step.

    >>> unmix(np.array([[0.8, 0.2], [0.1, 0.9]]), np.array([[0.8, 0.1], [0.2, 0.9]])).round(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    chances = np.full((len(discriminator), by_class.shape[1]), 1 / by_class.shape[1])
    for _ in range(PROJECTIONS):
        chances *= (discriminator / np.maximum(chances @ by_class.T, _LEAST)) @ by_class
        chances /= np.maximum(chances.sum(axis=1, keepdims=True), _LEAST)
    return chances


def adapt(chances: Shares, domains: Codes, r: int) -> tuple[Shares, Shares]:
    """p_d(y | x) of each row in its own domain, (n, k), and the p_d(y) it follows from, (r, k), by Bayes' rule.

    p_d(y) is the mean of p(y | x) over the domain's rows, which is steadier in small domains than the factor.

    >>> adapt(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0]), 1)[0].round(3).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    size = np.maximum(np.bincount(domains, minlength=r), 1)
    within = np.stack([np.bincount(domains, column, r) / size for column in chances.T], axis=1)
    overall = np.maximum(chances.mean(axis=0), _LEAST)
    adapted = chances * within[domains] / overall
    total = adapted.sum(axis=1, keepdims=True)
    return np.where(total > _LEAST, adapted / np.maximum(total, _LEAST), chances), within


# ---- the labeler -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LatentLabelShift(Labeler):
    """Classes without any label: rows whose share rises and falls together over the domains belong together.

    Roberts, Mani, Garg, Lipton, "Unsupervised Learning under Latent Label Shift", 2022 (their algorithm DDFA): a model
    tells domains apart from the content; its outputs are clustered; the table of clusters by domains is factorised into
    classes; and the factor p(domain | class) turns the outputs into class chances, adapted to each row's domain.

    The content may mislead as it likes (backgrounds, styles) as long as a class looks the same in all domains. The
    other way round it gains nothing: where the domains have nearly the same mix, plain clustering of the content is
    better, and the summary says how far the domains could be told apart. The classes found have no names.

    Attributes
    ----------
    classes
        How many classes there are; 0 takes the number that best predicts held-out rows.
    clusters
        Into how many cells the discriminator's outputs are cut; 0 for twice the classes, at least 15 (or, in small
        data, one for each 20 rows).
    starts
        Random starts of the factorisation, of which the likeliest counts.
    seed
        Of the random numbers.
    """

    paper: ClassVar = Paper("Unsupervised Learning under Latent Label Shift", 2022, "2207.13179")
    alias: ClassVar = "ddfa"
    needs: ClassVar = (Role.DOMAIN, Principal)

    classes: int = 0
    clusters: int = 0
    starts: int = 20
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Labels | NotApplicable:
        """The chance of each latent class on each row that has a domain; other rows get none."""
        if min(self.classes, self.clusters) < 0 or self.starts < 1:
            raise DrossError("classes and clusters must be at least 0, starts at least 1")
        by_domain = with_domains_as_labels(data)
        domains, names = by_domain.codes, by_domain.classes
        rows, r = np.flatnonzero(domains >= 0), len(names)
        if r < 2 or r < self.classes:
            return NotApplicable(f"{r} domains cannot tell {max(self.classes, 2)} classes apart: there must be as many")
        if len(rows) < LEAST_PER_DOMAIN * r:
            return NotApplicable(f"{len(rows)} rows are too few for {r} domains: {LEAST_PER_DOMAIN} each are needed")
        rng, own = np.random.default_rng(self.seed), domains[rows]
        said = np.asarray(signals.derive(by_domain)[Probabilities()], np.float64)[rows]
        cells = self.clusters or max(2, min(max(2 * self.classes, 15), len(rows) // 20))
        clusters = cluster(said, cells, self.seed)
        shape = (int(clusters.max()) + 1, r)
        k, fits = self.classes, None
        if k == 0:
            fits = how_many(clusters, own, shape, rng)
            k = int(np.argmax(fits)) + 1
            if k == 1:
                return NotApplicable("the domains do not differ in their mix of classes: one class explains them all")
        _, mix, _ = factorise(table(clusters, own, shape), k, rng, self.starts)
        joint = mix * (np.bincount(own, minlength=r) / len(own))
        chances, within = adapt(unmix(said, (joint / np.maximum(joint.sum(axis=1, keepdims=True), _LEAST)).T), own, r)
        probs = np.full((len(data), k), np.nan, np.float32)
        probs[rows] = chances
        return Labels([f"class {c + 1}" for c in range(k)], probs, summary=_summary(said, own, names, within, fits))


def with_domains_as_labels(data: Dataset) -> Dataset:
    """The same rows and content, with the domain in the place of the label."""
    column = data.column(Role.DOMAIN)
    text = pa.chunked_array(column).cast(pa.string())
    roles = {role: columns for role, columns in data.roles.items() if role in CONTENT}
    name = "__domain__"
    return Dataset(data.table.append_column(name, text), {**roles, Role.LABEL: [name]}, row_ids=data.row_ids)


def cluster(said: Values, cells: int, seed: int) -> Codes:
    """K-means of the discriminator's outputs, in the metric of square roots (Hellinger), shape (n,)."""
    from sklearn.cluster import KMeans

    roots = np.sqrt(said)
    cells = min(cells, len(np.unique(roots.round(6), axis=0)))
    return np.asarray(KMeans(cells, n_init=5, random_state=seed).fit(roots).labels_, np.int32)


def _summary(said: Values, own: Codes, names: list[Any], within: Shares, fits: list[float] | None) -> dict[str, Any]:
    largest = np.bincount(own).max() / len(own)
    return {
        "domain_accuracy": round(float((said.argmax(axis=1) == own).mean()), 4),
        "domain_accuracy_by_chance": round(float(largest), 4),
        "shares": {str(name): np.round(row, 4).tolist() for name, row in zip(names, within, strict=True)},
        "fit_by_number_of_classes": None if fits is None else [round(value, 2) for value in fits],
    }
