from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

import dross
from dross.core.errors import DrossError
from dross.core.roles import Role, Task
from dross.io import write

FEATURES: dict[str, Any] = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
    "tags": {"feature": {"names": ["x", "y"], "_type": "ClassLabel"}, "_type": "List"},
}
TABLE = pa.table({"text": ["a b", "c d", "e f"], "label": [1, 0, -1], "tags": [[0], [1, 0], []]})
STATE = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_fingerprint": "0", "_split": None}


class Stub:
    """What dross asks of a ``datasets.Dataset``."""

    def __init__(self, table: pa.Table, rows: list[int] | None = None) -> None:
        self.table, self.rows = table, rows
        self.num_rows = len(rows) if rows is not None else table.num_rows
        self.features = {"text": object(), "label": SimpleNamespace(names=["neg", "pos"]), "tags": object()}

    def with_format(self, kind: str) -> Stub:
        assert kind == "arrow"
        return self

    def __getitem__(self, rows: slice) -> pa.Table:
        return self.table.take(self.rows) if self.rows is not None else self.table


def save(folder: Path, table: pa.Table = TABLE, features: dict[str, Any] | None = None) -> Path:
    """A folder as ``save_to_disk`` writes it."""
    folder.mkdir(parents=True)
    path = folder / "data-00000-of-00001.arrow"
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    (folder / "dataset_info.json").write_text(json.dumps({"features": features or FEATURES}))
    (folder / "state.json").write_text(json.dumps(STATE))
    return folder


def test_objects_in_their_order_with_class_names() -> None:
    data = dross.load(Stub(TABLE, [2, 0]))
    assert data.table["text"].to_pylist() == ["e f", "a b"]
    assert data.table["label"].to_pylist() == [None, "pos"]
    assert data.task is Task.CLASSIFICATION


def test_a_dictionary_of_datasets() -> None:
    data = dross.load({"train": Stub(TABLE), "test": Stub(TABLE, [0])})
    assert data.roles[Role.SPLIT] == ("split",)
    assert data.table["split"].to_pylist() == ["train"] * 3 + ["test"]
    assert data.table["label"].to_pylist() == ["pos", "neg", None, "pos"]


def test_saved_folders(tmp_path: Path) -> None:
    data = dross.load(save(tmp_path / "one"), label="label")
    assert data.table.to_pydict() == {
        "text": ["a b", "c d", "e f"], "label": ["pos", "neg", None], "tags": [["x"], ["y", "x"], []],
    }  # fmt: skip
    save(tmp_path / "two" / "train")
    save(tmp_path / "two" / "test")
    (tmp_path / "two" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    both = dross.load(tmp_path / "two")
    assert both.source is not None
    assert both.source.format == "huggingface"
    assert both.table["split"].to_pylist() == ["train"] * 3 + ["test"] * 3


def test_class_numbers_come_back(tmp_path: Path) -> None:
    data = dross.load(save(tmp_path / "in"))
    write(data.table, tmp_path / "out")
    with pa.memory_map(str(tmp_path / "out" / "data-00000-of-00001.arrow")) as mapped:
        again = pa.ipc.open_stream(mapped).read_all()
    assert again.to_pydict() == TABLE.to_pydict()
    assert again.schema.types == TABLE.schema.types
    assert json.loads(again.schema.metadata[b"huggingface"])["info"]["features"] == FEATURES
    assert dross.load(tmp_path / "out").fingerprint() == data.fingerprint()


def test_a_label_outside_the_classes_is_kept_as_text(tmp_path: Path) -> None:
    data = dross.load(save(tmp_path / "in"))
    edited = data.with_column("label", pa.array(["pos", "new", None], pa.large_string()))
    write(edited.table, tmp_path / "out")
    assert dross.load(tmp_path / "out").table["label"].to_pylist() == ["pos", "new", None]


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("state.json", "{", "cannot be read"),
        ("state.json", "[]", "not a JSON object"),
        ("state.json", "{}", "no data files are named"),
        ("state.json", json.dumps({**STATE, "_indices_data_files": [{"filename": "i"}]}), "flatten_indices"),
        ("state.json", json.dumps({"_data_files": [{"filename": "gone.arrow"}]}), "no such file"),
    ],
)
def test_damaged_folders(tmp_path: Path, file: str, content: str, says: str) -> None:
    save(tmp_path / "in")
    (tmp_path / "in" / file).write_text(content)
    with pytest.raises(DrossError, match=says):
        dross.load(tmp_path / "in")


def test_class_numbers_without_a_name(tmp_path: Path) -> None:
    features = {**FEATURES, "label": {"names": ["only"], "_type": "ClassLabel"}}
    with pytest.raises(DrossError, match="outside the 1 classes"):
        dross.load(save(tmp_path / "in", features=features))
