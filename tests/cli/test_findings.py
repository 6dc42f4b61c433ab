from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dross.ledger import Ledger
from tests.ledger.made import audited_file, dross

COLUMNS = ["row", "id", "issue", "score", "flagged", "suggestion", "method", "expected_precision"]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.chdir(tmp_path)
    return audited_file(tmp_path)


def test_one_line_per_finding(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("findings") == 0
    header, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == COLUMNS
    assert [(row[0], row[2], row[5]) for row in rows] == [
        ("0", "label", "b"), ("1", "label", "a"), ("4", "duplicate", "2"), ("3", "outlier", ""), ("5", "outlier", ""),
    ]  # fmt: skip
    assert (rows[0][3], rows[0][4], rows[0][6], rows[0][7]) == ("0.9", "true", "some-method", "0.95")


def test_narrowed(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("findings", "--issue", "outlier", "--flagged", "--format", "json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert list(json.loads(line)) == COLUMNS
    assert json.loads(line)["row"] == 3
    assert dross("findings", "--issue", "near-duplicate", "--format", "json") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("name", "more"), [("f.csv", []), ("f.json", []), ("f.txt", ["--format", "csv"])])
def test_text_to_a_file_is_what_would_be_printed(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], name: str, more: list[str]
) -> None:
    kind = ["--format", "json"] if name.endswith("json") else []
    assert dross("findings", *kind) == 0
    printed = capsys.readouterr().out
    assert dross("findings", "--out", name, *more) == 0
    assert capsys.readouterr().out == ""
    assert Path(name).read_text() == printed


def test_parquet(ledger: Ledger) -> None:
    assert dross("findings", "--out", "f.parquet") == 0
    assert pq.read_table("f.parquet").column_names == COLUMNS


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--issue", "lable"], "did you mean 'label'"),
        (["--format", "xml"], "choose one of: csv, json, parquet"),
        (["--format", "parquet"], "name a file with --out"),
        (["--out", "f.xml"], "names no format"),
        (["--out", "data.csv"], "it may be yours"),
        (["--run", "r2"], "there is no run"),
    ],
)
def test_mistakes_exit_with_2(
    ledger: Ledger, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path("data.csv").read_bytes()
    assert dross("findings", *words) == 2
    captured = capsys.readouterr()
    assert problem in captured.err
    assert captured.out == ""
    assert Path("data.csv").read_bytes() == before
