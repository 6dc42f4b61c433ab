from __future__ import annotations

from pathlib import Path

import pytest

from dross.ledger import Ledger
from tests.ledger.made import audited_file, dross


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.chdir(tmp_path)
    return audited_file(tmp_path)


def test_the_whole_round(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("apply") == 0
    assert dross("export", "--out", "clean.csv") == 0
    assert Path("clean.csv").read_text() == "x,y\n1,b\n2,a\n3,a\n4,b\n6,b\n"
    assert "5 rows written to clean.csv" in capsys.readouterr().err
    assert dross("undo", "--all") == 0
    assert dross("export", "--out", "clean.csv") == 0
    assert Path("clean.csv").read_bytes() == Path("data.csv").read_bytes()
    assert Path("data.csv").read_text().startswith("x,y\n1,a\n")


def test_formulas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    audited_file(tmp_path, "x,y\n=cmd(),a\n2,b\n3,a\n4,b\n5,a\n6,b\n")
    assert dross("export", "--out", "out.csv") == 0
    assert "1 cell that a spreadsheet would run" in " ".join(capsys.readouterr().err.split())
    assert Path("out.csv").read_text().startswith("x,y\n'=cmd(),a\n")
    assert dross("export", "--out", "as-is.csv", "--verbatim") == 0
    assert Path("as-is.csv").read_bytes() == Path("data.csv").read_bytes()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--out", "data.csv"], "data.csv"),
        (["--out", "out.xlsx"], "names no format"),
        (["--out", "out.csv", "--format", "xml"], "no format 'xml'"),
        (["--out", "nowhere/out.csv"], "no folder"),
        (["--out", "out.csv", "--run", "r3"], "there is no run 'r3'"),
    ],
)
def test_mistakes_exit_with_2(
    ledger: Ledger, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path().iterdir())
    assert dross("export", *words) == 2
    assert problem in capsys.readouterr().err
    assert sorted(Path().iterdir()) == before


def test_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["export", "--out", "x.csv"], ["apply"], ["undo", "--all"], ["log"], ["findings"]):
        assert dross(*words) == 2
        assert "run dross audit DATA first" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
