"""``dross audit``: what it prints where, its exit codes, and how roles are named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

from dross.core import registry
from dross.core.dataset import Dataset
from dross.core.method import Detector, Method
from dross.core.results import Findings, Issue
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.io import load
from dross.ledger import Ledger
from tests.reliability.made import table
from tests.reliability.running import run

AUDIT = ("audit", "t.csv", "--label", "y")
FEW = (*AUDIT, "--only", "exact-duplicates,confident-learning")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DROSS_WORKSPACE", raising=False)
    table(300).write_csv("t.csv")
    return tmp_path


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


def one_object(text: str) -> dict[str, Any]:
    """The one JSON object that a text is."""
    assert text.endswith("\n")
    found = json.loads(text, parse_constant=no_constant)
    assert isinstance(found, dict)
    return found


# ---- output ---------------------------------------------------------------------------------------------------------


def test_json_is_one_object_and_all_else_is_on_standard_error() -> None:
    done = run(*AUDIT, "--json")
    assert done.code == 0, done.err
    assert done.out.count("\n") == 1
    summary = one_object(done.out)
    assert summary.keys() >= {
        *("dross", "run", "time", "command", "source", "rows", "task", "roles", "classes", "fingerprint"),
        *("fdr", "seed", "issues", "methods", "signals", "notes", "report"),
    }
    assert (summary["run"], summary["rows"], summary["task"]) == ("r1", 300, "classification")
    assert summary["classes"] == ["c0", "c1", "c2"]
    assert summary["source"] == {"path": "t.csv", "format": "csv", "options": {"label": "y"}}
    assert set(summary["methods"]) == {d.name() for d in registry.detectors() if d.default}
    for one in summary["methods"].values():
        assert one["status"] in {"ok", "not applicable"}, one
        assert (one["status"] == "ok") == (one["reason"] == "")
        assert one["seconds"] >= 0
    for one in summary["issues"].values():
        assert 0 <= one["flagged"] <= one["findings"]
        assert (one["threshold"] is None) == (one["flagged"] == 0)
        for triple in (one["share"], one["precision"], one["recall"]):
            assert triple is None or (triple[1] <= triple[0] <= triple[2])
    assert "300 rows, classification\n  features   x0, x1, x2, x3" in done.err
    recorded = Ledger.open(".dross").run()
    assert recorded == {key: value for key, value in summary.items() if key != "report"}
    assert Path(summary["report"]).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_terminal_names_the_report_and_the_next_step() -> None:
    done = run(*FEW)
    assert done.code == 0
    assert "Report: .dross/report.html\nNext: dross apply --dry-run\n" in done.out
    assert "Label errors" in done.out
    assert "%" in done.out
    elsewhere = run(*FEW, "--report", "pages/r.html")
    assert "Report: pages/r.html" in elsewhere.out
    assert Path("pages/r.html").exists()


def test_a_report_of_dross_is_replaced() -> None:
    assert run(*FEW, "--report", "r.html").code == 0
    before = Path("r.html").read_text(encoding="utf-8")
    table(310, seed=1).write_csv("t.csv")
    assert run(*FEW, "--report", "r.html").code == 0
    assert Path("r.html").read_text(encoding="utf-8") != before


def test_no_one_needs_unicode_to_read_it() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict", "OMP_NUM_THREADS": "1"}
    Path("t.csv").write_text("größe,y\n" + "".join(f"{i}.5,{'äö'[i % 2]}\n" for i in range(40)), encoding="utf-8")
    command = [sys.executable, "-m", "dross", "audit", "t.csv", "--label", "y", "--only", "table-form,class-imbalance"]
    for extra in ([], ["--json"]):
        done = subprocess.run([*command, *extra], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert one_object(done.stdout)["classes"] == ["ä", "ö"]


# ---- exit codes -----------------------------------------------------------------------------------------------------


def test_fail_on() -> None:
    summary = one_object(run(*FEW, "--json").out)
    share = summary["issues"]["label"]["flagged"] / 300
    assert share > 0.01
    within = run(*FEW, "--fail-on", f"label:{share + 0.001}", "--fail-on", "outlier:0")
    assert within.code == 0, "an issue that was not looked for is no reason to fail"
    beyond = run(*FEW, "--fail-on", "label:0.001", "--json")
    assert beyond.code == 3
    assert f"{share:.2%} of the rows are flagged for label, more than the 0.10% allowed" in beyond.err
    assert one_object(beyond.out)["issues"]["label"]["flagged"] == summary["issues"]["label"]["flagged"]


@dataclass(frozen=True)
class Raising(Detector):
    """Another's method that does not work."""

    finds: ClassVar[Issue] = Issue.OUTLIER
    needs: ClassVar = (Role.FEATURES,)

    def run(self, data: Dataset, signals: Signals) -> Findings:
        raise ZeroDivisionError("by \x1b[31m zero\nand a second line")

    @classmethod
    def name(cls) -> str:
        return "raising"


