from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.io.images import encode
from dross.signals.image_descriptor import (
    CELL,
    ORIENTATIONS,
    SIDE,
    ImageProjection,
    canvases,
    describe,
    edges,
    even_out,
    fit_basis,
    resemblance,
)


def pictures(n: int = 40, seed: int = 0) -> np.ndarray:
    """Smooth random pictures: noise at 6 x 6, enlarged."""
    small = np.random.default_rng(seed).integers(0, 256, (n, 6, 6, 3)).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(p).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for p in small])


def test_size_hardly_matters_and_grey_is_colour() -> None:
    canvas = pictures()
    basis = fit_basis(canvas, 16)
    larger = [np.asarray(Image.fromarray(p).resize((100, 80), Image.Resampling.BICUBIC)) for p in canvas]
    E, F = describe(iter(canvas), 40, basis), describe(iter(larger), 40, basis)
    near = F @ E.T
    assert (near.argmax(axis=1) == np.arange(40)).all()
    assert np.diag(near).min() > 0.9
    grey = canvas[..., 0]
    one, _ = canvases(list(grey), 40)
    three, _ = canvases(list(np.repeat(grey[..., None], 3, axis=3)), 40)
    assert np.array_equal(one, three)
    assert fit_basis(one, 4).grey == 1


def test_brightness_and_contrast_count_for_little() -> None:
    canvas = pictures()
    basis = fit_basis(canvas, 16)
    dim = (canvas * 0.7 + 20).astype(np.uint8)
    near = describe(iter(dim), 40, basis) @ describe(iter(canvas), 40, basis).T
    assert (near.argmax(axis=1) == np.arange(40)).mean() > 0.9


def test_edges_find_the_direction() -> None:
    across = np.tile((np.arange(SIDE) // 8 % 2).astype(np.float32), (1, SIDE, 1))
    cells = SIDE // CELL
    upright = edges(across).reshape(cells, cells, ORIENTATIONS).sum(axis=(0, 1))
    lying = edges(across.transpose(0, 2, 1)).reshape(cells, cells, ORIENTATIONS).sum(axis=(0, 1))
    assert upright.argmax() == 0
    assert lying.argmax() == ORIENTATIONS // 2
    assert np.allclose(edges(1 - across), edges(across))


def test_resemblance_is_the_triangle_code() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((2, SIDE, SIDE, 1)).astype(np.float32)
    mean, whitening = np.zeros(64, np.float32), np.eye(64, dtype=np.float32)[:, :5]
    words = rng.normal(size=(7, 5)).astype(np.float32)
    expected = np.zeros((2, 4, 7))
    for i in range(2):
        for a in range(13):
            for b in range(13):
                patch = x[i, 2 * a : 2 * a + 8, 2 * b : 2 * b + 8, 0].reshape(1, -1).copy()
                apart = np.linalg.norm(even_out(patch)[0] @ whitening - words, axis=1)
                expected[i, 2 * (a >= 6) + (b >= 6)] += np.maximum(apart.mean() - apart, 0)
    assert resemblance(x, mean, whitening, words) == pytest.approx(expected.reshape(2, -1), abs=1e-3)


def test_missing_pictures_and_one_picture_for_all() -> None:
    column = pa.array([None, b"broken", *encode(pictures(10)).to_pylist()], pa.large_binary())
    data = Dataset(pa.table({"i": column}), {Role.IMAGE: ["i"]})
    basis = Signals(data)[ImageProjection()]
    E = describe(iter([None, pictures(1)[0]]), 2, basis)
    assert E[0, -1] == 1
    assert E[1, -1] == 0
    same = fit_basis(np.repeat(pictures(1), 5, axis=0), 4)
    assert np.isfinite(describe(iter(pictures(3)), 3, same)).all()
    none = fit_basis(np.zeros((0, SIDE, SIDE, 3), np.uint8), 4)
    assert describe(iter([None]), 1, none).tolist() == [[1.0]]
