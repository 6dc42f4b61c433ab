"""The embedding map: a sample of the rows laid out in two dimensions so that near neighbours stay near."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from dross.report.charts import WIDTH, cut_label, svg

MOST_POINTS = 3000
FEW = 800
EPOCHS = 250
NEIGHBOURS = 12
PUSH = np.float32(15)
PALETTE = 10
Points = npt.NDArray[np.float32]


def sample(n: int, flagged: npt.NDArray[np.int64], seed: int = 0) -> npt.NDArray[np.int64]:
    """Which rows to draw: at most a third flagged ones, the rest at random; ascending.

    >>> sample(5, np.array([3])).tolist()
    [0, 1, 2, 3, 4]
    """
    if n <= MOST_POINTS:
        return np.arange(n)
    rng = np.random.default_rng(seed)
    some = flagged if len(flagged) <= MOST_POINTS // 3 else rng.choice(flagged, MOST_POINTS // 3, replace=False)
    others = rng.choice(n, MOST_POINTS, replace=False)
    others = others[~np.isin(others, flagged)]
    return np.sort(np.concatenate([some, others[: MOST_POINTS - len(some)]]))


def layout(X: npt.NDArray[np.float32], seed: int = 0) -> Points:
    """Two coordinates per row in [0, 1], shape (n, 2).

    The first two principal components, then a neighbour embedding: each row is pulled to its nearest rows and pushed
    from random ones with the forces of UMAP (McInnes, Healy, Melville, 2018, section 3.2, a = b = 1). O(n squared) time
    for the neighbours, found in chunks, so give it a sample. Distances between far groups mean little.
    """
    n = len(X)
    X = X - X.mean(axis=0)
    if n < 3 or not np.any(X):
        return np.full((n, 2), 0.5, np.float32)
    start = _principal(X)
    if n <= 3 * NEIGHBOURS:
        return _unit(start)
    near = nearest(X, NEIGHBOURS)
    rng = np.random.default_rng(seed)
    Y = start / max(float(start.std()), 1e-9) * 4
    Y += rng.normal(scale=1e-3, size=Y.shape).astype(np.float32)
    for epoch in range(EPOCHS):
        rate = np.float32(0.5 * (1 - epoch / EPOCHS))
        toward = Y[:, None] - Y[near]
        pull = toward * (-2 / (1 + np.sum(toward**2, axis=2, keepdims=True)))
        away = Y[:, None] - Y[rng.integers(0, n, (n, 2 * NEIGHBOURS))]
        square = np.sum(away**2, axis=2, keepdims=True)
        push = away * (2 / ((0.1 + square) * (1 + square)))
        Y = Y + rate * (np.clip(pull, -4, 4).mean(axis=1) + np.clip(push, -4, 4).mean(axis=1) * PUSH)
    return _unit(Y)


def _principal(X: npt.NDArray[np.float32]) -> Points:
    """The first two principal components, with signs fixed so that the picture is the same everywhere."""
    _, vectors = np.linalg.eigh(X.T.astype(np.float64) @ X)
    axes = vectors[:, ::-1][:, :2]
    if axes.shape[1] < 2:
        axes = np.column_stack([axes, np.zeros(len(axes))])
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1, 1)
    return np.asarray(X @ axes, np.float32)


def nearest(X: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
    """The k nearest other rows of each, in no order, shape (n, k); O(n squared d) time, in chunks."""
    square = np.sum(X**2, axis=1)
    found = []
    for a in range(0, len(X), 512):
        distance = square[None] - 2 * X[a : a + 512] @ X.T
        distance[np.arange(len(distance)), np.arange(a, a + len(distance))] = np.inf
        found.append(np.argpartition(distance, k, axis=1)[:, :k])
    return np.concatenate(found)


def _unit(Y: Points) -> Points:
    """Shift and scale to [0, 1], keeping the shape and letting far strays stand at the edge."""
    low, high = np.percentile(Y, [0.5, 99.5], axis=0)
    size = max(float((high - low).max()), 1e-9)
    return np.asarray(np.clip((Y - (low + high) / 2) / size + 0.5, 0, 1), np.float32)


def dots(points: Points, kind: str) -> str:
    """Many points as one path: eight bytes each instead of forty."""
    if not len(points):
        return ""
    return f'<path class="{kind}" d="{"".join(f"M{x:.1f} {y:.1f}h0" for x, y in points.tolist())}"/>'


def embedding_map(
    places: Points, flagged: npt.NDArray[np.bool_], codes: npt.NDArray[np.int64] | None, names: Sequence[str]
) -> Markup:
    """The rows as points, coloured by class where there are classes, the flagged ones in the accent colour on top.

    ``codes`` numbers the class of each point, -1 for "another one"; the first classes have a colour and a name.
    """
    height = 300.0
    x = 12 + places[:, 0] * (WIDTH - 24)
    y = 12 + places[:, 1] * (height - 24)
    at = np.column_stack([x, y])
    parts = []
    size = "points" if len(places) > FEW else "points few"
    if codes is None:
        parts.append(dots(at[~flagged], size))
    else:
        parts += [dots(at[~flagged & (codes == c)], f"{size} c{c}") for c in range(min(len(names), PALETTE))]
        parts.append(dots(at[~flagged & ((codes < 0) | (codes >= PALETTE))], size))
    parts.append(dots(at[flagged], f"{size} flagged"))
    for c, name in enumerate(names[:PALETTE] if codes is not None else ()):
        own = at[codes == c]
        if len(own):
            centre = own[np.argmin(np.abs(own - np.median(own, axis=0)).sum(axis=1))]
            across = float(np.clip(centre[0], 40, WIDTH - 40))
            parts.append(
                f'<text x="{across:.1f}" y="{centre[1]:.1f}" class="place" text-anchor="middle">'
                f"{escape(cut_label(name))}</text>"
            )
    says = f"{len(places):,} rows, {int(flagged.sum()):,} of them flagged; rows that are alike stand together."
    return svg(WIDTH, height, "Map of the rows", says, parts)
