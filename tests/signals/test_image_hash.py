from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from scipy.fft import dctn

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.image_hash import WAVES, ImageHash, ImageNeighbours, ImagePairs, glance


def scene(rng, size=64):
    """A few overlapping rectangles and ellipses of random grey, softly lit."""
    picture = np.full((size, size), rng.integers(40, 200), np.float64)
    y, x = np.mgrid[:size, :size]
    for _ in range(8):
        a, b = rng.uniform(0, size, 2)
        h, w = rng.uniform(size / 12, size / 3, 2)
        inside = (
            (abs(y - a) < h) & (abs(x - b) < w) if rng.random() < 0.5 else ((y - a) / h) ** 2 + ((x - b) / w) ** 2 < 1
        )
        picture[inside] = rng.integers(0, 256)
    return np.clip(picture + 40 * np.outer(np.linspace(-1, 1, size), np.ones(size)) * rng.normal(), 0, 255).astype(
        np.uint8
    )


def recompressed(pixels):
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "JPEG", quality=40)
    return np.asarray(Image.open(held))


EDITS = {
    "recompressed": recompressed,
    "smaller": lambda p: np.asarray(Image.fromarray(p).resize((40, 40))),
    "brighter": lambda p: np.clip(p * 1.2 + 10, 0, 255).astype(np.uint8),
    "noisy": lambda p: np.clip(p + np.random.default_rng(0).normal(size=p.shape) * 10, 0, 255).astype(np.uint8),
    "in colour": lambda p: np.repeat(p[:, :, None], 3, axis=2),
    "moved by a pixel": lambda p: np.roll(p, 1, axis=1),
}


def dataset(pictures):
    def encoded(pixels):
        if pixels is None or isinstance(pixels, bytes):
            return pixels
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "PNG")
        return held.getvalue()

    return Dataset(pa.table({"image": pa.array([encoded(p) for p in pictures], pa.binary())}), {Role.IMAGE: ["image"]})


SCENES = [scene(np.random.default_rng(i)) for i in range(150)]


def test_the_waves_are_those_of_the_discrete_cosine_transform():
    small = np.asarray(Image.fromarray(SCENES[0]).resize((32, 32), Image.Resampling.BILINEAR), np.float64)
    expected = dctn(small, norm="ortho")[:WAVES, :WAVES].ravel()[1:]
    assert np.allclose(glance(SCENES[0]), expected, atol=1e-3)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_picture_is_found_with_its_source(edit):
    rows = range(0, 150, 5)
    found = Signals(dataset([*SCENES, *(EDITS[edit](SCENES[i]) for i in rows)]))[ImagePairs()]
    right = {(i, 150 + j) for j, i in enumerate(rows)}
    got = set(zip(found.earlier.tolist(), found.later.tolist(), strict=True))
    assert len(got & right) >= 0.9 * len(right)
    assert len(got - right) <= 1


def test_different_pictures_are_no_pairs():
    assert len(Signals(dataset(SCENES))[ImagePairs()]) == 0


def test_blank_and_unreadable_pictures_have_no_neighbours():
    blank = [np.full((20, 20), g, np.uint8) for g in (0, 0, 255, 100)]
    signals = Signals(dataset([*SCENES[:20], *blank, None, b"no picture"]))
    assert not signals[ImageHash()][20:].any()
    near = signals[ImageNeighbours()]
    assert (near.indices[20:] == -1).all()
    assert near.indices[:20].max() < 20
    assert len(signals[ImagePairs()]) == 0


def test_new_pictures_meet_old_ones_only():
    data = dataset(SCENES[:60])
    signals = Signals(data)
    before = signals[ImageNeighbours()]
    added = dataset([recompressed(SCENES[3]), np.zeros((9, 9), np.uint8), recompressed(SCENES[3]), SCENES[99]]).table
    derived = signals.derive(data.append(added))
    after = derived[ImageNeighbours()]
    assert np.array_equal(after.indices[:60], before.indices)
    assert after.indices[60:, 0].tolist()[:3] == [3, -1, 3]
    assert after.indices[60:].max() < 60
    assert derived[ImagePairs()].later.tolist() == [60, 62]


def test_data_without_pictures_has_no_pairs():
    assert len(Signals(Dataset(pa.table({"t": ["a"]}), {Role.TEXT: ["t"]}))[ImagePairs()]) == 0