@dataclass(frozen=True)
class Boasting(Detector):
    """Another's method that says things JSON has no words for."""

    finds: ClassVar[Issue] = Issue.OUTLIER
    needs: ClassVar = ()

    def run(self, data: Dataset, signals: Signals) -> Findings:
        said = {"nan": float("nan"), "inf": np.float32(np.inf), "n": np.int64(3), 4: (1, {2}), "o": object()}
        return Findings(Issue.OUTLIER, np.array([3]), np.array([0.9], np.float32), summary=said)

    @classmethod
    def name(cls) -> str:
        return "boasting"


class Entry:
    """An entry point of another package."""

    def __init__(self, name: str, loads: Any) -> None:
        self.name, self.loads, self.value = name, loads, f"theirs:{name}"

    def load(self) -> Any:
        return self.loads


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Entry]]:
    """Entry points that are found besides the methods built in."""
    entries: list[Entry] = []
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group="": entries if "dross" in group else [])
    for cached in (registry._installed, registry.methods):
        cached.cache_clear()
    yield entries
    for cached in (registry._installed, registry.methods):
        cached.cache_clear()


def test_a_method_that_fails_is_recorded_the_others_go_on_and_the_exit_code_is_1(plugins: list[Entry]) -> None:
    plugins.append(Entry("raising", Raising))
    done = run(*AUDIT, "--only", "raising,exact-duplicates", "--json")
    assert done.code == 1
    (line,) = [line for line in done.err.splitlines() if line.startswith("dross: ")]
    assert line.startswith("dross: the method raising failed: ZeroDivisionError: by �[31m zero�and a second line")
    assert "\x1b" not in done.err + done.out
    methods = one_object(done.out)["methods"]
    assert methods["raising"]["status"] == "failed"
    assert "ZeroDivisionError" in methods["raising"]["reason"]
    assert "test_audit.py" in methods["raising"]["where"], "where it was raised is kept for its author"
    assert methods["exact-duplicates"]["status"] == "ok"
    assert Ledger.open(".dross").run()["methods"]["raising"]["status"] == "failed"
    said = run(*AUDIT, "--only", "raising,exact-duplicates")
    assert "1 method failed" in said.out
    assert "raising" in said.out


def test_a_limit_that_was_passed_counts_more_than_a_method_that_failed(plugins: list[Entry]) -> None:
    plugins.append(Entry("raising", Raising))
    assert run(*AUDIT, "--only", "raising,confident-learning", "--fail-on", "label:0.001").code == 3


def test_a_method_may_say_what_json_cannot(plugins: list[Entry]) -> None:
    plugins.append(Entry("boasting", Boasting))
    done = run(*AUDIT, "--only", "boasting", "--json")
    assert done.code == 0, done.err
    said = one_object(done.out)["issues"]["outlier"]["summaries"]["boasting"]
    assert said.pop("o").startswith("<object object")
    assert said == {"nan": None, "inf": None, "n": 3, "4": [1, [2]]}


def test_a_plugin_with_a_name_that_is_taken_is_refused(plugins: list[Entry]) -> None:
    plugins.append(Entry("exact-duplicates", Raising))
    done = run(*AUDIT)
    assert done.code == 2
    assert done.err == "dross: the method name 'exact-duplicates' is taken (in theirs:exact-duplicates). " \
        "rename the entry point\n"  # fmt: skip


