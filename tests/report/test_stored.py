from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.io import load
from dross.ledger import Ledger
from dross.report.stored import keep_proof, newest_proof, render_stored
from dross.testing.planted import blobs
from tests.ledger.made import dross
from tests.report.samples import label_errors, proof_json, run_of, tables_of

PLANTED = blobs(150, d=10, flipped=0.3, seed=1)
"""Its labels in ``classes`` are sorted as its truth counts them."""


def write(path: Path, labels: list[str]) -> None:
    assert PLANTED.truth is not None
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*(f"x{i}" for i in range(10)), "y"])
        for vector, label in zip(PLANTED.data.table.column("x").to_pylist(), labels, strict=True):
            out.writerow([*(f"{v:.5f}" for v in vector), label])


def truths() -> list[str]:
    assert PLANTED.truth is not None
    return [f"class {c}" for c in PLANTED.truth]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file, an audit of it in the ledger beside it, and the shell standing there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    write(tmp_path / "data.csv", PLANTED.data.table.column("label").to_pylist())
    data = loaded()
    found = [label_errors(data, 20)]
    with Ledger.open(tmp_path / ".dross", create=True) as ledger:
        ledger.record(run_of(data, found), tables_of(data, found))
    return tmp_path / ".dross"


def loaded(path: str = "data.csv") -> Dataset:
    return load(path, label="y", features=[f"x{i}" for i in range(10)])


def correct(workspace: Path) -> None:
    """Put the wrong labels right by hand, and write a version."""
    with Ledger.open(workspace) as ledger:
        data, right = ledger.base(), truths()
        for label in sorted(set(right)):
            rows = [row for row in PLANTED.rows.tolist() if right[row] == label]
            ledger.decide(data.row_ids[rows], "relabel", after=label, reason="seen", author="ada")
        ledger.apply("label=review")


def test_report_again(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("report") == 0
    assert str(Path(".dross") / "report.html") in capsys.readouterr().out
    html = (workspace / "report.html").read_text(encoding="utf-8")
    assert "Not measured yet." in html
    assert "About 9 % of the labels" in html
    assert dross("report", "--out", "mine.html", "--run", "r1") == 0
    assert Path("mine.html").read_text(encoding="utf-8") == html


def test_prove_before_apply_says_what_to_do(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("prove") == 2
    captured = capsys.readouterr()
    assert "run dross apply first" in captured.err
    assert captured.out == ""
    assert not (workspace / "proofs").exists()


def test_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["report"], ["prove"]):
        assert dross(*words) == 2
        assert "dross audit" in capsys.readouterr().err


def test_prove_stores_prints_and_goes_into_the_report(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    correct(workspace)
    dross("report")
    capsys.readouterr()
    assert dross("prove", "--repeats", "6") == 0
    text = capsys.readouterr().out
    kept = json.loads((workspace / "proofs" / "1.json").read_text(encoding="utf-8"))
    assert kept["edits"] == {"relabel": len(PLANTED.rows)}
    assert kept["headline"] in " ".join(text.split())
    html = (workspace / "report.html").read_text(encoding="utf-8")
    assert f"{len(PLANTED.rows)} labels changed" in html
    assert "Not measured yet." not in html
    assert dross("prove", "--repeats", "6", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["scores"] == kept["scores"]  # the same seed gives the same proof
    assert (workspace / "proofs" / "2.json").exists()


def test_prove_on_a_test_file(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    correct(workspace)
    write(Path("same.csv"), truths())
    assert dross("prove", "--test", "same.csv") == 2  # every training row is a copy of a test row
    assert "too few rows" in capsys.readouterr().err
    lines = [line.split(",") for line in Path("same.csv").read_text().splitlines()]
    shifted = [",".join([*(f"{float(c) + 0.01:.5f}" for c in line[:10]), line[10]]) for line in lines[1:]]
    Path("other.csv").write_text("\n".join([",".join(lines[0]), *shifted]) + "\n")
    assert dross("prove", "--test", "other.csv", "--json") == 0
    proof = json.loads(capsys.readouterr().out)
    assert proof["test"] == "the test set that was given"
    assert proof["test_rows"] == 150
    Path("bad.csv").write_text("x0,z\n1,2\n3,4\n")
    assert dross("prove", "--test", "bad.csv") == 2


def test_a_proof_of_other_edits_says_so(workspace: Path) -> None:
    correct(workspace)
    with Ledger.open(workspace) as ledger:
        mine = {**proof_json(), "raw": ledger.base().fingerprint(), "version": ledger.versions()[-1].number}
        keep_proof(ledger, {**mine, "raw": "of other data"})
        assert newest_proof(ledger, mine["raw"]) is None
        keep_proof(ledger, mine)
        fresh = newest_proof(ledger, mine["raw"])
        assert fresh is not None
        assert not fresh["notes"]
        ledger.undo(everything=True)
        stale = newest_proof(ledger, mine["raw"])
        assert stale is not None
        assert "run dross prove again" in stale["notes"][0]
        (workspace / "proofs" / "3.json").write_text("{")
        with pytest.raises(DrossError, match="cannot be read"):
            newest_proof(ledger, mine["raw"])


def test_data_that_changed_since_is_not_shown_as_audited(workspace: Path, tmp_path: Path) -> None:
    some = "\n".join((tmp_path / "data.csv").read_text().splitlines()[:90]) + "\n"
    (tmp_path / "data.csv").write_text(some)
    with Ledger.open(workspace) as ledger, pytest.raises(DrossError):
        render_stored(ledger)
    assert not (workspace / "report.html").exists()
