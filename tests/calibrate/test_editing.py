from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.calibrate.editing import edit_image, edit_record, edit_text, edited, mix_images, mix_texts, mixed
from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.content_hash import normalise
from dross.testing.planted import sentence


@given(st.text(max_size=60), st.integers(0, 8), st.integers(0, 100))
def test_edits_leave_texts_alike(text: str, edits: int, seed: int) -> None:
    edited = edit_text(text, edits, np.random.default_rng(seed))
    words, kept = text.split(), edited.split()
    assert len(words) - edits <= len(kept) <= len(words)
    assert len(set(kept) - set(words)) <= edits


@given(st.lists(st.text("abcXYZ", min_size=1, max_size=6), min_size=1, max_size=8), st.integers(0, 50))
def test_no_strength_changes_only_case_and_spacing(words: list[str], seed: int) -> None:
    text = " ".join(words)
    edited = edit_record([text, None, ""], 0.0, np.random.default_rng(seed))
    same = normalise(pa.array([text, edited[0]])).to_pylist()
    assert same[0] == same[1]
    assert edited[1:] == [None, ""]


@given(st.integers(0, 200))
def test_a_record_changes_by_its_share_of_words(seed: int) -> None:
    fields = ["one two three four five", None, "six seven", "eight nine ten"]
    edited = edit_record(fields, 0.1, np.random.default_rng(seed))
    assert sum(a != b for a, b in zip(fields, edited, strict=True)) <= 1


def test_mixed_texts_are_of_their_parents_words_and_no_parents_copy() -> None:
    rng = np.random.default_rng(0)
    parents = ["one two three four five six", "a b c d e f g h", "u v w x y z"]
    for _ in range(20):
        words = str(mix_texts(list(parents), rng)).split()
        assert len(words) == 6
        assert all(any(p.split()[i] == word for p in parents) for i, word in enumerate(words))
    assert len(str(mix_texts(["short", "words", "x"], rng))) == 5
    assert mix_texts([None, "a"], rng) is None
    assert mix_texts(["", ""], rng) == ""
    assert mix_texts(["one two three four", None], rng) == "one two three four"


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


@pytest.mark.parametrize("role", [Role.FEATURES, Role.TEXT])
def test_long_fields_of_records_are_mixed_and_edited_word_by_word(role: Role, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    long = [sentence(rng, 12) for _ in range(80)]
    short = [f"name{i}" for i in range(80)]
    data = Dataset(pa.table({"title": long, "who": short, "note": long[::-1]}), {role: ["title", "who", "note"]})
    parents = [rng.permutation(80) for _ in range(4)]
    new = mixed(data, Signals(data), parents, rng, tmp_path)
    assert not set(new.column("title").to_pylist()) & set(long), "a whole long field would make it a near copy"
    assert set(new.column("who").to_pylist()) <= set(short)
    rows = np.arange(80)
    copies = edited(data, Signals(data), rows, 0.05, rng, tmp_path)
    kept = [len(set(a.split()) & set(b.split())) for a, b in zip(copies.column("title").to_pylist(), long, strict=True)]
    assert min(kept) >= 8, "an edited copy still is one"
    assert copies.column("title").to_pylist() != long
