from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

import dross
from dross.core.errors import DrossError
from dross.io import delimited, remarks


def put(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path, content: str | bytes, name: str = "data.csv") -> pa.Table:
    return delimited.read([put(folder, content, name)], "tsv" if ".tsv" in name else "csv")[0]


def test_types_are_those_that_every_cell_has(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        "id,n,x,b,d,t,s\n007,1,1.5,true,2024-02-29,2024-01-01 10:00,a\n010,NA,nan,False,,2024-01-01T10:00:01.5,NA\n",
    )
    assert [str(kind) for kind in table.schema.types] == [
        "large_string", "int64", "double", "bool", "date32[day]", "timestamp[us]", "large_string",
    ]  # fmt: skip
    assert table["id"].to_pylist() == ["007", "010"]
    assert table["n"].to_pylist() == [1, None]
    assert table["s"].to_pylist() == ["a", "NA"], "NA is a text like any other in a column of text"
    assert table["d"].to_pylist()[1] is None


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", " 2", ""], [1, 2, None]),
        (["?", "3", "-"], [None, 3, None]),
        (["0", "0.5", "-0.25"], [0.0, 0.5, -0.25]),
        (["1e3", "2"], [1000.0, 2.0]),
        (["+49170", "5"], ["+49170", "5"]),
        (["0x10", "2"], ["0x10", "2"]),
        (["-01", "2"], ["-01", "2"]),
        (["123456789012345678901", "2"], ["123456789012345678901", "2"]),
        (["9223372036854775807"], [9223372036854775807]),
        (["inf", "1"], [float("inf"), 1.0]),
        (["TRUE", "false"], [True, False]),
        (["yes", "no"], ["yes", "no"]),
        (["1", "b"], ["1", "b"]),
        (["2024-01-01", "soon"], ["2024-01-01", "soon"]),
        (["NA", ""], ["NA", None]),
    ],
)
def test_cells(tmp_path: Path, cells: list[str], expected: list[object]) -> None:
    table = read(tmp_path, "x,y\n" + "".join(f"{cell},z\n" for cell in cells))
    assert table["x"].to_pylist() == expected


def test_an_empty_cell_is_missing_and_an_empty_text_is_not(tmp_path: Path) -> None:
    assert read(tmp_path, 'a,b\n,""\nx,y\n').to_pydict() == {"a": [None, "x"], "b": ["", "y"]}


def test_quotes_line_breaks_and_other_alphabets(tmp_path: Path) -> None:
    table = read(tmp_path, 'a,b\r\n"x\ny","say ""hi"""\r\nnaïve,日本\r\n')
    assert table.to_pydict() == {"a": ["x\ny", "naïve"], "b": ['say "hi"', "日本"]}


def test_delimiters(tmp_path: Path) -> None:
    expected = {"a": [1, 3], "b": ["x,y", "z"]}
    assert read(tmp_path, "a;b\n1;x,y\n3;z\n").to_pydict() == expected
    assert read(tmp_path, "a\tb\n1\tx,y\n3\tz\n", "data.tsv").to_pydict() == expected
    assert read(tmp_path, "a|b\n1|x,y\n3|z\n").to_pydict() == expected


def test_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffa,b\n\n1,2\n\n3,4\n").to_pydict() == {"a": [1, 3], "b": [2, 4]}


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed(tmp_path: Path, suffix: str) -> None:
    content = b"a,b\n" + b"1,x\n" * 1000
    squeezed = gzip.compress(content) if suffix == ".gz" else pa.compress(content, "zstd", asbytes=True)
    assert read(tmp_path, squeezed, f"data.csv{suffix}").num_rows == 1000
    path = put(tmp_path, squeezed[: len(squeezed) // 2], f"half.csv{suffix}")
    with pytest.raises(DrossError, match="cut short") as error:
        dross.load(str(path))
    assert "half.csv" in str(error.value)


def test_a_megabyte_cell(tmp_path: Path) -> None:
    big = "x" * 17_000_000
    assert read(tmp_path, f"a,b\n{big},1\nshort,2\n")["a"].to_pylist() == [big, "short"]


def test_mixed_columns_are_text_and_said_so(tmp_path: Path) -> None:
    rows = "".join(f"{i},a\n" for i in range(2000))
    data = dross.load(str(put(tmp_path, f"age,y\n{rows}unknown,b\n")), label="y")
    assert data.table["age"].type == pa.large_string()
    assert remarks(data) == [
        "the column 'age' is read as text: 1 of its cells are not numbers, the first is 'unknown' in row 2000"
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"a,b\n", "header but no rows"),
        (b"a,b", "header but no rows"),
        (b"a,a\n1,2\n", "two columns are called 'a'"),
        (b"a,b\n1,2\n3,4,5\n", "row 3, counting the header, has 3 cells instead of 2"),
        (b"a,b\n1,2\n3\n4\n", r"row 3, counting the header, has 1 cells instead of 2 \(2 such rows\)"),
        (b"a,b\n1,caf\xe9\n", "not UTF-8: byte 0xe9 in line 2.*iconv"),
        (b"a,caf\xe9\n1,2\n", "not UTF-8: byte 0xe9 in line 1"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16.*iconv -f UTF-16"),
        (b"PAR1\x00\xff", "not text but Parquet"),
        (b"PK\x03\x04\xff", "a spreadsheet"),
        (b'a,b\n1,"open\n2,3\n4,5\n', "row 2, counting the header, is never closed and swallows 3 lines"),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes, says: str) -> None:
    path = put(tmp_path, content)
    with pytest.raises(DrossError, match=f"(?s){says}") as error:
        dross.load(str(path))
    assert "data.csv" in str(error.value)
    assert error.value.__cause__ is None or not isinstance(error.value.__cause__, DrossError)


def test_nul_bytes_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, b"a,b\nx\x00y,1\n")["a"].to_pylist() == ["x\x00y"]


def test_shards_share_their_types(tmp_path: Path) -> None:
    put(tmp_path, "id,x\n1,2\n", "part-0.csv")
    put(tmp_path, "x,id\n2.5,007\n", "part-1.csv")
    data = dross.load(str(tmp_path / "part-*.csv"))
    assert data.table.to_pydict() == {"id": ["1", "007"], "x": [2.0, 2.5]}
    put(tmp_path, "id,z\n1,2\n", "part-2.csv")
    with pytest.raises(DrossError, match=r"lacks x and it also has z.*part-2\.csv"):
        dross.load(str(tmp_path))
