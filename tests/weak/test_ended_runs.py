from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from dross.weak import apply_rules
from tests.weak.made import python
from tests.weak.test_processes import numbers


def test_what_a_killed_run_has_done_is_kept_and_its_processes_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    py = python(
        tmp_path,
        f"""
        import os, time

        @labeling_function
        def slow(row):
            with open({str(log)!r}, "a") as out:
                out.write(f"{{os.getpid()}} {{row['x']}}\\n")
            time.sleep(0.005)
            while row["x"] == 300 and not os.path.exists({str(tmp_path / "go")!r}):
                time.sleep(0.01)
            return "a"
        """,
    )
    body = f"""
from pathlib import Path
from dross.weak import apply_rules, running, stored
from tests.weak.test_processes import numbers
running.SLICE, stored.KEPT = 0.2, 0.1
apply_rules(numbers(400), {str(py)!r}, store=Path({str(tmp_path / "store")!r}))
"""
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", body], cwd=root) as child:
        deadline = time.monotonic() + 60
        while not (log.exists() and " 300\n" in log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        child.kill()
    worker = int(log.read_text().split()[0])
    deadline = time.monotonic() + 10
    while _lives(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(worker)
    (tmp_path / "go").touch()
    log.unlink()
    (source,) = apply_rules(numbers(400), py, store=tmp_path / "store").sources
    assert source.votes == 400
    assert 0 < len(log.read_text().splitlines()) < 300  # the rest was kept


def test_ctrl_c_ends_everything_and_says_that_work_is_kept(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("x\n" + "".join(f"{i}.5\n" for i in range(600)))
    log = tmp_path / "log"
    body = f"""
    import os, time

    @labeling_function
    def slow(row):
        open({str(log)!r}, "w").write(str(os.getpid()))
        time.sleep(0.2)
    """
    python(tmp_path, body)
    words = [sys.executable, "-m", "dross", "label", "data.csv", "--rules", "rules.py"]
    with subprocess.Popen(
        words, cwd=tmp_path, start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        deadline = time.monotonic() + 60
        while not log.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGINT)
        said = child.communicate(timeout=30)[1]
    assert child.returncode == 130
    assert "run the same command again to go on" in said
    assert "Traceback" not in said
    assert not _lives(int(log.read_text()))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path(f"/proc/{pid}").exists() else True
