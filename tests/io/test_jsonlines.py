from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dross
from dross.core.errors import DrossError
from dross.io import jsonlines, remarks


def read(folder: Path, content: str | bytes, name: str = "a.jsonl") -> pa.Table:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return jsonlines.read([path])[0]


def test_values_keep_their_types(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        '{"i": 1, "x": 1, "s": "007", "d": "2024-01-01", "l": ["a"], "o": {"k": 1}, "b": true}\n'
        '\n{"i": 2, "x": 0.5, "s": "8", "d": null, "l": [], "o": null}\n',
    )
    assert [str(kind) for kind in table.schema.types] == [
        "int64", "double", "large_string", "date32[day]", "large_list<item: large_string>", "struct<k: int64>", "bool",
    ]  # fmt: skip
    assert table["s"].to_pylist() == ["007", "8"]
    assert table["b"].to_pylist() == [True, None]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, "a", None], ["1", "a", None]),
        ([True, 1], ["True", "1"]),
        ([{"a": 1}, [2]], ['{"a": 1}', "[2]"]),
        ([[1], "x"], ["[1]", "x"]),
        ([10**22, 1], [str(10**22), "1"]),
    ],
)
def test_mixed_columns_are_text(tmp_path: Path, values: list[object], expected: list[object]) -> None:
    lines = "".join(json.dumps({"x": value, "y": 1}) + "\n" for value in values)
    assert read(tmp_path, lines).to_pydict() == {"x": expected, "y": [1] * len(values)}


def test_mixed_columns_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"x": true, "y": "a"}\n{"x": 3, "y": "b"}\n')
    assert "several types (bool, int)" in remarks(dross.load(path, label="y"))[0]
    path.write_text('{"x": 1}\n{"x": 2}\n{"x": "n. a."}\n')
    assert "1 of its cells are not numbers, the first is 'n. a.' in row 2" in remarks(dross.load(path))[0]


def test_an_array_and_nan(tmp_path: Path) -> None:
    assert read(tmp_path, '\n [{"x": 1}, {"x": 2}]', "a.json").to_pydict() == {"x": [1, 2]}
    assert read(tmp_path, '{"x": NaN}\n{"x": 2.5}\n')["x"].to_pylist() == [None, 2.5]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b'{"x": 1}\n{"x": \n', "line 2 is not JSON"),
        (b'{"x": 1}\n[2]\n', "line 2 is not a JSON object"),
        (b'{"x": 1}\n\n3\n', "line 3 is not a JSON object"),
        (b'{"x": 1}\n{"x": "\xe9"}\n', "not UTF-8: byte 0xe9 in line 2"),
        (b"{}\n{}\n", "no keys"),
        (b"[1, 2]", "no array of objects"),
        (b"[{]", "not JSON"),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(DrossError, match=says) as error:
        read(tmp_path, content)
    assert "a.jsonl" in str(error.value)


def test_half_written(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"x": 1}\n' * 10_000)
    with pytest.raises(DrossError, match="cut short"):
        read(tmp_path, whole[:-20], "a.jsonl.gz")


def test_shards_may_lack_keys(tmp_path: Path) -> None:
    (tmp_path / "0.jsonl").write_text('{"x": 1, "n": null}\n')
    (tmp_path / "1.jsonl").write_text('{"y": "a", "x": 0.5, "n": 3}\n')
    table = dross.load(tmp_path).table
    assert table.to_pydict() == {"x": [1.0, 0.5], "n": [None, 3], "y": [None, "a"]}
    (tmp_path / "2.jsonl").write_text('{"x": "word"}\n')
    with pytest.raises(DrossError, match=r"column 'x' holds .*string in this shard.*2\.jsonl"):
        dross.load(tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=10), min_size=1, max_size=5))
def test_any_text(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    lines = "".join(json.dumps({"x": text, "z": "-"}, ensure_ascii=False) + "\n" for text in texts)
    assert read(tmp_path_factory.mktemp("any"), lines)["x"].to_pylist() == texts
