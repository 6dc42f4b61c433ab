from __future__ import annotations

import json
from pathlib import Path

import pytest

from dross.ledger import Ledger
from tests.ledger.made import audited_file, dross


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    made = audited_file(tmp_path)
    made.apply()
    made.undo(2, reason="it was right")
    return made


def test_people_see_versions_and_edits_newest_first(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("log") == 0
    text = capsys.readouterr().out
    assert text.index("undo 2") < text.index("│ apply") < text.index("as loaded")
    assert 'relabel y: "a" → "b"' in text
    assert "it was right" in text
    assert "(taken back)" in text


def test_machines_get_one_object_per_edit(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("log", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["id"] for line in lines] == [4, 3, 2, 1]
    assert lines[0]["reverses"] == 2
    assert lines[3] | {"time": ""} == {
        "id": 1, "version": 1, "run": "r1", "row_id": f"{next(iter(ledger.log(row=lines[3]['key']))).row_id:016x}",
        "row": 0, "key": lines[3]["key"], "field": "y", "action": "relabel", "before": "a", "after": "b",
        "issue": "label", "method": "some-method", "reason": lines[3]["reason"],
        "confidence": pytest.approx(0.95), "author": "some-method", "time": "", "reverses": None, "batch": 1,
        "active": True,
    }  # fmt: skip


def test_one_row(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    key = next(edit.key for edit in ledger.log() if edit.id == 2)
    assert dross("log", "--row", key, "--json") == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == [4, 2]
    assert dross("log", "--row", "nobody") == 0
    assert "no edits that match" in capsys.readouterr().out


def test_a_long_log_is_cut_and_says_so(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("log", "--limit", "1") == 0
    text = capsys.readouterr().out
    assert "these are the newest 1" in text
    assert "dropped" not in text


def test_an_empty_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    audited_file(tmp_path)
    assert dross("log") == 0
    assert capsys.readouterr().out == "no edits\n"
