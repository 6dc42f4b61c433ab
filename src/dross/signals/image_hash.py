"""ImageHash: what a picture looks like at a glance, and the pictures that look the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import RowSignal, Signal, Signals
from dross.signals.closeness import close_pairs
from dross.signals.content_hash import ContentHash
from dross.signals.neighbours import Neighbourhood, nearest_of, nearest_rows
from dross.signals.pairs import Pairs

Matrix = npt.NDArray[np.float32]
SIDE = 32
"""Pixels a side of the picture that is hashed."""
WAVES = 12
"""Frequencies kept in either direction."""
FARTHEST = 0.7
"""Share of the way to the tenth most similar picture within which one may be a copy: a shift of a pixel moves far."""
NOISE = 20.0
"""Grey levels that noise and compression may move a frequency by: what varies less does not tell pictures apart."""


@dataclass(frozen=True)
class ImageHash(RowSignal):
    """The low frequencies of each picture, shape (n, 143), float32; zeros where it is blank or cannot be read.

    The perceptual hash of Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010 (discrete
    cosine transform of a 32 x 32 grey picture, lowest frequencies, mean left out), with 12 x 12 frequencies in place of
    8 x 8 and before each is cut to one bit: brightness, compression, resizing and noise hardly move it.
    """

    reads: ClassVar[tuple[Role, ...]] = (Role.IMAGE,)

    def measure(self, batch: Dataset, signals: Signals) -> Matrix:
        """Decode and hash the pictures of one batch."""
        from dross.io.images import images

        return np.array([glance(pixels) for pixels in images(batch)], np.float32).reshape(len(batch), WAVES**2 - 1)


@cache
def cosines() -> npt.NDArray[np.float64]:
    """The first rows of the orthonormal discrete cosine transform (type II), shape (12, 32)."""
    steps = (np.arange(SIDE) + 0.5) * np.pi / SIDE
    basis: npt.NDArray[np.float64] = np.cos(np.arange(WAVES)[:, None] * steps[None, :]) * np.sqrt(2 / SIDE)
    basis[0] /= np.sqrt(2)
    return basis


def glance(pixels: npt.NDArray[np.uint8] | None) -> Matrix:
    """The low frequencies of one picture, shape (143,); zeros for None and for a picture of one colour.

    >>> glance(np.full((40, 50, 3), 7, np.uint8)).any(), glance(np.eye(40, dtype=np.uint8)).shape
    (np.False_, (143,))
    """
    flat = np.zeros(WAVES**2 - 1, np.float32)
    if pixels is None or pixels.size == 0:
        return flat
    from PIL import Image

    picture: Any = Image.fromarray(pixels)
    small = np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float64)
    if np.ptp(small) == 0:
        return flat
    waves = cosines() @ small @ cosines().T
    return waves.ravel()[1:].astype(np.float32)


@dataclass(frozen=True)
class ImageNeighbours(Signal[Neighbourhood]):
    """The rows whose pictures look most alike; blank and unreadable ones have none.

    Each frequency is divided by its spread over the dataset (and over noise) and each picture scaled to unit length, so
    that pictures are compared by their pattern and not by contrast or by the slow shades that all pictures share.
    """

    k: int = 10
    reads: ClassVar[tuple[Role, ...]] = (Role.IMAGE,)
    value: ClassVar[type] = Neighbourhood

    def compute(self, data: Dataset, signals: Signals) -> Neighbourhood:
        """Search among the pictures that can be compared."""
        unit = _scaled(signals[ImageHash()], len(data))
        rows = np.flatnonzero(unit.any(1))
        found = nearest_rows(unit[rows], self.k, progress=signals.progress)
        return _placed(found, rows, rows, len(data), self.k)

    def extend(self, value: Neighbourhood, data: Dataset, signals: Signals) -> Neighbourhood:
        """Compare each new picture with the old ones."""
        n = len(value.indices)
        unit = _scaled(signals[ImageHash()], n)
        old, new = np.flatnonzero(unit[:n].any(1)), np.flatnonzero(unit[n:].any(1))
        found = nearest_of(unit[n + new], unit[old], self.k)
        placed = _placed(found, new, old, len(data) - n, self.k)
        return Neighbourhood(
            np.concatenate([value.indices, placed.indices]),
            np.concatenate([value.distances, placed.distances]),
            value.recall,
        )


@dataclass(frozen=True)
class ImagePairs(Signal[Pairs]):
    """Pairs of rows whose pictures look the same: more alike than chance allows, by :func:`close_pairs`."""

    reads: ClassVar[tuple[Role, ...]] = (Role.IMAGE,)
    value: ClassVar[type] = Pairs

    def compute(self, data: Dataset, signals: Signals) -> Pairs:
        """Read the pairs off the neighbours; none where there are no pictures."""
        if not data.has(Role.IMAGE):
            return Pairs.none(len(data))
        return close_pairs(signals[ImageNeighbours()], signals[ContentHash()], FARTHEST)


def _scaled(hashes: Matrix, n: int) -> Matrix:
    """The hashes over the spread of the first ``n``, at unit length; zeros stay zeros."""
    filled = hashes[:n][hashes[:n].any(1)]
    power = (filled.astype(np.float64) ** 2).mean(0) if len(filled) else np.zeros(hashes.shape[1])
    scaled = hashes / np.sqrt(power + NOISE**2)
    unit: Matrix = (scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    return unit


def _placed(found: Neighbourhood, queries: Any, rows: Any, n: int, k: int) -> Neighbourhood:
    """Put neighbours among some rows back to where those stand in the data."""
    indices, distances = np.full((n, k), -1, np.int32), np.full((n, k), np.inf, np.float32)
    if len(rows):
        indices[queries] = np.where(found.indices >= 0, rows[found.indices], -1)
        distances[queries] = found.distances
    return Neighbourhood(indices, distances, found.recall)
