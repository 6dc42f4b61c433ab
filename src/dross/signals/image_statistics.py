"""ImageStatistics: what can be measured about each picture on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import RowSignal, Signals

COLUMNS = (
    "decodes", "width", "height", "brightness", "contrast", "sharpness", "entropy", "colourfulness", "commonest",
)  # fmt: skip
"""Columns of the signal: ``decodes`` (0 or 1; all others are 0 where it is 0), ``width`` and ``height`` in pixels,
``brightness`` (mean, 0 black to 1 white), ``contrast`` (standard deviation of the brightness), ``sharpness`` (standard
deviation of the Laplacian over the contrast; 0 for a blank picture), ``entropy`` of the grey levels in bits (0 to 8),
``colourfulness`` (Hasler and Suesstrunk 2003, over 255), ``commonest`` (share of the commonest of 32 grey levels)."""

_SIDE = 256
"""Larger pictures are thinned to about this many pixels a side: the figures describe the whole, not the grain."""


def measure(pixels: npt.NDArray[np.uint8] | None) -> list[float]:
    """The statistics of one picture, shape (h, w) or (h, w, 3), uint8; zeros for one that does not decode.

    >>> dict(zip(COLUMNS, measure(np.zeros((4, 6), np.uint8))))["commonest"]
    1.0
    """
    if pixels is None or pixels.size == 0:
        return [0.0] * len(COLUMNS)
    height, width = pixels.shape[:2]
    step = max(1, min(height, width) // _SIDE)
    thin = np.asarray(pixels[::step, ::step] / np.float32(255), np.float32)
    grey = thin if thin.ndim == 2 else np.asarray(thin @ np.array([0.299, 0.587, 0.114]), np.float32)
    levels = np.bincount(np.minimum(grey * 256, 255).astype(np.int64).ravel(), minlength=256) / grey.size
    contrast = float(grey.std())
    seen = levels[levels > 0]
    return [
        1.0,
        float(width),
        float(height),
        float(grey.mean()),
        contrast,
        float(_laplacian(grey).std() / contrast) if contrast > 1e-4 else 0.0,
        float(-(seen * np.log2(seen)).sum()),
        _colourfulness(thin) if thin.ndim == 3 else 0.0,
        float(levels.reshape(32, 8).sum(axis=1).max()),
    ]


def _laplacian(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The 4-neighbour Laplacian of the inner pixels; zero where there are none."""
    if min(grey.shape) < 3:
        return np.zeros((1, 1), np.float32)
    inner = grey[1:-1, 1:-1]
    around: npt.NDArray[np.float32] = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return around - 4 * inner


def _colourfulness(colours: npt.NDArray[np.float32]) -> float:
    red, green, blue = np.moveaxis(colours, 2, 0)
    first, second = red - green, (red + green) / 2 - blue
    return float(np.hypot(first.std(), second.std()) + 0.3 * np.hypot(first.mean(), second.mean()))


@dataclass(frozen=True)
class ImageStatistics(RowSignal):
    """Statistics of each picture, shape (n, len(COLUMNS)), float32; see :data:`COLUMNS`."""

    reads: ClassVar[tuple[Role, ...]] = (Role.IMAGE,)

    def measure(self, batch: Dataset, signals: Signals) -> npt.NDArray[Any]:
        """Decode and measure the pictures of one batch."""
        from dross.io.images import images

        rows = [measure(pixels) for pixels in images(batch)]
        return np.array(rows, np.float32).reshape(len(batch), len(COLUMNS))
