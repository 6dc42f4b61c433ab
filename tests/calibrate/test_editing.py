from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.calibrate.editing import edit_image, edit_text, mix_images, mix_texts
from dross.signals.content_hash import normalise


@given(st.text(max_size=60), st.floats(0.01, 0.5), st.integers(0, 100))
def test_edits_leave_texts_alike(text: str, strength: float, seed: int) -> None:
    edited = edit_text(text, strength, np.random.default_rng(seed))
    words, kept = text.split(), edited.split()
    assert abs(len(words) - len(kept)) <= max(1, round(strength * len(words)))


@given(st.lists(st.text("abcXYZ", min_size=1, max_size=6), min_size=1, max_size=8), st.integers(0, 50))
def test_no_strength_changes_only_case_and_spacing(words: list[str], seed: int) -> None:
    import pyarrow as pa

    text = " ".join(words)
    edited = edit_text(text, 0.0, np.random.default_rng(seed))
    same = normalise(pa.array([text, edited])).to_pylist()
    assert same[0] == same[1]


def test_halves_of_texts() -> None:
    assert mix_texts("one two three four five", "v w x y z") == "one two three x y z"
    assert mix_texts("short", "words") == "shords"
    assert mix_texts(None, "a") is None
    assert mix_texts("", "") == ""


@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 3), (1, 1)])
def test_edited_images_keep_their_shape(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, shape, np.uint8)
    for _ in range(20):
        edited = edit_image(pixels, 0.05, rng)
        assert edited.shape == shape
        assert edited.dtype == np.uint8


def test_halves_of_images() -> None:
    black, white = np.zeros((4, 6), np.uint8), np.full((9, 3, 3), 255, np.uint8)
    both = mix_images(black, white)
    assert both is not None
    assert both.tolist() == [[0, 0, 0, 255, 255, 255]] * 4
    other = mix_images(white, black)
    assert other is not None
    assert other.shape == (9, 3, 3)
    assert mix_images(None, black) is None
