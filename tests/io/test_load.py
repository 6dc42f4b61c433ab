from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.realdata import real

import dross
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role, Task
from dross.io import describe_roles, remarks, write
from dross.io.vectors import users


def some_rows(n: int = 300) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "name": [f"row é {i}" for i in range(n)],
            "x": rng.normal(size=n).round(3) + 0.0001,
            "k": rng.integers(-5, 5, n),
            "on": pa.array(np.arange(n).astype("datetime64[D]")),
            "at": pa.array((np.arange(n) * 1000).astype("datetime64[ms]")),
            "ok": pa.array([i % 3 == 0 if i % 7 else None for i in range(n)]),
            "label": pa.array([["cat", "dog", None][i % 3] for i in range(n)]).dictionary_encode(),
        }
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same rows in every format, and in shards."""
    folder, table = tmp_path_factory.mktemp("formats"), some_rows()
    names = [
        "a.csv",
        "a.csv.gz",
        "a.csv.zst",
        "a.tsv",
        "a.jsonl",
        "a.jsonl.zst",
        "a.parquet",
        "a.arrow",
        "a.feather",
        "hf",
    ]
    for name in names:
        write(table, folder / name)
    for i, start in enumerate(range(0, 300, 100)):
        write(table.slice(start, 100), folder / f"shard-{i}.csv")
        write(table.slice(start, 100), folder / f"shard-{i}.parquet")
        write(table.slice(start, 100), folder / f"shard-{i}.jsonl.gz")
    shards = ["shard-*.csv", "shard-?.parquet", "shard-*.jsonl.gz"]
    return {name: str(folder / name) for name in [*names, *shards]}


FORMATS = [
    "a.csv", "a.csv.gz", "a.csv.zst", "a.tsv", "a.jsonl", "a.jsonl.zst", "a.parquet", "a.arrow", "a.feather", "hf",
    "shard-*.csv", "shard-?.parquet", "shard-*.jsonl.gz",
]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_one_table_is_one_dataset_in_every_format(written: dict[str, str], name: str) -> None:
    reference, data = dross.load(some_rows()), dross.load(written[name])
    assert data.table.column_names == reference.table.column_names
    assert data.table.schema.types == reference.table.schema.types
    assert data.roles == reference.roles
    assert (data.row_ids == reference.row_ids).all()
    assert data.fingerprint() == reference.fingerprint()


@pytest.mark.parametrize("name", FORMATS)
def test_a_source_can_be_read_again(written: dict[str, str], name: str) -> None:
    data = dross.load(written[name], label="label", features=["x", "k"], time=None)
    assert data.source is not None
    options = json.loads(json.dumps(data.source.options))
    again = dross.load(data.source.path, **options)
    assert again.roles == data.roles == {Role.FEATURES: ("x", "k"), Role.LABEL: ("label",)}
    assert again.fingerprint() == data.fingerprint()


def test_tables_in_memory_are_alike() -> None:
    table = some_rows()
    reference = dross.load(table).fingerprint()
    frame = table.to_pandas()
    for source in (pl.DataFrame(table), pl.LazyFrame(pl.DataFrame(table)), frame, table.to_batches()[0]):
        assert dross.load(source).fingerprint() == reference
    columns = {name: table[name].to_pylist() for name in table.column_names}
    assert dross.load(columns).fingerprint() == reference
    assert dross.load(frame.set_index("name")).table.column_names[0] == "name"


def test_arrays() -> None:
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    data = dross.load(X=X, label=y)
    assert data.roles == {Role.FEATURES: ("X",), Role.LABEL: ("label",)}
    assert np.allclose(data.matrix(Role.FEATURES), X)
    assert data.codes.tolist() == y.tolist()
    assert dross.load(X, label=list(y)).fingerprint() == data.fingerprint()
    assert dross.load(X=X.tolist(), label=pd.Series(y)).fingerprint() == data.fingerprint()
    named = dross.load(X=pd.DataFrame(X, columns=["a", "b", "c"]), label=y)
    assert named.roles[Role.FEATURES] == ("a", "b", "c")
    texts = dross.load(text=["a", "b"], label=["x", None])
    assert texts.task is Task.CLASSIFICATION
    assert texts.codes.tolist() == [0, -1]


def test_lists_of_texts_are_names_or_values() -> None:
    table = {"a": ["one two", "three four"], "b": ["x y", "z w"]}
    assert dross.load(table, text=["a", "b"]).roles[Role.TEXT] == ("a", "b")
    assert dross.load(table, label=["cat", "dog"]).classes == ["cat", "dog"]
    assert Role.TEXT not in dross.load(table, text=[]).roles
    with pytest.raises(DrossError, match="no column 'c'"):
        dross.load(table, text=["a", "c"])
    with pytest.raises(DrossError, match="3 values for 2 rows"):
        dross.load(table, label=np.arange(3))


def test_odd_column_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(',"a b",=x\n5,x,1\n6,y,2\n')
    data = dross.load(tmp_path / "a.csv", label="a b")
    assert data.table.column_names == ["", "a b", "=x"]
    assert data.roles == {Role.ID: ("",), Role.FEATURES: ("=x",), Role.LABEL: ("a b",)}


def test_images_from_an_array() -> None:
    data = dross.load(X=np.zeros((4, 5, 6, 3), np.uint8), label=[0, 1, 0, 1])
    assert data.roles == {Role.IMAGE: ("image",), Role.LABEL: ("label",)}


def test_several_annotators_and_labels() -> None:
    votes = np.array([[0, 1, np.nan], [1, 1, 1]])
    data = dross.load(text=["a", "b"], annotations=votes)
    assert data.task is Task.ANNOTATED
    assert data.table.select(data.roles[Role.ANNOTATIONS]).to_pydict() == {
        "annotator_1": [0, 1], "annotator_2": [1, 1], "annotator_3": [None, 1],
    }  # fmt: skip
    many = dross.load(X=np.zeros((2, 2)), labels=np.array([[1, 0, 1], [0, 0, 0]]))
    assert many.task is Task.MULTILABEL
    assert many.column(Role.LABELS).to_pylist() == [[0, 2], []]
    listed = dross.load({"text": ["a b", "c d"], "label": [["x", "y"], []]}, label="label")
    assert listed.task is Task.MULTILABEL
    assert remarks(listed)


def test_what_the_user_says_wins() -> None:
    table = {"text": ["one two", "three four"], "label": [0, 1], "other": ["a", "b"], "id": [5, 6]}
    assert dross.load(table).roles == {Role.ID: ("id",), Role.TEXT: ("text",), Role.LABEL: ("label",)}
    data = dross.load(table, label="other", id=None, text=None, features=["label"])
    assert data.roles == {Role.FEATURES: ("label",), Role.LABEL: ("other",)}
    said = {role: why for role, _, why in describe_roles(dross.load(table, label="other"))}
    assert said["label"] == "given"
    assert said["text"] != "given"


def test_a_label_of_continuous_numbers_is_a_target() -> None:
    rng = np.random.default_rng(0)
    data = dross.load({"x": rng.normal(size=200), "price": rng.normal(size=200)}, label="price")
    assert data.task is Task.REGRESSION
    assert "regression" in remarks(data)[0]
    counts = dross.load({"x": rng.normal(size=200), "y": rng.integers(0, 5, 200).astype(float)}, label="y")
    assert counts.task is Task.CLASSIFICATION


def test_vectors_beside_a_file(tmp_path: Path) -> None:
    table = some_rows().select(["name", "label"]).slice(0, 9)
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([1, 1], 9).astype(np.float16)
    path = tmp_path / "a.csv"
    write(table, path)
    np.savez(tmp_path / "p.npz", pred_probs=probs, other=probs)
    np.save(tmp_path / "e.npy", rng.normal(size=(9, 4)))
    plain = dross.load(path, label="label")
    data = dross.load(path, label="label", pred_probs=tmp_path / "p.npz", embedding=str(tmp_path / "e.npy"))
    assert np.allclose(data.matrix(Role.PROBS), probs)
    assert data.matrix(Role.EMBEDDING).shape == (9, 4)
    assert (data.row_ids == plain.row_ids).all(), "vectors brought along do not change the ids"
    assert users(data.table).column_names == ["name", "label"]
    again = dross.load(data.source.path, **json.loads(json.dumps(data.source.options)))  # type: ignore[union-attr]
    assert again.fingerprint() == data.fingerprint()
    given = dross.load(path, label="label", pred_probs=probs)
    assert given.matrix(Role.PROBS).dtype == np.float32


def test_vectors_in_a_column() -> None:
    lists = [[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]]
    data = dross.load({"p": lists, "y": ["a", "b", "a"], "x": [1, 2, 3]}, label="y", pred_probs="p")
    assert np.allclose(data.matrix(Role.PROBS), lists)
    assert users(data.table).column_names == ["p", "y", "x"]


def test_a_file_of_vectors_is_found_again_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("e.npy", np.eye(4))
    pl.DataFrame({"x": range(4), "y": list("abab")}).write_csv("d.csv")
    data = dross.load("d.csv", label="y", embedding="e.npy")
    monkeypatch.chdir("/")
    assert data.source is not None
    again = dross.load(tmp_path / "d.csv", **data.source.options)
    assert np.array_equal(again.matrix(Role.EMBEDDING), np.eye(4))


@pytest.mark.parametrize(
    ("probs", "says"),
    [
        (np.full((4, 2), 0.4), "row 0 sum to 0.8, not 1"),
        (np.array([[0.5, 0.5]] * 3 + [[1.5, -0.5]]), "row 3 holds a probability outside 0 to 1"),
        (np.array([[0.5, 0.5]] * 3 + [[np.nan, 1]]), "NaN or infinity in row 3"),
        (np.array([[0.5, 0.5]] * 3 + [[np.inf, 1]]), "NaN or infinity in row 3"),
        (np.full((4, 4), 0.25), "4 columns of probabilities for 2 classes.*a, b"),
        (np.full((3, 2), 0.5), "3 rows where the data has 4"),
        (np.full(4, 0.5), "not lists of numbers"),
        ("missing", "neither a column nor a .npy"),
        ("missing.npy", "no such file"),
    ],
)
def test_bad_probabilities(probs: object, says: str) -> None:
    with pytest.raises(DrossError, match=says):
        dross.load({"x": [1, 2, 3, 4], "y": ["a", "b", "a", "b"]}, label="y", pred_probs=probs)


def test_numbers_that_are_missing_or_endless_are_let_in() -> None:
    data = dross.load({"x": [1.0, float("nan"), float("inf")], "y": ["a", "b", "a"]}, label="y")
    assert data.roles[Role.FEATURES] == ("x",)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"label": "lable"}, "no column 'lable'.*did you mean 'label'"),
        ({"lable": "label"}, "no role called 'lable'.*did you mean 'label'"),
        ({"label": ["label", "x"]}, "takes one column"),
        ({"label": "empty"}, "every label is missing"),
        ({"target": "label"}, "holds no numbers, for example 'a'"),
        ({"target": "empty"}, "holds no numbers"),
        ({"labels": "empty"}, "every label is missing"),
        ({"label": np.array(["a", "b", "a", "b"])}, "label is an array, but the data is a file"),
        ({"text": "x", "label": "label", "probs": "x", "pred_probs": "x"}, "are the same role"),
        ({"X": np.zeros((4, 2))}, "both a source and X"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, object], says: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,label,empty\n1,a,\n2,b,\n3,a,\n4,b,\n")
    with pytest.raises(DrossError, match=f"(?s){says}"):
        dross.load(path, **options)  # type: ignore[arg-type]


def test_a_label_with_a_million_values() -> None:
    n = 1_000_000
    ids = pa.array(np.arange(n))
    with pytest.raises(DrossError, match=r"1,000,000 different labels.*target=y"):
        dross.load({"x": ids, "y": ids}, label="y")
    with pytest.raises(DrossError, match="1,000,000 different labels"):
        dross.load({"x": ids, "y": ids.cast(pa.string())}, label="y")
    assert Role.LABEL not in dross.load({"x": ids, "label": ids.cast(pa.string())}).roles


def test_ids() -> None:
    with pytest.raises(DrossError, match="more than one row"):
        _ = dross.load({"key": ["a", "a"], "x": [1, 2]}, id="key").row_ids
    data = dross.load({"id": [1, 1], "x": [1, 2]})
    assert Role.ID not in data.roles
    assert "not used as the id" in remarks(data)[0]


@pytest.mark.parametrize(("rows", "task"), [(1, Task.CLASSIFICATION), (3, Task.CLASSIFICATION)])
def test_one_row_and_one_class_are_no_errors(rows: int, task: Task) -> None:
    data = dross.load({"x": [1.5] * rows, "label": ["a"] * rows})
    assert (len(data), data.task) == (rows, task)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (3, "cannot load a int"),
        (None, "nothing to load"),
        ({}, "no rows"),
        ({"x": []}, "no rows"),
        ({"x": [1, 2], "y": [1]}, "different lengths: x has 2, y has 1"),
        ({"x": "abc"}, "one value, not a column"),
        ("s3://bucket/a.csv", "on this machine"),
        ("", "no such file or folder"),
        ("x" * 5000 + ".csv", "name too long"),
        ("a\0.csv", "no such file or folder"),
        ({"x": ["\ud800", "a"]}, "not Unicode"),
        ({"x": {1, 2}}, "one value, not a column"),
        (np.float64(3), "cannot load a float64"),
        (np.array([[1j]]), "matrix of complex128, not of numbers"),
        (pd.Series([1, 2]), "cannot load a Series"),
        (pl.Series([1, 2]), "cannot load a Series"),
        (pa.table([[1], [2]], names=["a", "a"]), "two columns are called 'a'"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are called 'a'"),
    ],
)
def test_bad_sources(source: object, says: str) -> None:
    with pytest.raises(DrossError, match=says):
        dross.load(source)


def test_mixed_objects_are_text(tmp_path: Path) -> None:
    for source in ({"x": [1, "a", None, [2]]}, pd.DataFrame({"x": [1, "a", None, [2]]})):
        data = dross.load(source, text="x")
        assert data.table["x"].to_pylist() == ["1", "a", None, "[2]"]
        assert "several types" in remarks(data)[0]


def test_missing_and_unreadable_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "train.csv"
    path.write_text("a\n1\n")
    with pytest.raises(DrossError, match=r"no such file.*did you mean 'train\.csv'"):
        dross.load(tmp_path / "trian.csv")
    with pytest.raises(DrossError, match="no readable file"):
        dross.load(str(tmp_path / "*.parquet"))
    (tmp_path / "notes.txt").write_text("hi")
    with pytest.raises(DrossError, match="names no format"):
        dross.load(tmp_path / "notes.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DrossError, match="no readable file"):
        dross.load(tmp_path / "empty")
    (tmp_path / "b.parquet").write_bytes(b"")
    with pytest.raises(DrossError, match="different formats"):
        dross.load(tmp_path)
    if os.geteuid():
        path.chmod(0)
        with pytest.raises(DrossError, match="no permission"):
            dross.load(path)


def test_a_forbidden_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")

    def forbidden(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pa, "input_stream", forbidden)
    with pytest.raises(DrossError, match=r"no permission to read this file \(in .*a\.csv\)"):
        dross.load(path)


def test_a_folder_of_parquet_in_folders(tmp_path: Path) -> None:
    for part in ("b", "a"):
        (tmp_path / part).mkdir()
        pq.write_table(pa.table({"x": [part]}), tmp_path / part / "0.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    assert dross.load(tmp_path).table["x"].to_pylist() == ["a", "b"]


def test_nothing_of_dross_is_left_in_a_derived_dataset() -> None:
    data = dross.load({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "a"]}, label="y")
    assert describe_roles(data.take(np.array([2, 0]))) == describe_roles(data)
    assert describe_roles(Dataset(pa.table({"x": [1]}), {Role.FEATURES: ["x"]})) == [("features", ("x",), "given")]


def test_real_mnist() -> None:
    stored = np.load(real("mnist_label_errors") / "mnist_test.npz")
    data = dross.load(X=stored["images"], label=stored["given_label"], pred_probs=stored["pred_probs"])
    assert data.task is Task.CLASSIFICATION
    assert data.matrix(Role.PROBS).shape == (10_000, 10)
    assert len(data.classes) == 10


@pytest.mark.parametrize(
    ("name", "file", "roles"),
    [
        ("intent_banking77", "banking77", {"text": ("text",), "label": ("category",), "split": ("split",)}),
        ("twenty_news_label_errors", "test", {"id": ("index",), "text": ("text",), "label": ("given_label",)}),
        ("cifar10n_human_noise", "images_15000", {"id": ("index",), "image": ("jpeg",)}),
        ("crowd_weather_sentiment", "tweets", {"id": ("tweet_id",), "text": ("tweet_body",), "label": ("sentiment",)}),
    ],
)
def test_real_roles(name: str, file: str, roles: dict[str, tuple[str, ...]]) -> None:
    data = dross.load(real(name) / f"{file}.parquet")
    assert {role.value: columns for role, columns in data.roles.items()} == roles
