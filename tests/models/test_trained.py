"""From datasets to trained models and back from disk: every kind of row, every kind of outcome, what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import dross
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.inputs import fit_encoder
from dross.models.lesson import lesson_of
from dross.models.networks import Maker
from dross.models.tokens import tokens_of
from dross.models.trained import Trained, load
from dross.testing.planted import blobs
from dross.train.cross_entropy import CrossEntropy

RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 2, 80)
WORDS = np.array([["bad", "awful", "poor"], ["good", "fine", "great"]])


def texts() -> Dataset:
    rows = [" ".join(RNG.choice(WORDS[c], 6)) for c in CODES]
    return dross.load({"t": rows, "y": CODES}, text="t", label="y")


def tables() -> Dataset:
    number = (CODES * 2 + RNG.normal(size=80)).tolist()
    number[3] = None
    kind = np.where(RNG.random(80) < 0.8, CODES, 1 - CODES).astype(str)
    return dross.load({"a": number, "b": kind, "y": CODES}, features=["a", "b"], label="y")


def pictures() -> Dataset:
    pytest.importorskip("PIL")
    pixels = RNG.integers(0, 60, (80, 12, 10, 3)).astype(np.uint8)
    pixels[CODES == 1, :6] += 150
    return dross.load(X=pixels, label=CODES)


def vectors() -> Dataset:
    X = RNG.normal(size=(80, 9)) + 2 * CODES[:, None]
    return Dataset(
        pa.table({"v": pa.FixedSizeListArray.from_arrays(pa.array(X.astype(np.float32).ravel()), 9), "y": CODES}),
        {Role.EMBEDDING: ["v"], Role.LABEL: ["y"]},
    )


def trained(data: Dataset, **options: Any) -> Trained:
    model = CrossEntropy(**{"epochs": 15, "batch_size": 16, **options}).run(data, Signals(data))
    assert isinstance(model, Trained)
    return model


CASES = {
    "texts": (texts, "auto"), "words in order": (texts, "transformer"), "tables": (tables, "auto"),
    "pictures": (pictures, "auto"), "patches": (pictures, "vit"), "mixed patches": (pictures, "mixer"),
    "vectors": (vectors, "auto"), "linear": (vectors, "linear"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_row_is_learnt_saved_and_read_back(name: str, tmp_path: Path) -> None:
    make, network = CASES[name]
    data = make()
    model = trained(data, network=network, epochs=30, learning_rate=0.005)
    assert model.score(data) > 0.8
    probs = model.predict_proba(data)
    assert probs.shape == (80, 2)
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-5)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(data), probs)
    assert np.array_equal(again.embed(data), model.embed(data))
    assert again.classes == model.classes
    assert not [file for file in (tmp_path / "model").rglob("*") if file.suffix in {".pkl", ".pt", ".bin"}]
    some = data.take(np.array([5, 2]))
    assert np.allclose(model.predict_proba(some), probs[[5, 2]], atol=1e-5)
    assert model.predict_proba(data.slice(0, 0)).shape == (0, 2)


def test_numbers_are_predicted_in_their_own_unit(tmp_path: Path) -> None:
    x = np.linspace(-2, 2, 200)
    data = dross.load({"x": x, "price": 1000 + 300 * x}, features=["x"], target="price")
    model = trained(data, epochs=40, learning_rate=0.01)
    assert model.score(data) > 0.98
    assert model.predict(data)[0] == pytest.approx(400, abs=80)
    model.save(tmp_path / "m")
    assert load(tmp_path / "m").predict(data) == model.predict(data)


def test_label_sets_are_predicted() -> None:
    rng = np.random.default_rng(1)
    given = rng.random((120, 3)) < 0.4
    X = given + 0.1 * rng.normal(size=(120, 3))
    lists = [[("a", "b", "c")[j] for j in np.flatnonzero(row)] for row in given]
    flat = pa.FixedSizeListArray.from_arrays(pa.array(X.astype(np.float32).ravel()), 3)
    data = Dataset(pa.table({"x": flat, "tags": lists}), {Role.EMBEDDING: ["x"], Role.LABELS: ["tags"]})
    model = trained(data, epochs=30, learning_rate=0.01)
    assert model.score(data) > 0.95
    assert model.predict(data)[0] == sorted(lists[0])


def test_squares_of_numbers_are_read_as_images() -> None:
    data = blobs(40, d=16).data
    model = trained(data, network="cnn", epochs=1)
    assert model.encoder.shape == [1, 4, 4]
    with pytest.raises(DrossError, match="no square"):
        trained(blobs(40, d=15).data, network="cnn")


def test_only_the_training_split_is_learnt_from_and_validation_rows_stop_it() -> None:
    data = blobs(100).data
    parts = pa.array(["train"] * 60 + ["valid"] * 20 + ["test"] * 20)
    data = Dataset(data.table.append_column("part", parts), {**data.roles, Role.SPLIT: ["part"]})
    lesson = lesson_of(CrossEntropy(patience=2), data, Signals(data))
    assert lesson.rows.tolist() == list(range(60))
    assert lesson.held is not None
    assert len(lesson.held) == 20
    alone = blobs(100).data
    lesson = lesson_of(CrossEntropy(patience=2, validation=0.2), alone, Signals(alone))
    assert (len(lesson.examples), len(lesson.held or ())) == (80, 20)
    assert lesson_of(CrossEntropy(), alone, Signals(alone)).held is None


def test_what_cannot_be_learnt_is_refused() -> None:
    data = blobs(30).data
    ids = Dataset(data.table.set_column(1, "label", pa.array([f"id {i}" for i in range(30)])), data.roles)
    with pytest.raises(DrossError, match="as many classes as labelled rows"):
        trained(ids)
    none = Dataset(data.table.set_column(1, "label", pa.array([None] * 30, pa.string())), data.roles)
    with pytest.raises(DrossError, match="no row has a label"):
        trained(none)
    with pytest.raises(DrossError, match="did you mean 'cnn'"):
        trained(data, network="cnnn")
    with pytest.raises(DrossError, match="no square"):
        trained(blobs(30, d=7).data, network="vit")
    for bad in ({"epochs": 0}, {"batch_size": 0}, {"validation": 1.5}, {"learning_rate": -1.0}):
        with pytest.raises(DrossError, match=next(iter(bad))):
            trained(data, **bad)


def test_a_class_with_one_row_is_learnt_with_the_others() -> None:
    data = blobs(60).data
    labels = data.table["label"].to_pylist()
    labels[0] = "alone"
    model = trained(Dataset(data.table.set_column(1, "label", pa.array(labels)), data.roles), patience=2)
    assert len(model.classes) == 5


def test_a_model_asks_for_the_columns_it_learnt_from(tmp_path: Path) -> None:
    model = trained(texts(), epochs=1)
    with pytest.raises(DrossError, match="role text"):
        model.predict_proba(vectors())
    wide = trained(vectors(), epochs=1)
    with pytest.raises(DrossError, match="9 numbers a row, and these rows have 8"):
        wide.predict_proba(blobs(5).data)
    with pytest.raises(DrossError, match="not pickled"):
        pickle.dumps(model)
    with pytest.raises(DrossError, match="no saved model"):
        load(tmp_path)
    model.save(tmp_path / "m")
    with pytest.raises(DrossError, match="something already"):
        model.save(tmp_path / "m")
    about = (tmp_path / "m" / "model.json").read_text().replace('"format": 1', '"format": 9')
    (tmp_path / "m" / "model.json").write_text(about)
    with pytest.raises(DrossError, match="newer dross"):
        load(tmp_path / "m")


def test_missing_and_infinite_numbers_are_read_as_the_mean() -> None:
    data = vectors()
    rows = np.array(data.matrix(Role.EMBEDDING))
    rows[0, 0], rows[1, 1] = np.nan, np.inf
    flat = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 9)
    broken = Dataset(data.table.set_column(0, "v", flat), data.roles)
    encoder = fit_encoder(broken, Signals(broken), "auto", np.arange(80))
    found = encoder(broken)
    assert np.isfinite(found).all()
    assert (found[0, 0], found[1, 1]) == (0, 0)


def test_words_are_read_in_any_script_and_case() -> None:
    found = tokens_of(pa.array(["Ein BÄR", "ein bär", "語語", "…"], pa.large_string()), 1000, 4)
    assert np.array_equal(found[0], found[1])
    assert (found[2, 0], found[2, 2]) == (found[2, 1], 0)
    assert found.max() < 1000
    assert not found[3].any()


def test_a_local_language_model_is_taken_further(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *WORDS.ravel().tolist()])}
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]"}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, special["unk_token"]))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    folder = tmp_path / "tiny"
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder)
    config = transformers.BertConfig(vocab_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                                     intermediate_size=16, max_position_embeddings=16, pad_token_id=0)  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    data = texts()
    model = trained(data, network=f"hf:{folder}", learning_rate=0.01)
    assert model.score(data) > 0.9
    model.save(tmp_path / "m")
    assert np.array_equal(load(tmp_path / "m").predict_proba(data), model.predict_proba(data))


def test_networks_have_the_outputs_asked_for() -> None:
    make = Maker("auto", "image", (3, 16, 16), 4)
    assert make().outputs == 4
    assert make(8).head.out_features == 8
    assert make(name="vit").width == 64
    with pytest.raises(DrossError, match="reads tokens rows"):
        make(name="bag")
