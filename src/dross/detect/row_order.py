"""Row order: whether near rows stand near each other in the file, and where the data changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.graph import Edges, edges_of, inside_moments
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import splits_of
from dross.signals.neighbours import Neighbours

Vector = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

LEAST_ROWS = 30
MARGIN = 0.05
"""Share of the rows at either end in which no change point is looked for: too few rows on one side."""
SIGNIFICANT = 0.01
NOTABLE = 0.95
"""Mean distance between neighbours, as a share of chance, above which a significant order is too weak to matter."""


def order_test(edges: Edges, positions: Rows) -> tuple[float, float]:
    """Whether neighbours stand nearer to each other than chance: (mean distance as a share of chance, z).

    Mantel's (1967) statistic, the sum over edges of |position - position|, with its exact mean and variance over all
    orders of the rows. ``positions`` has shape (n,): the place of each row among those that take part, from 0 on. z is
    negative where neighbours stand together. Time O(n + edges).

    >>> near = np.array([[1], [0], [3], [2], [5], [4], [7], [6]], np.int32)
    >>> share, z = order_test(edges_of(near, np.ones(8, bool)), np.arange(8))
    >>> round(share, 2), z < -2
    (0.33, True)
    """
    n = int(positions.max()) + 1
    before = np.arange(n, dtype=np.float64)
    after = before[::-1]
    distances = (before * (before + 1) + after * (after + 1)) / 2  # of each place to all others, summed
    squares = (before * (before + 1) * (2 * before + 1) + after * (after + 1) * (2 * after + 1)) / 6
    mean, square = (n + 1) / 3, n * (n + 1) / 6
    touching = float((distances**2 - squares).sum()) / (n * (n - 1.0) * (n - 2))
    everything = (n * (n - 1.0) * mean) ** 2
    apart = everything - 2 * n * (n - 1.0) * square - 4 * n * (n - 1.0) * (n - 2) * touching
    apart /= n * (n - 1.0) * (n - 2) * (n - 3)
    total = float(np.abs(positions[edges.tails] - positions[edges.heads]).sum())
    expected = mean * len(edges)
    variance = edges.over_pairs(square, touching, apart) - expected**2
    return total / expected, (total - expected) / float(np.sqrt(max(variance, 1e-12)))


def change_point(edges: Edges, positions: Rows) -> tuple[int, float]:
    """The place before which and after which rows differ most, and how much: (place, z).

    The graph-based scan of Chen and Zhang (2015): the number of edges that cross each place, compared with its mean
    and variance over all orders of the rows. Time O(n + edges).

    >>> near = np.concatenate([(np.arange(60) + 7) % 60, 60 + (np.arange(40) + 7) % 40])[:, None].astype(np.int32)
    >>> change_point(edges_of(near, np.ones(100, bool)), np.arange(100))[0]
    60
    """
    n = int(positions.max()) + 1
    a, b = positions[edges.tails], positions[edges.heads]
    starts = np.bincount(np.minimum(a, b), minlength=n) - np.bincount(np.maximum(a, b), minlength=n)
    margin = max(2, int(MARGIN * n))
    place = np.arange(margin, n - margin + 1)
    crossing = np.cumsum(starts)[place - 1]
    mean, variance = inside_moments(edges, [place, n - place])
    z = (len(edges) - crossing - mean) / np.sqrt(np.maximum(variance, 1e-12))
    best = int(np.argmax(z))
    return int(place[best]), float(z[best])


def label_runs(codes: npt.NDArray[np.int32]) -> tuple[float, float, float]:
    """Whether equal labels follow each other: (share of equal pairs, share expected, z); no label is below 0.

    The join count along the rows, shape (n,), with its exact mean and variance over all orders.

    >>> share, expected, z = label_runs(np.repeat([0, 1], 20).astype(np.int32))
    >>> round(share, 2), round(expected, 2), z > 5
    (0.97, 0.49, True)
    """
    n = len(codes)
    path = Edges(np.arange(n - 1), np.arange(1, n), 0, 2.0 * (n - 2))
    mean, variance = inside_moments(path, np.bincount(codes))
    equal = float((codes[1:] == codes[:-1]).sum())
    z = (equal - float(mean)) / float(np.sqrt(max(float(variance), 1e-12)))
    return equal / (n - 1), float(mean) / (n - 1), z


@dataclass(frozen=True)
class RowOrder(Detector):
    """Whether the order of the (training) rows carries information: drift, sorting, batches, copies side by side.

    Neighbouring rows of data drawn independently stand anywhere in the file. The test is exact in its mean and
    variance and sees trends and blocks, not cycles. It names no rows; the summary says how strong the order is, and
    where the data changes most.

    Statistic: Mantel, "The Detection of Disease Clustering and a Generalized Regression Approach", 1967; change
    point: Chen and Zhang, "Graph-based Change-point Detection", 2015; idea: Cummings et al., "Detecting Dataset Drift
    and Non-IID Sampling via k-Nearest Neighbors", 2023.
    """

    paper: ClassVar = Paper("Detecting Dataset Drift and Non-IID Sampling via k-Nearest Neighbors", 2023, "2305.15696")
    finds: ClassVar[Issue] = Issue.ORDER
    needs: ClassVar = (Neighbours,)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Test the order of the training rows, and of their labels where there are any."""
        if not data.content:
            return NotApplicable("no column holds content: no text, image, feature or embedding")
        chosen = splits_of(data).training
        if chosen.sum() < LEAST_ROWS:
            return NotApplicable(f"fewer than {LEAST_ROWS} rows")
        edges = edges_of(signals[Neighbours()].indices, chosen)
        if not len(edges):
            return NotApplicable("no row has a neighbour")
        return Findings.none(Issue.ORDER, **_order_facts(edges, chosen), **_label_facts(data, chosen))


def _order_facts(edges: Edges, chosen: npt.NDArray[np.bool_]) -> dict[str, Any]:
    from scipy.special import ndtr

    share, z = order_test(edges, np.cumsum(chosen) - 1)
    facts: dict[str, Any] = {"rows": int(chosen.sum()), "neighbour_distance": share, "z": z, "p": float(ndtr(z))}
    facts["ordered"] = bool(facts["p"] < SIGNIFICANT and share < NOTABLE)
    if facts["ordered"]:
        place, strength = change_point(edges, np.cumsum(chosen) - 1)
        facts |= {"change_point": int(np.flatnonzero(chosen)[place]), "change_z": strength}
    return facts


def _label_facts(data: Dataset, chosen: npt.NDArray[np.bool_]) -> dict[str, Any]:
    from scipy.special import ndtr

    if not data.has(Role.LABEL):
        return {}
    codes = data.codes[chosen & (data.codes >= 0)]
    if len(codes) < LEAST_ROWS or len(np.unique(codes)) < 2:
        return {}
    share, expected, z = label_runs(codes)
    p = float(ndtr(-z))
    sorted_by_label = bool(p < SIGNIFICANT and share - expected > 0.1 * (1 - expected))
    return {"equal_labels_in_a_row": share, "expected_by_chance": expected, "label_p": p, "by_label": sorted_by_label}
