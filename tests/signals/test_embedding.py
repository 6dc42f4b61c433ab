from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.realdata import real

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, MissingExtra
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.io.images import encode
from dross.signals import embedding
from dross.signals.embedding import Embedding
from dross.signals.text_projection import TextProjection, project
from dross.testing.planted import texts_with_copies

WORDS = "red blue fox hen river stone cloud bread window garden engine letter winter copper".split()


def sentences(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, 6)) + f" {i % 17}" for i in range(n)]


def pictures(n: int, seed: int = 0) -> pa.Array:
    return encode(np.random.default_rng(seed).integers(0, 256, (n, 20, 24, 3)).astype(np.uint8))


def datasets(n: int = 90) -> dict[str, Dataset]:
    rng = np.random.default_rng(1)
    table = pa.table(
        {
            "text": sentences(n),
            "image": pictures(n),
            "x": rng.normal(size=n),
            "c": rng.choice(["a", "b", "c"], n),
        }
    )
    return {
        "text": Dataset(table, {Role.TEXT: ["text"]}),
        "image": Dataset(table, {Role.IMAGE: ["image"]}),
        "table": Dataset(table, {Role.FEATURES: ["x", "c"]}),
        "mixed": Dataset(table, {Role.TEXT: ["text"], Role.IMAGE: ["image"], Role.FEATURES: ["x", "c"]}),
    }


@pytest.mark.parametrize("name", ["text", "image", "table", "mixed"])
def test_finite_repeatable_and_independent_of_chunks(name: str) -> None:
    data = datasets()[name]
    E = Signals(data)[Embedding()]
    assert E.dtype == np.float32
    assert np.isfinite(E).all()
    assert np.array_equal(E, Signals(data)[Embedding()])
    pieces = pa.concat_tables([data.table.slice(i, 17) for i in range(0, len(data), 17)])
    assert np.array_equal(E, Signals(Dataset(pieces, data.roles))[Embedding()])
    if name in ("text", "image"):
        assert np.allclose(np.linalg.norm(E, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["text", "image", "table", "mixed"])
def test_added_rows_use_the_fit_of_the_first(name: str) -> None:
    whole = datasets(90)[name]
    first = Dataset(whole.table.slice(0, 60), whole.roles)
    signals = Signals(first)
    before = signals[Embedding()]
    grown = first.append(whole.table.slice(60))
    after = signals.derive(grown)[Embedding()]
    assert np.array_equal(after[:60], before)
    again = signals.derive(first.append(first.table.slice(0, 30)))[Embedding()]
    assert np.allclose(again[60:], before[:30], atol=1e-5)
    alone = signals.derive(first.append(whole.table.slice(75, 1)))[Embedding()]
    assert np.allclose(alone[60], after[75], atol=1e-5)


@pytest.mark.parametrize("name", ["text", "image", "table", "mixed"])
def test_order_of_rows_does_not_matter(name: str) -> None:
    data = datasets()[name]
    order = np.random.default_rng(0).permutation(len(data))
    one, other = Signals(data)[Embedding()], Signals(data.take(order))[Embedding()]
    near = one[order] @ one[order].T
    assert np.allclose(near, other @ other.T, atol=2e-2 if name != "image" else 0.3)


def test_stored_fits_are_read_back(tmp_path: Path) -> None:
    for data in datasets(40).values():
        E = np.array(Signals(data, tmp_path)[Embedding()])
        again = Signals(data, tmp_path)
        grown = data.append(data.table.slice(0, 3))
        assert np.array_equal(E, again[Embedding()])
        assert np.allclose(again.derive(grown)[Embedding()][40:], E[:3], atol=1e-5)


def test_rows_with_nothing_stand_apart_from_all_others() -> None:
    data = Dataset(pa.table({"t": ["", None, "!?", *sentences(30)]}), {Role.TEXT: ["t"]})
    E = Signals(data)[Embedding()]
    assert np.allclose(E[:3] @ E[:3].T, 1)
    assert np.allclose(E[:3] @ E[3:].T, 0)
    broken = pa.array([b"no picture", None, *pictures(20).to_pylist()], pa.large_binary())
    E = Signals(Dataset(pa.table({"i": broken}), {Role.IMAGE: ["i"]}))[Embedding()]
    assert np.allclose(E[:2] @ E[2:].T, 0)


def test_tiny_and_empty_data() -> None:
    for data in datasets().values():
        for n in (0, 1, 2):
            E = Signals(data.slice(0, n))[Embedding()]
            assert len(E) == n
            assert np.isfinite(E).all()


def test_given_vectors_are_scaled() -> None:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([3.0, 4.0, 0.0, 0.0], pa.float32()), 2)
    E = Signals(Dataset(pa.table({"v": vectors}), {Role.EMBEDDING: ["v"]}))[Embedding()]
    assert E.tolist() == pytest.approx(np.array([[0.6, 0.8], [0.0, 0.0]]))


