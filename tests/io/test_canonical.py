from __future__ import annotations

import json

import polars as pl
import pyarrow as pa
import pytest

from dross.io.canonical import canonical, restore

TABLES = [
    pa.table({"a": pa.array(["x", None, "y"]).dictionary_encode()}),
    pa.table({"a": pa.array([1.5, None, 2], pa.float16())}),
    pa.table({"a": pa.array([[["x"]], None, []], pa.list_(pa.list_(pa.string())))}),
    pa.table({"a": pa.array([{"b": "x", "c": [1]}, None, {"b": None, "c": None}])}),
    pa.table({"a": pa.array([["x"], None, []], pa.list_view(pa.string()))}),
    pa.table({"a": pa.array([1, None], pa.timestamp("s", "UTC"))}),
    pa.table({"a": pa.array([1], pa.timestamp("ns"))}),
    pa.table({"a": pa.array([b"xy", None], pa.binary(2))}),
    pa.table({"a": pa.array([[1.0, 2.0], None], pa.list_(pa.float16(), 2))}),
    pa.table({"a": [1]}).replace_schema_metadata({b"note": b"\xff\xfe", b"other": b"text"}),
    pa.table({"a": pa.array([1])}, schema=pa.schema([pa.field("a", pa.int64(), metadata={b"k": b"\xff"})])),
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.schema.field(0).type))
def test_there_and_back(table: pa.Table) -> None:
    changed = canonical(table)
    assert changed.to_pydict() == table.to_pydict()
    assert canonical(changed).schema.equals(changed.schema, check_metadata=True)
    pl.DataFrame(changed)  # polars stops at metadata that is not text
    back = restore(changed)
    assert back.equals(table)
    assert (back.schema.metadata or {}) == (table.schema.metadata or {})


def test_slices_and_edits() -> None:
    names = json.dumps(
        {"info": {"features": {"y": {"feature": {"names": ["a", "b"], "_type": "ClassLabel"}, "_type": "Sequence"}}}}
    )
    table = pa.table({"y": [[0], None, [1, 0], []]}).replace_schema_metadata({b"huggingface": names.encode()})
    changed = canonical(table.slice(1))
    assert changed["y"].to_pylist() == [None, ["b", "a"], []]
    assert restore(changed.slice(1)).equals(table.slice(2))


def test_extension_types() -> None:
    storage = pa.array([b"0123456789abcdef"], pa.binary(16))
    table = pa.table({"u": pa.ExtensionArray.from_storage(pa.uuid(), storage)})
    assert canonical(table)["u"].to_pylist() == [b"0123456789abcdef"]
