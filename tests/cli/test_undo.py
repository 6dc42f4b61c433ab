from __future__ import annotations

from pathlib import Path

import pytest

from dross.ledger import Ledger
from tests.ledger.made import audited_file, dross


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.chdir(tmp_path)
    made = audited_file(tmp_path)
    made.apply()
    return made


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["1"], {2, 3}),
        (["r1"], set()),
        (["--run", "r1"], set()),
        (["v1"], set()),
        (["--all"], set()),
        (["3", "--reason", "a mistake"], {1, 2}),
    ],
)
def test_takes_back(ledger: Ledger, words: list[str], left: set[int], capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("undo", *words) == 0
    count = "1 edit" if len(left) == 2 else f"{3 - len(left)} edits"
    assert f"{count} taken back; version 2 is written" in capsys.readouterr().out
    assert {e.id for e in ledger.log() if e.active and e.reverses is None} == left
    assert next(ledger.log()).reason == ("a mistake" if "--reason" in words else "taken back")


def test_makes_again(ledger: Ledger) -> None:
    assert dross("undo", "--all") == 0
    assert dross("undo", "v2") == 0
    assert {e.id for e in ledger.log() if e.active and e.reverses is None} == {1, 2, 3}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["17"], "there is no edit 17"),
        (["r5"], "there is no run 'r5'"),
        (["v5"], "there is no version 5"),
        (["v0"], "nothing to take back"),
        (["label"], "neither an edit, a run nor a version"),
        ([], "say what to take back"),
        (["1", "--all"], "say what to take back"),
        (["r1", "--run", "r2"], "two runs"),
    ],
)
def test_mistakes_exit_with_2(
    ledger: Ledger, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dross("undo", *words) == 2
    assert problem in capsys.readouterr().err
    assert len(ledger.versions()) == 2


def test_twice_is_a_mistake(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    dross("undo", "1")
    assert dross("undo", "1") == 2
    assert "taken back already, by edit 4" in capsys.readouterr().err
