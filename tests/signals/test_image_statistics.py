from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.image_statistics import COLUMNS, ImageStatistics, measure


def read(pixels: np.ndarray | None) -> dict[str, float]:
    return dict(zip(COLUMNS, measure(pixels), strict=True))


def test_a_blank_picture_and_a_missing_one() -> None:
    blank = read(np.full((5, 7), 255, np.uint8))
    assert (blank["decodes"], blank["width"], blank["height"], blank["brightness"]) == (1, 7, 5, 1)
    assert (blank["contrast"], blank["sharpness"], blank["entropy"], blank["commonest"]) == (0, 0, 0, 1)
    assert set(read(None).values()) == {0}


def test_figures_follow_what_is_seen() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 64)).astype(np.uint8)
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    assert read(noise)["sharpness"] > 5 * read(smooth)["sharpness"]
    assert read(noise)["entropy"] > 7
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[:, :4, 0], colours[:, 4:, 2] = 255, 255
    assert read(colours)["colourfulness"] > 0.5
    assert read(np.repeat(noise[:8, :8, None], 3, axis=2))["colourfulness"] == 0


def test_large_pictures_are_described_like_their_small_copies() -> None:
    small = np.add.outer(np.arange(128), np.arange(128)).astype(np.uint8)
    large = np.kron(small, np.ones((8, 8), np.uint8))
    a, b = read(small), read(large)
    assert b["width"] == 1024
    for name in ("brightness", "contrast", "entropy"):
        assert a[name] == pytest.approx(b[name], rel=0.05)


def test_tiny_pictures_do_not_crash() -> None:
    for shape in ((1, 1), (2, 9), (1, 3, 3)):
        assert np.isfinite(measure(np.ones(shape, np.uint8))).all()


def test_the_signal_reads_files_that_do_not_decode() -> None:
    pytest.importorskip("PIL")
    from dross.testing.demo import png

    cells = [png(np.full((4, 4), 10, np.uint8)), b"no picture", None]
    data = Dataset(pa.table({"image": pa.array(cells, pa.binary())}), {Role.IMAGE: ["image"]})
    assert Signals(data)[ImageStatistics()][:, 0].tolist() == [1, 0, 0]
