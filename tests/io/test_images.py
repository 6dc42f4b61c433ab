from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import dross
from dross.core.errors import DrossError, MissingExtra
from dross.core.roles import Role
from dross.io import images, remarks


def picture(colour: int, mode: str = "RGB", kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (6, 4), (colour, 0, 0)).convert(mode).save(out, kind)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "test"):
        for label, colour in (("cat", 10), ("dog", 200)):
            place = tmp_path / split / label
            place.mkdir(parents=True)
            for i in range(3):
                (place / f"{i}.png").write_bytes(picture(colour + i))
    return tmp_path


def test_a_folder_of_classes_and_splits(folder: Path) -> None:
    (folder / "train" / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    (folder / "train" / "cat" / "notes.txt").write_text("hello")
    data = dross.load(folder)
    assert data.roles == {Role.IMAGE: ("file",), Role.LABEL: ("folder",), Role.SPLIT: ("split",)}
    assert data.table["file"].to_pylist()[:4] == [f"test/cat/{i}.png" for i in range(3)] + ["test/dog/0.png"]
    assert remarks(data) == ["1 files that are no images were passed over"]
    pixels = list(images.images(data))
    assert [p is None for p in pixels].index(True) == data.table["file"].to_pylist().index("train/cat/broken.jpg")
    assert sum(p is None for p in pixels) == 1
    assert [p[0, 0, 0] for p in images.images(data, np.array([3, 0])) if p is not None] == [200, 10]


def test_design_example(folder: Path) -> None:
    data = dross.load(str(folder / "train"), image="file", label="folder")
    assert data.roles == {Role.IMAGE: ("file",), Role.LABEL: ("folder",)}
    assert data.classes == ["cat", "dog"]


def test_a_table_of_paths(folder: Path) -> None:
    (folder / "list.csv").write_text("path,y\ntrain/cat/0.png,cat\ntest/dog/1.png,dog\nnowhere.png,cat\n")
    data = dross.load(folder / "list.csv", label="y")
    assert data.roles[Role.IMAGE] == ("path",)
    first, second, third = images.images(data)
    assert first is not None
    assert second is not None
    assert third is None
    assert (first[0, 0].tolist(), second[0, 0].tolist()) == ([10, 0, 0], [201, 0, 0])


def test_bytes_and_hugging_face_images() -> None:
    values = [picture(7), None, b"junk"]
    data = dross.load({"jpeg": pa.array(values), "y": ["a", "b", "a"]}, label="y")
    assert data.roles[Role.IMAGE] == ("jpeg",)
    assert [p is None for p in images.images(data)] == [False, True, True]
    structs = pa.array([{"bytes": value, "path": "x.png"} for value in values[:2]])
    data = dross.load({"image": structs, "y": ["a", "b"]}, label="y")
    assert data.roles[Role.IMAGE] == ("image",)
    assert [p is None for p in images.images(data)] == [False, True]


@given(
    hnp.arrays(
        np.uint8,
        st.one_of(
            hnp.array_shapes(min_dims=3, max_dims=3), hnp.array_shapes(min_dims=3, max_dims=3).map(lambda s: (*s, 3))
        ),
    )
)
def test_arrays_come_back_pixel_by_pixel(pixels: np.ndarray) -> None:
    for value, expected in zip(images.encode(pixels).to_pylist(), pixels, strict=True):
        found = images.decode(value)
        assert found is not None
        assert (found == expected).all()


def test_channels_first_and_single_channel() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 5, 7, 3)).astype(np.uint8)
    assert images.encode(np.moveaxis(pixels, 3, 1)).equals(images.encode(pixels))
    assert images.encode(pixels[..., :1]).equals(images.encode(pixels[..., 0]))


@pytest.mark.parametrize("shape", [(2, 4, 4, 5), (2, 4, 4, 3, 3), (2, 0, 4)])
def test_shapes_that_are_no_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(DrossError, match="neither a matrix nor images"):
        dross.load(X=np.zeros(shape, np.uint8), label=["a", "b"])
    with pytest.raises(DrossError, match="neither a matrix nor images"):
        dross.load(X=np.zeros((2, 4, 4)), label=["a", "b"])


@pytest.mark.parametrize(
    ("mode", "kind", "shape"),
    [("L", "PNG", (4, 6)), ("1", "PNG", (4, 6)), ("P", "GIF", (4, 6, 3)), ("RGBA", "PNG", (4, 6, 3)),
     ("CMYK", "JPEG", (4, 6, 3)), ("LA", "PNG", (4, 6)), ("RGB", "WEBP", (4, 6, 3)), ("I;16", "PNG", (4, 6))],
)  # fmt: skip
def test_modes(mode: str, kind: str, shape: tuple[int, ...]) -> None:
    found = images.decode(picture(9, mode, kind))
    assert found is not None
    assert found.dtype == np.uint8
    assert found.shape == shape


@given(st.integers(0, 200), st.binary(max_size=5))
def test_damaged_images_are_none_and_never_raise(cut: int, patch: bytes) -> None:
    whole = picture(3, kind="JPEG")
    images.decode(whole[:cut] + patch + whole[cut + len(patch) :])
    assert images.decode(whole[: len(whole) // 2]) is None


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtra, match=r"dross\[images\]"):
        images.decode(b"")


def test_a_postscript_file_is_not_run() -> None:
    assert images.decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n") is None
