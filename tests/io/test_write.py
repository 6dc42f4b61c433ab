from __future__ import annotations

import datetime
import errno
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dross
from dross.core.dataset import Source
from dross.core.errors import DrossError
from dross.io import write
from dross.io.place import placing

FILES = ["a.parquet", "a.csv", "a.tsv.gz", "a.jsonl", "a.arrow", "folder"]


def rows() -> pa.Table:
    return pa.table({"text": ["=1+1", "b"], "x": [1.5, None]})


@pytest.mark.parametrize("name", FILES)
def test_all_or_nothing(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DrossError, match="No space left on device"):
            write(rows(), path)
    assert list(tmp_path.iterdir()) == []
    write(rows(), path)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_replaced_unless_asked(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(rows(), path)
    with pytest.raises(DrossError, match="the file exists"):
        write(rows().slice(1), path)
    assert len(dross.load(path)) == 2
    write(rows().slice(1), path, overwrite=True)
    assert len(dross.load(path)) == 1
    with pytest.raises(DrossError, match="never changes a source"):
        write(rows(), path, overwrite=True, source=dross.load(path).source)


def test_the_source_is_safe(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    write(rows(), folder / "0.csv")
    (tmp_path / "link.csv").symlink_to(folder / "0.csv")
    for source in (str(folder), str(folder / "*.csv"), str(folder / "0.csv")):
        for path in (folder / "0.csv", tmp_path / "link.csv"):
            with pytest.raises(DrossError, match="never changes a source"):
                write(rows(), path, overwrite=True, source=Source(source, "csv"))
    with pytest.raises(DrossError, match="never changes a source"):
        write(rows(), folder / "1.csv", source=Source(str(folder), "csv"))
    write(rows(), tmp_path / "out.csv", source=Source(str(folder), "csv"))


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"

    def meanwhile() -> None:
        with placing(path) as temporary:
            temporary.write_text("mine")
            path.write_text("yours")

    with pytest.raises(DrossError, match="the file exists"):
        meanwhile()
    assert path.read_text() == "yours"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("a.xlsx", {}, "names no format.*use .parquet"),
        ("a.csv", {"format": "exel"}, "no format 'exel'"),
        ("no/such/a.csv", {}, "no folder"),
    ],
)
def test_bad_targets(tmp_path: Path, name: str, options: dict[str, str], says: str) -> None:
    with pytest.raises(DrossError, match=says):
        write(rows(), tmp_path / name, **options)  # type: ignore[arg-type]


def test_a_users_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(DrossError, match="holds something else"):
        write(rows(), tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_what_a_format_cannot_hold(tmp_path: Path) -> None:
    for name in ("a.csv", "a.jsonl"):
        with pytest.raises(DrossError, match="bytes in the column 'b'"):
            write(pa.table({"b": [b"x"]}), tmp_path / name)
    with pytest.raises(DrossError, match="infinity"):
        write(pa.table({"x": [float("inf")]}), tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_columns_that_dross_added_are_left_out(tmp_path: Path) -> None:
    data = dross.load({"x": [1, 2], "y": ["a", "b"]}, label="y", pred_probs=np.eye(2), embedding=np.eye(2))
    for name in FILES:
        write(data.table, tmp_path / name)
        assert dross.load(tmp_path / name).table.column_names == ["x", "y"]


def test_types_come_back(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "c": pd.Categorical(["a", "b", None]),
            "h": np.array([1, 2, 3], np.float16),
            "i": np.array([1, 2, 3], np.int8),
            "t": pd.to_datetime(["2024-01-01", "2024-01-02", None]).astype("datetime64[ns]"),
        }
    )
    frame.to_parquet(tmp_path / "in.parquet")
    data = dross.load(tmp_path / "in.parquet")
    assert [str(kind) for kind in data.table.schema.types] == ["large_string", "float", "int8", "timestamp[us]"]
    write(data.table, tmp_path / "out.parquet")
    before, after = pq.read_table(tmp_path / "in.parquet"), pq.read_table(tmp_path / "out.parquet")
    assert after.equals(before)
    assert after.schema.equals(before.schema, check_metadata=True)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), frame)


def test_lists_and_objects_in_csv_are_json(tmp_path: Path) -> None:
    table = pa.table({"l": [["a", 'b"'], None, []], "s": [{"k": 1}, {"k": None}, None]})
    write(table, tmp_path / "a.csv")
    again = dross.load(tmp_path / "a.csv", labels="l")
    assert again.table["l"].to_pylist() == [["a", 'b"'], None, []]
    assert again.table["s"].to_pylist() == ['{"k":1}', '{"k":null}', None]


VALUES = {
    "s": st.none() | st.text(alphabet='ab,;"\n\r\t é\x00\u202e<', min_size=1, max_size=8).filter(lambda s: s.strip()),
    "i": st.none() | st.integers(-(2**63), 2**63 - 1),
    "x": st.none() | st.floats(width=64),
    "b": st.none() | st.booleans(),
    "d": st.none() | st.dates(datetime.date(1, 1, 1)),
    "t": st.none() | st.datetimes(datetime.datetime(1700, 1, 1)),
}
TYPES = {
    "s": pa.large_string(),
    "i": pa.int64(),
    "x": pa.float64(),
    "b": pa.bool_(),
    "d": pa.date32(),
    "t": pa.timestamp("us"),
}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=6), st.sampled_from(["a.csv", "a.tsv.gz"]))
def test_csv_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], name: str) -> None:
    """Every value of a typed table comes back from CSV, and so do the types that some value shows."""
    table = pa.table({c: pa.array([row[c] for row in rows], kind) for c, kind in TYPES.items()})
    table = table.append_column("sure", pa.array(["text"] * len(rows)))
    path = tmp_path_factory.mktemp("trip") / name
    write(table, path, verbatim=True)
    again = dross.load(path, id=None).table
    assert again.column_names == table.column_names
    for c in TYPES:
        if c == "x":
            assert np.array_equal(
                np.array(again[c].to_pylist(), float), np.array(table[c].to_pylist(), float), equal_nan=True
            )
        elif c == "s" or table[c].null_count < len(rows):
            assert again[c].to_pylist() == table[c].to_pylist(), c


def test_one_column_with_gaps_keeps_its_rows(tmp_path: Path) -> None:
    write(pa.table({"x": [1, None, 3]}), tmp_path / "a.csv")
    assert dross.load(tmp_path / "a.csv").table["x"].to_pylist() == [1, None, 3]


def test_hugging_face_folder(tmp_path: Path) -> None:
    write(rows(), tmp_path / "out", "huggingface")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "data-00000-of-00001.arrow", "dataset_info.json", "state.json",
    }  # fmt: skip
    assert dross.load(tmp_path / "out").table["text"].to_pylist() == ["=1+1", "b"]
