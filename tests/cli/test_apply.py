from __future__ import annotations

from pathlib import Path

import pytest

from dross.ledger import Ledger
from tests.ledger.made import audited_file, dross


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return audited_file(tmp_path)


def test_a_dry_run_shows_the_edits_and_writes_nothing(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("apply", "--dry-run") == 0
    text = capsys.readouterr().out
    assert '"a" → "b"' in text
    assert "row 4" in text
    assert "dropped" in text
    assert "waiting for review: 1 outlier" in text
    assert "nothing is written" in text
    assert ledger.versions() == []


def test_applies_and_says_how_to_take_it_back(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("apply") == 0
    text = capsys.readouterr().out
    assert "version 1 is written (5 rows)" in text
    assert "dross undo v1" in text
    assert [v.command for v in ledger.versions()] == ["base", "apply"]


def test_applying_again_says_that_all_is_done(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    dross("apply")
    capsys.readouterr()
    assert dross("apply") == 0
    assert "nothing is written" in capsys.readouterr().out
    assert len(ledger.versions()) == 2


def test_a_policy(ledger: Ledger) -> None:
    assert dross("apply", "--policy", "outlier=drop,label=review", "--run", "r1") == 0
    assert [(e.row, e.action) for e in ledger.log()] == [(3, "drop")]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--policy", "lable=drop"], "did you mean 'label'"),
        (["--run", "r7"], "there is no run 'r7'"),
        (["--workspace", "nowhere"], "run dross audit DATA first"),
    ],
)
def test_mistakes_exit_with_2(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], words: list[str], problem: str
) -> None:
    assert dross("apply", *words) == 2
    captured = capsys.readouterr()
    assert problem in captured.err
    assert captured.out == ""
    assert ledger.versions() == []


def test_hostile_labels_are_inert_in_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    audited_file(tmp_path, "x,y\n1,a\x1b[31m\n2,b[bold]\n3,a\x1b[31m\n4,b[bold]\n5,a\x1b[31m\n6,b[bold]\n")
    assert dross("apply", "--dry-run") == 0
    assert dross("apply") == 0
    assert dross("log") == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "[bold]" in text