def test_a_method_that_finds_no_defects_cannot_audit(plugins: list[Entry]) -> None:
    @dataclass(frozen=True)
    class Other(Method):
        """No detector."""

    plugins.append(Entry("other", Other))
    done = run(*AUDIT, "--only", "other")
    assert done.code == 2
    assert "'other' does not find defects. see: dross methods --verb detect" in done.err
    assert not Path(".dross").exists()


# ---- options --------------------------------------------------------------------------------------------------------


def test_roles_may_be_named_and_switched_off() -> None:
    table(60).with_columns(id=pl.int_range(60) % 50, note=pl.lit("a few words here")).write_csv("t.csv")
    done = run(*AUDIT, "--role", "features=x0, x1", "--role", "text=note", "--role", "id=", "--only", "table-form")
    assert done.code == 0, done.err
    roles = Ledger.open(".dross").run()["roles"]
    assert roles == {"text": ["note"], "features": ["x0", "x1"], "label": ["y"]}
    options = Ledger.open(".dross").run()["source"]["options"]
    assert load("t.csv", **options).roles == {Role(role): tuple(columns) for role, columns in roles.items()}


def test_own_probabilities_are_used(here: Path) -> None:
    data = load("t.csv", label="y")
    probs = np.full((300, 3), 0.02)
    probs[np.arange(300), data.codes] = 0.96
    probs[7] = [0.01, 0.01, 0.01]
    probs[7, (data.codes[7] + 1) % 3] = 0.98
    np.save("p.npy", probs)
    done = run(*AUDIT, "--pred-probs", "p.npy", "--only", "confident-learning", "--json")
    assert done.code == 0, done.err
    found = Ledger.open(".dross").findings(issue="label").to_pylist()
    assert max(found, key=lambda one: one["score"])["row"] == 7
    assert found[7]["suggestion"] == data.classes[(data.codes[7] + 1) % 3]
    assert "Probabilities" not in {p.name for p in (here / ".dross" / "signals").glob("probabilities*")}


def test_remarks_on_the_data_are_told_and_recorded() -> None:
    frame = table(60).with_columns(
        x0=pl.when(pl.int_range(60) == 9).then(pl.lit("\x1b[1mabc")).otherwise(pl.lit("1.5"))
    )
    frame.write_csv("t.csv")
    done = run(*AUDIT, "--only", "table-form", "--json")
    note = "the column 'x0' is read as text: 1 of its cells are not numbers"
    assert f"  note: {note}" in done.err
    assert note in one_object(done.out)["notes"][0]
    assert "\x1b" not in done.err + done.out


def test_the_command_that_reproduces_it_is_kept() -> None:
    summary = one_object(run(*FEW, "--seed", "3", "--fdr", "0.2", "--json").out)
    assert summary["command"] == (
        "dross audit t.csv --label y --only exact-duplicates,confident-learning --seed 3 --fdr 0.2 --json"
    )
    assert (summary["seed"], summary["fdr"]) == (3, 0.2)
    assert summary["only"] == ["exact-duplicates", "confident-learning"]


def test_a_workspace_may_stand_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = (*AUDIT, "--only", "exact-duplicates")
    assert run(*few, "--workspace", "deep/w").code == 0
    assert Path("deep/w/report.html").exists()
    monkeypatch.setenv("DROSS_WORKSPACE", str(tmp_path / "named"))
    assert run(*few).code == 0
    assert run("findings").out.startswith("row,id,issue,score,flagged,suggestion,method,expected_precision\n")
    assert Path("named/runs/r1").exists()
    assert not Path(".dross").exists()


def test_audits_are_numbered_and_earlier_ones_stay() -> None:
    assert [one_object(run(*FEW, "--json").out)["run"] for _ in range(2)] == ["r1", "r2"]
    first, second = (Ledger.open(".dross").findings(name) for name in ("r1", "r2"))
    assert first.equals(second)
