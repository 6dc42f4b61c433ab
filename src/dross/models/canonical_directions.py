"""Canonical correlation: directions of two sides along which pairs agree, learnt from pairs of which some are wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Maps:
    """How both sides are brought into one space.

    Attributes
    ----------
    first, second
        Shapes (d, r) and (e, r), float64.
    centres
        The means taken off first, shapes (d,) and (e,).
    correlations
        How well pairs agree along each direction, shape (r,), descending.
    """

    first: Floats
    second: Floats
    centres: tuple[Floats, Floats]
    correlations: Floats

    def __call__(self, first: Vectors, second: Vectors) -> tuple[Vectors, Vectors]:
        """Both sides in the common space, shapes (n, r), rows of unit length (or zero)."""
        return self._side(first, 0), self._side(second, 1)

    def _side(self, vectors: Vectors, side: int) -> Vectors:
        mapped = (vectors - self.centres[side]) @ (self.first, self.second)[side]
        lengths = np.linalg.norm(mapped, axis=1, keepdims=True)
        return np.asarray(mapped / np.maximum(lengths, 1e-12), np.float32)


def canonical_maps(first: Vectors, second: Vectors, dimensions: int = 64, ridge: float = 0.1) -> Maps:
    """The directions of highest correlation (Hotelling, 1936), each scaled by the root of its correlation.

    Wrong pairs, being random, shrink all correlations alike and leave the directions where they are. ``ridge`` is added
    to the variances, in units of their mean. Takes O(n (d² + e²)).

    >>> rng = np.random.default_rng(0); X = rng.standard_normal((500, 3)).astype(np.float32)
    >>> canonical_maps(X, X[:, [2, 0, 1]] * np.float32(5), ridge=0.0).correlations.round(3).tolist()
    [1.0, 1.0, 1.0]
    """
    centres = (first.mean(axis=0, dtype=np.float64), second.mean(axis=0, dtype=np.float64))
    A, B = (np.asarray(side - centre, np.float64) for side, centre in zip((first, second), centres, strict=True))
    n = max(len(A), 1)
    white = [_whitening(X.T @ X / n, ridge) for X in (A, B)]
    U, s, Vt = np.linalg.svd(white[0].T @ (A.T @ B / n) @ white[1], full_matrices=False)
    r = min(dimensions, int((s > 1e-6 * max(s.max(initial=0.0), 1e-12)).sum()))
    root = np.sqrt(s[:r])
    return Maps(white[0] @ U[:, :r] * root, white[1] @ Vt[:r].T * root, centres, s[:r])


def _whitening(covariance: Floats, ridge: float) -> Floats:
    """W with W' (C + ridge) W = 1 on the directions that vary at all."""
    values, turn = np.linalg.eigh(covariance)
    values = values + ridge * max(float(values.mean()), 0.0)
    strong = values > 1e-9 * max(float(values.max(initial=0.0)), 1e-300)
    return np.asarray(turn[:, strong] / np.sqrt(values[strong]))