def test_no_content_and_a_model_without_text_are_refused() -> None:
    bare = Dataset(pa.table({"y": ["a"]}), {Role.LABEL: ["y"]})
    with pytest.raises(DrossError, match="nothing to embed"):
        Signals(bare)[Embedding()]
    with pytest.raises(DrossError, match="no column has the role text"):
        Signals(datasets()["table"])[Embedding("some-model")]


def test_a_missing_library_and_a_missing_model_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    data = datasets(3)["text"]
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    embedding.sentence_model.cache_clear()
    with pytest.raises(MissingExtra, match=r"dross\[text\]"):
        Signals(data)[Embedding("some-model")]

    asked: list[bool] = []

    class Absent:
        def __init__(self, name: str, local_files_only: bool) -> None:
            asked.append(local_files_only)
            raise OSError(name)

    monkeypatch.setitem(sys.modules, "sentence_transformers", types.SimpleNamespace(SentenceTransformer=Absent))
    with pytest.raises(DrossError, match="not on this machine"):
        Signals(data)[Embedding("some-model")]
    assert asked == [True]
    embedding.sentence_model.cache_clear()


def test_a_model_gets_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lengths:
        def __init__(self, name: str, local_files_only: bool) -> None:
            pass

        def encode(self, texts: list[str], **options: object) -> list[list[float]]:
            assert options["normalize_embeddings"]
            return [[float(len(text)), float(text.count("\n"))] for text in texts]

    monkeypatch.setitem(sys.modules, "sentence_transformers", types.SimpleNamespace(SentenceTransformer=Lengths))
    embedding.sentence_model.cache_clear()
    data = Dataset(pa.table({"a": ["xy", None], "b": ["z", "zz"]}), {Role.TEXT: ["a", "b"]})
    assert Signals(data)[Embedding("lengths")].tolist() == [[4.0, 1.0], [3.0, 1.0]]
    embedding.sentence_model.cache_clear()


def test_copies_are_nearest() -> None:
    planted = texts_with_copies(200, copies=20)
    E = Signals(planted.data)[Embedding()]
    near = E @ E.T
    np.fill_diagonal(near, -1)
    assert near[planted.rows].max(axis=1).min() > 0.99


def test_projection_is_bounded_and_pure() -> None:
    data = datasets()["text"]
    fit = Signals(data)[TextProjection(dimensions=8)]
    assert fit.directions.shape == (len(fit.idf), 8)
    texts = pa.array(sentences(90)[:5], pa.large_string())
    assert np.array_equal(project(texts, fit)[2:3], project(texts.slice(2, 1), fit))


def _agree(E: np.ndarray, y: np.ndarray, k: int = 10) -> float:
    near = E @ E.T
    np.fill_diagonal(near, -9)
    nearest = np.argpartition(-near, k, axis=1)[:, :k]
    votes = np.stack([(y[nearest] == c).sum(axis=1) for c in range(int(y.max()) + 1)], axis=1)
    return float((votes.argmax(axis=1) == y).mean())


def test_neighbours_of_digits_are_the_same_digit() -> None:
    stored = np.load(real("mnist_label_errors") / "mnist_test.npz")
    pixels, y = stored["images"][:1500], stored["given_label"][:1500].astype(int)
    E = Signals(Dataset(pa.table({"i": encode(pixels)}), {Role.IMAGE: ["i"]}))[Embedding()]
    raw = pixels.reshape(len(pixels), -1).astype(np.float32)
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    assert _agree(E, y) > max(0.93, _agree(raw, y))
