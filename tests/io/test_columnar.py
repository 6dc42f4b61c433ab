from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dross
from dross.core.errors import DrossError


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@settings(max_examples=40, deadline=None)
@given(cut=st.floats(0, 1), flip=st.integers(0, 10_000))
def test_damaged_files(tmp_path_factory: pytest.TempPathFactory, suffix: str, cut: float, flip: int) -> None:
    """A file that is cut or has a wrong byte is read, or refused in words; it never raises anything else."""
    path = tmp_path_factory.mktemp("damaged") / f"a.{suffix}"
    table = pa.table({"x": np.arange(200), "s": [f"text {i}" for i in range(200)]})
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
    whole = bytearray(path.read_bytes())
    path.write_bytes(whole[: int(cut * (len(whole) - 1))])
    with pytest.raises(DrossError, match=path.name):
        dross.load(path)
    whole[flip % len(whole)] ^= 0xFF
    path.write_bytes(whole)
    said = path.name
    try:
        dross.load(path)
    except DrossError as error:
        said = str(error)
    assert path.name in said


def test_arrow_files_of_every_kind(tmp_path: Path) -> None:
    table = pa.table({"x": [1, 2]})
    with pa.OSFile(str(tmp_path / "stream.arrow"), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    pyarrow.feather.write_feather(table, str(tmp_path / "two.feather"))
    for name in ("stream.arrow", "two.feather"):
        assert dross.load(tmp_path / name).table.to_pydict() == table.to_pydict()


def test_empty_and_without_rows(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").touch()
    with pytest.raises(DrossError, match="file is empty"):
        dross.load(tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": pa.array([], pa.int64())}), tmp_path / "b.parquet")
    with pytest.raises(DrossError, match="no rows"):
        dross.load(tmp_path / "b.parquet")


def test_shards_are_unified_or_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([1], pa.int32()), "s": ["a"]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"s": pa.array(["b"]).dictionary_encode(), "x": [0.5]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"x": pa.nulls(1), "s": ["c"]}), tmp_path / "2.parquet")
    assert dross.load(tmp_path).table.to_pydict() == {"x": [1.0, 0.5, None], "s": ["a", "b", "c"]}
    pq.write_table(pa.table({"x": ["word"], "s": ["d"]}), tmp_path / "3.parquet")
    with pytest.raises(DrossError, match=r"'x' holds large_string in this shard but double.*3\.parquet"):
        dross.load(tmp_path)


def test_unusual_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "view": pa.array(["a", "b"], pa.string_view()),
            "fixed": pa.array([b"ab", b"cd"], pa.binary(2)),
            "list": pa.array([["a"], None], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
            "null": pa.nulls(2),
            "nano": pa.array([1, 2], pa.timestamp("ns")),
            "money": pa.array([1, 2], pa.decimal128(10, 2)),
        }
    )
    path = tmp_path / "a.arrow"
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    data = dross.load(path)
    assert [str(kind) for kind in data.table.schema.types] == [
        "large_string", "large_binary", "large_list<item: large_string>", "large_string", "timestamp[ns]",
        "decimal128(10, 2)",
    ]  # fmt: skip
    assert data.table.to_pydict() == table.to_pydict()
    assert len(data.row_ids) == 2
