"""kill -9 and Ctrl-C while an audit runs: the workspace opens again, and the same command ends as if nothing had been.

The processes to kill are forked from one that has everything imported and compiled, which this file is when it is run
as a program. What they measured before they were killed is used by the next.
"""

from __future__ import annotations

import inspect
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import dross
from dross.core.registry import detectors
from dross.job.holding import held
from dross.ledger import Ledger
from tests.reliability.made import left, table
from tests.reliability.running import run

ROOT = Path(__file__).resolve().parents[2]
KILLS = {"at random times": 45, "at every other step": 40, "by Ctrl-C": 10}
ROWS = 1500
PATIENCE = 90.0
SLOW = ("modelchoice", "probabilities")
POLICY = "duplicate=drop,label=relabel"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("how", KILLS)
def test_killed(how: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "OMP_NUM_THREADS": "1",
    }  # a fork keeps only one thread
    command = [sys.executable, __file__, str(tmp_path), how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["killed"] >= KILLS[how], outcome
    assert outcome["done"] >= 1, outcome


# ---- the program ----------------------------------------------------------------------------------------------------


class Victim:
    """A folder with a table whose audit is killed over and over."""

    def __init__(self, folder: Path) -> None:
        os.chdir(folder)
        assert self.fork(lambda: table(ROWS).write_csv("t.csv") or 0) == 0
        self.workspace, self.measured = Path(".dross"), Path("measured")
        self.outcomes: Counter[str] = Counter()
        self.seconds = 0.0
        self.findings: pa.Table | None = None
        self.applied: pa.Table | None = None

    def audit(self) -> int:
        return run("audit", "t.csv", "--label", "y").code

    def audit_and_apply(self) -> int:
        return self.audit() or run("apply", "--policy", POLICY).code

    def prepare(self) -> None:
        """Compile what can be, and learn what an audit that is left alone finds and how long it takes.

        Polars, once used, cannot be used in a fork: here only what does without it is run.
        """
        plain = [d.name() for d in detectors() if d.default and "polars" not in inspect.getsource(inspect.getmodule(d))]  # type: ignore[arg-type]
        dross.audit("t.csv", label="y", only=plain).report("warm.html")
        Path("warm.html").unlink()
        for _ in range(2):
            self.afresh()
            started = time.monotonic()
            assert self.fork(self.audit_and_apply) == 0
            self.seconds = time.monotonic() - started
        ledger = Ledger.open(self.workspace)
        self.findings, self.applied = ledger.findings(), ledger.current().table
        for slow in itertools.chain(*((self.workspace / "signals").glob(f"{name}-*") for name in SLOW)):
            shutil.copytree(slow, self.measured / slow.name)
        assert self.findings.num_rows > ROWS
        assert self.applied.num_rows < ROWS
        self.afresh()

    def afresh(self, *, wholly: bool = True) -> None:
        """Begin again; if not wholly, with what takes long to measure there, as after an audit that came so far."""
        shutil.rmtree(self.workspace, ignore_errors=True)
        if not wholly:
            shutil.copytree(self.measured, self.workspace / "signals")

    def fork(self, what: Callable[[], int], hurt: Callable[[], None] = lambda: None, wait: float | None = None,
             by: signal.Signals = signal.SIGKILL) -> int:  # fmt: skip
        """Do it in a process of its own, hurt from inside or, after so long, from outside; how it ended."""
        child = os.fork()
        if child == 0:
            try:
                hurt()
                os._exit(what())
            finally:
                traceback.print_exc()
                os._exit(70)
        if wait is not None:
            time.sleep(wait)
            os.kill(child, by)
        deadline = time.monotonic() + PATIENCE
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                raise AssertionError("it hung")
            time.sleep(0.002)

    def runs(self) -> int:
        """How many audits are recorded; each must be whole and have found what one that is left alone finds."""
        if not (self.workspace / "ledger.sqlite").exists():
            return 0
        ledger = Ledger.open(self.workspace, create=True)
        recorded = ledger.runs()
        assert [one.id for one in recorded] == [f"r{i + 1}" for i in range(len(recorded))]
        for one in recorded:
            assert ledger.run(one.id)["rows"] == ROWS
            assert ledger.findings(one.id).equals(self.findings), "another audit than that without a crash"
        for version in ledger.versions():
            assert ledger.version(version.number).fingerprint() == version.after
        return len(recorded)

    def attempt(self, what: Callable[[], int], **how: Any) -> int:
        """Try it once; whatever became of it, the workspace must be as it was before it or after it."""
        before = self.runs()
        code = self.fork(what, **how)
        assert code in {0, 130, -signal.SIGKILL}, code
        after = self.runs()
        assert after in ({before + 1} if code == 0 else {before, before + 1}), "an audit was lost or doubled"
        if self.workspace.exists():
            with held(self.workspace):
                pass
            temporary = [name for name in left(self.workspace) if ".tmp" in name or ".part" in name]
            assert not temporary, f"left after opening it again: {temporary}"
        self.outcomes["done" if code == 0 else "killed"] += 1
        return code

    def finish(self) -> None:
        """Left alone, the same command ends as if nothing had been."""
        assert self.attempt(self.audit_and_apply) == 0
        ledger = Ledger.open(self.workspace)
        assert ledger.current().table.equals(self.applied)
        edits = [(edit.row, edit.action, edit.field) for edit in ledger.log() if edit.active]
        assert len(edits) == len(set(edits)), "an edit was made twice"
        assert (self.workspace / "report.html").read_text(encoding="utf-8").endswith("</html>")
        assert not [name for name in left(Path.cwd()) if ".tmp" in name]


def at_random_times(victim: Victim) -> None:
    """At moments drawn evenly from the time that it takes, going on with what the last crash left."""
    rng = random.Random(0)
    for turn in itertools.count():
        if victim.outcomes["killed"] >= KILLS["at random times"]:
            break
        victim.afresh(wholly=turn % 5 == 0)
        for _ in range(rng.randrange(3, 9)):
            victim.attempt(victim.audit_and_apply, wait=rng.uniform(0, 1.1 * victim.seconds))
        victim.finish()


def at_every_other_step(victim: Victim) -> None:
    """Before the first, the third, … call that puts something on the disk, until it gets through."""
    for step in itertools.count(step=2):
        victim.afresh(wholly=step < 6)
        code = victim.attempt(victim.audit, hurt=lambda step=step: _die_at(step))  # type: ignore[misc]
        if code == 0:
            break
        if step % 10 == 0:
            victim.finish()


def by_ctrl_c(victim: Victim) -> None:
    """At random times too; then nothing may be left half written at once, before anyone opens it again."""
    rng = random.Random(1)

    def tidy() -> int:
        said = run("audit", "t.csv", "--label", "y")
        assert "Traceback" not in said.err
        assert (said.code == 130) == ("interrupted; what was finished is kept" in said.err)
        assert not [name for name in left(Path.cwd()) if ".tmp" in name]
        return said.code

    while victim.outcomes["killed"] < KILLS["by Ctrl-C"]:
        victim.afresh(wholly=False)
        for _ in range(5):
            # not in the first moments, when the child does not yet know what to do with a signal
            victim.attempt(tidy, wait=rng.uniform(0.05, victim.seconds), by=signal.SIGINT)
        victim.finish()


def _die_at(step: int) -> None:
    """Have this process kill itself before its ``step``-th call that puts something on the disk."""
    remaining = iter(range(step, -1, -1))

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if next(remaining, 0) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    np.save = dying(np.save)  # type: ignore[assignment]
    os.fsync = dying(os.fsync)
    shutil.rmtree = dying(shutil.rmtree)  # type: ignore[assignment]
    for name in ("replace", "rename", "mkdir", "write_text"):
        setattr(Path, name, dying(getattr(Path, name)))


def main(folder: Path, how: str) -> None:
    """Prepare, let processes be killed, and print how many ended how."""
    victim = Victim(folder)
    victim.prepare()
    {"at random times": at_random_times, "at every other step": at_every_other_step, "by Ctrl-C": by_ctrl_c}[how](
        victim
    )
    sys.stdout.write(json.dumps({**victim.outcomes, "seconds of one": victim.seconds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
