from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.core.dataset import Dataset, Source
from dross.core.roles import Role
from dross.report.contents import Contents, nearest
from dross.report.facts import columns, counts, summary
from dross.report.pictures import Thumbnails, shrink
from tests.report.samples import labelled, png


@given(st.integers(0, 1000), st.integers(2, 40), st.integers(1, 6))
def test_nearest_agrees_with_brute_force(seed: int, n: int, k: int) -> None:
    X = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    rows = [0, n - 1]
    for row, found in zip(rows, nearest(X, rows, k), strict=True):
        distance = np.linalg.norm(X - X[row], axis=1)
        distance[row] = np.inf
        assert row not in found
        assert np.allclose(distance[found], np.sort(distance)[: min(k, n - 1)], atol=1e-3)


def test_nearest_across_chunks() -> None:
    X = np.zeros((40_000, 2), np.float32)
    X[:, 0] = np.arange(40_000) / 1000
    found = [set(near) for near in nearest(X, [16_384, 0, 39_999], 2)]
    assert found == [{16_383, 16_385}, {1, 2}, {39_998, 39_997}]


def test_features_are_ranked_by_how_unusual_they_are() -> None:
    n = 100
    plain = {f"f{i}": np.arange(n) % 50 for i in range(4)}
    odd = np.zeros(n)
    odd[7] = 99.0
    colour = ["red"] * n
    colour[7] = "<b>green</b>"
    data = labelled({**plain, "odd": odd, "colour": colour}, {Role.FEATURES: [*plain, "odd", "colour"]}, n=n)
    shown = Contents(data).show(7)
    assert {shown.features[0].name, shown.features[1].name} == {"odd", "colour"}
    assert next(f for f in shown.features if f.name == "odd").place > 0.98
    beside = Contents(data).show(8, beside=shown)
    assert [f.name for f in beside.features] == [f.name for f in shown.features[:3]]


def test_missing_cells_are_said_to_be_missing() -> None:
    data = labelled({"a": [None, 1.0, float("nan")] * 20, "b": [None, "x", "y"] * 20}, {Role.FEATURES: ["a", "b"]})
    for row in (0, 2):
        assert any(f.value == "missing" for f in Contents(data).show(row).features)
    empty = labelled({"t": [None, "", "words"] * 20}, {Role.TEXT: ["t"]})
    assert [Contents(empty).show(row).texts[0][1] for row in range(3)] == ["(empty)", "(empty)", "words"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_long_cells_are_cut_whatever_their_type(kind: pa.DataType) -> None:
    column = pa.array(["é" * 5000, "short"] * 30, pa.string()).cast(kind)
    contents = Contents(labelled({"t": column}, {Role.TEXT: ["t"]}))
    assert "… (5,000 characters)" in contents.show(0).texts[0][1]
    assert contents.show(1).texts[0][1] == "short"


# ---- pictures -------------------------------------------------------------------------------------------------------


def encoded(array: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(array).save(out, kind, **options)
    return out.getvalue()


def test_small_pictures_stay_sharp_and_large_ones_shrink() -> None:
    from PIL import Image

    kind, small = shrink(encoded(np.arange(64, dtype=np.uint8).reshape(8, 8)), 96) or ("", b"")
    assert kind == "png"
    assert Image.open(io.BytesIO(small)).size == (8, 8)
    large = np.random.default_rng(0).integers(0, 255, (600, 900, 3)).astype(np.uint8)
    for source in ("PNG", "JPEG", "WEBP"):
        kind, out = shrink(encoded(large, source), 96) or ("", b"")
        assert kind == "jpeg"
        assert Image.open(io.BytesIO(out)).size == (96, 64)
    assert shrink(encoded((np.eye(20) * 60000).astype(np.uint16)), 96) is not None


def test_what_does_not_decode_is_none() -> None:
    good = encoded(np.zeros((9, 9), np.uint8))
    for raw in (b"", b"text", b"<svg xmlns='http://www.w3.org/2000/svg'/>", good[:30], good[:-20][:45]):
        assert shrink(raw, 96) is None


def test_cells_of_every_kind_and_the_budget(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(3))
    thumbnails = Thumbnails(tmp_path)
    wanted = thumbnails.of(png(3))
    assert wanted is not None
    assert wanted.startswith("data:image/png;base64,")
    assert thumbnails.of("a.png") == wanted
    assert thumbnails.of({"bytes": png(3), "path": None}) == wanted
    assert thumbnails.of({"bytes": None, "path": "a.png"}) == wanted
    assert thumbnails.of("missing.png") is None
    assert thumbnails.of("bad\x00name") is None
    assert thumbnails.of(None) is None
    thumbnails.left = 0
    assert thumbnails.of(png(3)) is None


# ---- facts ----------------------------------------------------------------------------------------------------------


def test_many_columns_of_a_kind_share_a_line() -> None:
    many = {f"x{i}": pa.array([1.0, None if i == 5 else 2.0] * 30) for i in range(30)}
    table = columns(labelled(many, {Role.FEATURES: list(many)}))
    assert table.rows[0] == ["x0, x1, x2 and 27 more", "features", "number", "up to 50 %"]
    assert ["y", "label", "text", "0 %"] in table.rows


def test_counts_of_values_lists_and_missing_ones() -> None:
    table = pa.table({"y": ["b", "a", None, "b"], "tags": [["u", "v"], ["u"], [], None]})
    data = Dataset(table, {Role.LABEL: ["y"], Role.LABELS: ["tags"]}, source=Source("x.csv", "csv"))
    assert [(c.name, c.rows, c.share) for c in counts(data, Role.LABEL)[0]] == [
        ("b", 2, "50 %"),
        ("a", 1, "25 %"),
        ("(missing)", 1, "25 %"),
    ]
    assert [(c.name, c.rows) for c in counts(data, Role.LABELS)[0]] == [("u", 2), ("v", 1)]
    assert counts(data, Role.SPLIT) == ([], 0)
    wide = Dataset(pa.table({"y": [str(i) for i in range(100)]}), {Role.LABEL: ["y"]})
    assert counts(wide, Role.LABEL)[1] == 85


def test_summaries_become_tables_where_they_list_things() -> None:
    single, tables = summary(
        {
            "auc": 0.51234,
            "drift": False,
            "parts": [{"part": "test", "auc": 0.5}, {"part": "dev", "p": None}],
            "kinds": {"exact": 1, "near": 2, "image": 0, "semantic": 4},
            "splits": {"train": {"rows": 3}, "test": {"rows": 4}},
            "joint": [[0.1, 0.2], [0.3, 0.4]],
            "nothing": [],
            "names": ["a", "b"],
            "long": [{"i": i} for i in range(50)],
        }
    )
    assert single == [("auc", "0.512"), ("drift", "no"), ("names", "a, b")]
    assert [t.title for t in tables] == ["parts", "kinds", "splits", "long"]
    assert tables[0].rows == [["test", "0.5", "–"], ["dev", "–", "–"]]
    assert tables[2].rows == [["train", "3"], ["test", "4"]]
    assert tables[3].more == 42
