"""kill -9 while the ledger is written: what is on disk is what was before or what was to be after, nothing between.

The processes to kill are forked from one that has everything imported and compiled, which this file is when it is run
as a program; so two hundred of them take seconds.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dross.io import load
from dross.ledger import Ledger
from tests.ledger.made import CLASSES, found, relabelled, summary

ROOT = Path(__file__).resolve().parents[2]
RANDOM_KILLS = 100
ROWS, FOUND = 600, 400


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("how", ["at every step", "at random times"])
def test_killed(tmp_path: Path, how: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, str(tmp_path), how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["killed"] >= (RANDOM_KILLS if how == "at random times" else 60)
    assert outcome["before"] >= 20, outcome
    assert outcome["after"] >= 4, outcome


# ---- the program ----------------------------------------------------------------------------------------------------


class Killed:
    """A workspace that is written to by processes that do not live long."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        file = folder / "data.csv"
        file.write_text("x,y\n" + "".join(f"{i}.5,{CLASSES[i % 7 % 3]}\n" for i in range(ROWS)))
        self.data = load(str(file), label="y")
        source = {"path": str(file), "format": "csv", "options": {"label": "y"}}
        self.summary = summary(self.data) | {"source": source}
        self.tables = {
            "label": relabelled(self.data, range(0, ROWS, 3)),
            "duplicate": found(self.data, "duplicate", range(1, ROWS, 3), suggestion=range(0, ROWS, 3)),
        }
        self.workspace = folder / ".dross"
        self.outcomes: Counter[str] = Counter()
        self._create()

    def _create(self) -> None:
        Ledger.open(self.workspace, create=True).record(self.summary, self.tables)

    # What is done, each in a process of its own.

    def apply(self) -> None:
        self._open().apply()

    def undo(self) -> None:
        self._open().undo(everything=True)

    def record(self) -> None:
        self._open().record(self.summary, self.tables)

    def decide(self) -> None:
        ledger = self._open()
        ledger.decide(self.data.row_ids[:50], "set", field="x", after=len(list(ledger.log())))

    def _open(self) -> Ledger:
        return Ledger.open(self.workspace)

    def state(self) -> tuple[Any, ...]:
        """Everything there is, read by a process that opens the workspace after the crash; raises if it is damaged."""
        ledger = self._open()
        edits = [(e.id, e.row, e.action, e.active, e.reverses) for e in ledger.log()]
        versions = [(v.number, v.last_edit, v.after) for v in ledger.versions()]
        for number, _, fingerprint in versions[-2:]:
            assert ledger.version(number).fingerprint() == fingerprint
        runs = [(run.id, ledger.findings(run.id).num_rows, ledger.run(run.id)["run"]) for run in ledger.runs()]
        assert [edit[0] for edit in edits] == list(range(len(edits), 0, -1))
        assert all(rows == FOUND and name == run for run, rows, name in runs)
        files = {str(p.relative_to(self.workspace)) for p in self.workspace.rglob("*") if p.is_file()}
        known = {f"versions/{v.file}" for v in ledger.versions()}
        known |= {f"runs/{run.id}/{file}" for run in ledger.runs() for file in run.files}
        assert {file for file in files if not file.startswith("ledger.sqlite")} == known
        if versions:
            assert ledger.base().table.equals(self.data.table)
            newest = ledger.versions()[-1]
            if newest.last_edit == len(edits):
                assert ledger.version(newest.number).table.equals(ledger.current().table)
        return edits, versions, runs

    def step(self, what: Callable[[], None], kill: Callable[[int], None] | None, hurt: Callable[[], None]) -> str:
        """Do it in a process that is killed by ``kill`` from outside or by itself: ``done``, or killed ``before`` it
        counted or ``after``.
        """
        before = self.state()
        child = os.fork()
        if child == 0:
            hurt()
            what()
            os._exit(0)
        if kill is not None:
            kill(child)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        assert killed or os.waitstatus_to_exitcode(status) == 0
        after = self.state()
        (edits, versions, runs), (edits_, versions_, runs_) = before, after
        expected = {
            "apply": lambda: len(versions_) == max(2, len(versions) + 1) and len(edits_) == len(edits) + FOUND,
            "undo": lambda: len(versions_) == len(versions) + 1 and not any(e[3] and e[4] is None for e in edits_),
            "record": lambda: len(runs_) == len(runs) + 1 and (edits_, versions_) == (edits, versions),
            "decide": lambda: len(edits_) == len(edits) + 50,
        }
        if after == before:
            assert killed
        else:
            assert expected[what.__name__](), (what.__name__, len(edits), len(edits_), versions, versions_)
        outcome = ("before" if after == before else "after") if killed else "done"
        self.outcomes.update([outcome, "killed"] if killed else [outcome])
        return outcome

    def afresh(self) -> None:
        """Begin again with one audit, so that the ledger stays short and every step quick."""
        shutil.rmtree(self.workspace)
        self._create()


def at_every_step(killed: Killed) -> None:
    """Before the first, the second, … call that touches the disk, until it gets through."""
    for earlier, what in (((), "record"), ((), "apply"), (("apply",), "undo"), (("apply",), "decide")):
        for step in range(200):
            killed.afresh()
            for name in earlier:
                getattr(killed, name)()
            if killed.step(getattr(killed, what), None, lambda step=step: _die_at(step)) == "done":  # type: ignore[misc]
                break
        else:
            raise AssertionError(f"{what} never got through")


def at_random_times(killed: Killed) -> None:
    """At moments drawn evenly from the time that it takes, going on with what the last crash left."""
    rng = random.Random(0)
    cycle = (killed.apply, killed.record, killed.undo, killed.decide)
    seconds = {what.__name__: _seconds(killed, what) for what in cycle}
    while killed.outcomes["killed"] < RANDOM_KILLS:
        killed.afresh()
        for what in cycle:
            outcome = "before"
            while outcome == "before":
                wait = rng.uniform(0, 1.2 * seconds[what.__name__])
                outcome = killed.step(what, lambda child, wait=wait: _kill_after(child, wait), lambda: None)  # type: ignore[misc]


def _seconds(killed: Killed, what: Callable[[], None]) -> float:
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        what()
        os._exit(0)
    os.waitpid(child, 0)
    return time.perf_counter() - started


def _kill_after(child: int, wait: float) -> None:
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)


def _die_at(step: int) -> None:
    """Have this process kill itself before its ``step``-th call that touches the disk."""
    left = iter(range(step, -1, -1))

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if next(left, 0) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    class Connection(sqlite3.Connection):
        execute = dying(sqlite3.Connection.execute)  # type: ignore[assignment]
        executemany = dying(sqlite3.Connection.executemany)  # type: ignore[assignment]
        close = dying(sqlite3.Connection.close)  # type: ignore[assignment]

    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **kwargs: connect(*args, **kwargs, factory=Connection)  # type: ignore[assignment]
    os.fsync = dying(os.fsync)
    for name in ("replace", "rename", "mkdir", "write_text"):
        setattr(Path, name, dying(getattr(Path, name)))


def main(folder: Path, how: str) -> None:
    """Import and compile everything, then let processes be killed; print how many ended how."""
    warm = Killed(folder / "warm")
    for what in (warm.apply, warm.undo, warm.record, warm.decide):
        what()
    warm.state()
    killed = Killed(folder / "killed")
    {"at every step": at_every_step, "at random times": at_random_times}[how](killed)
    sys.stdout.write(json.dumps(killed.outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
