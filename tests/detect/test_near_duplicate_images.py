from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
from PIL import Image

from dross.core.dataset import Dataset
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.near_duplicate_images import NearDuplicateImages
from dross.io.images import encode
from dross.testing.check_method import check_method


def pictures(n, seed=0, size=48):
    """Smooth random pictures: noise at eight by eight, enlarged."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    return np.array([np.asarray(Image.fromarray(p).resize((size, size), Image.Resampling.BICUBIC)) for p in coarse])


def dataset(images):
    return Dataset(pa.table({"image": encode(np.asarray(images))}), {Role.IMAGE: ["image"]})


def found_in(data, signals=None):
    found = NearDuplicateImages().run(data, signals or Signals(data))
    assert isinstance(found, Findings)
    return found


def test_contract():
    check_method(NearDuplicateImages)


def test_saved_again_and_brightened_copies_are_found_and_named():
    images = list(pictures(200))
    for i in range(20):
        held = io.BytesIO()
        Image.fromarray(images[i]).save(held, "JPEG", quality=50)
        images.append(np.clip(np.asarray(Image.open(held)) * 1.1, 0, 255).astype(np.uint8))
    found = found_in(dataset(images))
    assert found.rows.tolist() == list(range(200, 220))
    assert found.suggestion.tolist() == list(range(20))
    assert (found.scores >= 0.5).all()


def test_pictures_that_all_look_alike_raise_no_alarm():
    rng = np.random.default_rng(1)
    frame = pictures(1, seed=2)[0].astype(np.float64)
    alike = np.clip(frame + 0.2 * (pictures(300, seed=3) - 128.0) + rng.normal(size=(300, 48, 48)), 0, 255)
    assert len(found_in(dataset(alike.astype(np.uint8)))) <= 1


def test_an_appended_copy_is_the_finding():
    images = pictures(100)
    data = dataset(images)
    signals = Signals(data)
    assert len(found_in(data, signals)) == 0
    noisy = np.clip(images[[7]] + np.random.default_rng(0).normal(size=(1, 48, 48)) * 8, 0, 255).astype(np.uint8)
    grown = data.append(dataset(noisy).table)
    found = found_in(grown, signals.derive(grown))
    assert (found.rows.tolist(), found.suggestion.tolist()) == ([100], [7])


def test_too_few_pictures_are_said_to_be():
    data = dataset(pictures(3))
    assert isinstance(NearDuplicateImages().run(data, Signals(data)), NotApplicable)
