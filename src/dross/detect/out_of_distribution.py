"""Out-of-distribution rows: those that belong to none of the known classes, by relative Mahalanobis distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import splits_of
from dross.core.statistics import outlier_score, robust_z
from dross.signals.embedding import Embedding

Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

SHRINKAGE = 0.1
"""How much of the covariance is replaced by a sphere of the same size."""
SAMPLE = 8192
"""Rows the covariance is estimated from at most; more would hardly change it."""
LEAST_PER_CLASS = 2
MOST_CLASSES = 2000
LEAST_SPREAD = 1e-3
"""Directions in which the class means spread less than this, in standard deviations of a class, are left out."""
CHUNK = 2**23


@dataclass(frozen=True)
class ClassModel:
    """Gaussian classes of one covariance, and one Gaussian for all, in the few directions where they differ.

    Attributes
    ----------
    centre
        The mean of all rows, shape (d,).
    directions
        Shape (d, r), r < classes: in them the classes have unit covariance, and all rows together a diagonal one.
    means
        The classes' means along the directions, shape (k, r).
    spread
        The variance of all rows along each direction, shape (r,), at least 1.
    counts
        Rows per class, shape (k,).
    """

    centre: Matrix
    directions: Matrix
    means: Matrix
    spread: Matrix
    counts: npt.NDArray[np.int64]


def fit_classes(X: Matrix, labels: Codes) -> ClassModel:
    """Estimate the Gaussians from rows (n, d) and class numbers (n,), 0 … k - 1, each present; -1 leaves a row out.

    Outside the span of the class means a class and the whole have the same Gaussian (up to shrinkage), and their
    distances cancel: only k - 1 directions are kept, by a singular value decomposition of the whitened means.
    """
    from scipy import linalg, sparse

    d, rows = X.shape[1], np.flatnonzero(labels >= 0)
    n, counts = len(rows), np.bincount(labels[rows])
    member = sparse.csr_matrix((np.ones(n, np.float32), (labels[rows], rows)), shape=(len(counts), len(X)))
    means = np.asarray(member @ X, np.float64) / counts[:, None]
    chosen = rows if n <= SAMPLE else rows[np.linspace(0, n - 1, SAMPLE).astype(np.int64)]
    inside = X[chosen] - means[labels[chosen]].astype(np.float32)
    covariance = (inside.T @ inside).astype(np.float64) / len(chosen)
    size = max(np.trace(covariance) / d, 1e-9 * float(np.square(means).mean()), 1e-30)  # rows may all be alike
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * size * np.eye(d)
    root = np.linalg.cholesky(covariance)
    centre = counts @ means / n
    white = linalg.solve_triangular(root, (means - centre).T, lower=True).T
    _, singular, axes = linalg.svd(white * np.sqrt(counts / n)[:, None], full_matrices=False)
    kept = singular > LEAST_SPREAD
    directions = linalg.solve_triangular(root, axes[kept].T, lower=True, trans="T")
    return ClassModel(
        centre.astype(np.float32),
        np.ascontiguousarray(directions, np.float32),
        (white @ axes[kept].T).astype(np.float32),
        (1 + singular[kept] ** 2).astype(np.float32),
        counts,
    )


def relative_distance(model: ClassModel, X: Matrix, own: Codes) -> tuple[Vector, Codes]:
    """The squared Mahalanobis distance to the nearest class less that to all rows, shape (n,), and that class.

    ``own`` is the class whose mean a row went into, shape (n,), -1 for none: towards it the distance is that to the
    mean without the row (n_c / (n_c - 1) times as long). Higher is less like any class. Ren et al., 2021, equation 3.
    Time O(n r (d + k)).
    """
    out, nearest = np.empty(len(X)), np.empty(len(X), np.int32)
    norms = np.einsum("kr,kr->k", model.means, model.means)
    longer = (model.counts / np.maximum(model.counts - 1.0, 1e-9)) ** 2
    shift = model.centre @ model.directions
    step = max(1, CHUNK // max(len(model.means), X.shape[1]))
    for i in range(0, len(X), step):
        place = X[i : i + step] @ model.directions - shift
        lengths = np.einsum("nr,nr->n", place, place)
        squares = norms - 2 * (place @ model.means.T) + lengths[:, None]
        mine = own[i : i + step]
        rows = np.flatnonzero(mine >= 0)
        squares[rows, mine[rows]] *= longer[mine[rows]]
        best = squares.argmin(axis=1)
        nearest[i : i + step] = best
        out[i : i + step] = squares[np.arange(len(best)), best] - (place**2 / model.spread).sum(axis=1)
    return out, nearest


@dataclass(frozen=True)
class OutOfDistribution(Detector):
    """Rows that belong to none of the classes: far from every class mean, compared with the distance to all rows.

    The classes are learnt from the labelled rows of the training part; every row is scored, labelled or not. The score
    is 0.5 where the relative distance lies 3.5 robust standard deviations above the median of the training rows. It
    looks only where classes differ, so it finds rows of an unknown class among ordinary looking ones; rows that are
    unlike anything are for knn-outliers.

    Ren, Fort, Liu, Roy, Padhy, Lakshminarayanan, "A Simple Fix to Mahalanobis Distance for Improving Near-OOD
    Detection", 2021. Unlike there the covariance is shrunk towards a sphere, and a row is left out of its own mean.
    """

    paper: ClassVar = Paper("A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection", 2021, "2106.09022")
    finds: ClassVar[Issue] = Issue.OUTLIER
    needs: ClassVar = (Role.LABEL, Embedding)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Score every row."""
        codes = np.where(splits_of(data).training, data.codes, -1)
        sizes = np.bincount(codes[codes >= 0], minlength=len(data.classes))
        usable = np.flatnonzero(sizes >= LEAST_PER_CLASS)
        if len(usable) < 2:
            return NotApplicable(f"fewer than two classes with at least {LEAST_PER_CLASS} training rows")
        if len(usable) > MOST_CLASSES:
            return NotApplicable(f"more than {MOST_CLASSES:,} classes")
        renumbered = np.full(len(data.classes) + 1, -1, np.int32)
        renumbered[usable] = np.arange(len(usable), dtype=np.int32)
        own = renumbered[codes]
        X = np.asarray(signals[Embedding()])
        reference = own >= 0
        model = fit_classes(X, own)
        if not model.directions.shape[1]:
            return NotApplicable("the classes have one and the same mean")
        distance, nearest = relative_distance(model, X, own)
        scores = outlier_score(robust_z(distance, distance[reference]))
        return Findings(
            Issue.OUTLIER,
            np.arange(len(data)),
            scores,
            evidence={"relative_distance": distance.astype(np.float32), "nearest_class": usable[nearest]},
            summary={
                "classes": len(usable),
                "reference_rows": int(reference.sum()),
                "out_of_distribution": int((scores >= 0.5).sum()),
            },
        )
