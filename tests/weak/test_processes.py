from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.weak import apply_rules, labeling_function, process, running
from tests.weak.made import column, messages, python

GOOD = """
    @labeling_function
    def free(row):
        return "spam" if "free" in row["text"].lower() else None
"""


def numbers(n: int) -> Dataset:
    return Dataset(pa.table({"x": range(n)}), {Role.FEATURES: ["x"]})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE", 0.2)


def test_a_rule_that_hangs_is_ended_and_the_others_work(tmp_path: Path, impatient: None) -> None:
    py = python(
        tmp_path,
        """
    import time

    @labeling_function(timeout=0.3)
    def hangs(row):
        while row["x"] == 700:
            pass
        return "a"
    """
        + """
    @labeling_function
    def fine(row):
        return "b"
    """,
    )
    done = apply_rules(numbers(1500), py)
    hangs, fine = done.sources
    assert hangs.stopped is not None
    assert "it did not come back in time, at or after row 512" in hangs.stopped
    assert (fine.votes, fine.stopped) == (1500, None)
    assert column(done, "hangs") == [None] * 1500
    assert done.votes().names == ["fine"]


def test_a_slow_rule_is_given_up_and_says_what_it_needs(tmp_path: Path, impatient: None) -> None:
    py = python(
        tmp_path,
        """
    import time

    @labeling_function
    def slow(row):
        time.sleep(0.01)
        return "a"
    """,
    )
    (source,) = apply_rules(numbers(5000), py, timeout=0.2).sources
    assert source.stopped is not None
    assert "it took more than 0.2 s" in source.stopped
    need = float(source.stopped.split("about ")[1].split(" s")[0])
    assert 45 < need < 500  # 50 s on an idle machine
    slow = labeling_function(name="slow")(lambda row: time.sleep(0.01))
    (source,) = apply_rules(numbers(5000), slow, timeout=0.1).sources
    assert "it took more than 0.1 s" in str(source.stopped)


def test_a_rule_that_kills_its_process_harms_no_other(tmp_path: Path) -> None:
    py = python(
        tmp_path,
        """
    import os

    @labeling_function
    def dies(row):
        os._exit(7)
    """
        + GOOD,
    )
    done = apply_rules(messages(), py)
    dies, free = done.sources
    assert "it ended the process (exit code 7)" in str(dies.stopped)
    assert free.votes == 2


def test_answers_do_not_hang_on_the_number_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "HELP", 0.0)
    py = python(
        tmp_path,
        """
    @labeling_function
    def soft(row):
        if row["x"] % 3 == 0:
            return {"a": 0.25, "b": 0.75} if row["x"] % 2 else {"c": 0.5, "a": 0.5}
        if row["x"] % 7 == 0:
            raise ValueError(row["x"])
        return "b" if row["x"] % 5 else None
    """,
    )
    found = []
    for threads in (1, 2):
        monkeypatch.setattr(running, "threads", lambda t=threads: t)
        done = apply_rules(numbers(2000), py)
        rows, chances = done.soft["soft"]
        dense = {name: part.tolist() for name, part in sorted(chances.items())}
        found.append((column(done, "soft"), rows.tolist(), dense, done.sources[0].failures))
    assert found[0] == found[1]
    raised = len([x for x in range(2000) if x % 3 and x % 7 == 0])
    assert found[0][3] == [{"kind": "raised", "message": "ValueError: 7", "row": 7, "count": raised}]


def test_modules_beside_the_rules_are_found_and_the_folder_of_work_shadows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "words.py").write_text("FREE = 'free'\n")
    away = tmp_path / "away"
    away.mkdir()
    (away / "json.py").write_text("raise RuntimeError('shadowed')\n")
    monkeypatch.chdir(away)
    py = python(
        tmp_path,
        """
    from words import FREE

    @labeling_function
    def free(row):
        return "spam" if FREE in row["text"] else None
    """,
    )
    assert apply_rules(messages(), py).sources[0].votes == 1


def test_no_process_is_left(tmp_path: Path, impatient: None) -> None:
    if not shutil.which("ps"):
        pytest.skip("no ps here")
    py = python(
        tmp_path,
        f"""
    import os

    @labeling_function(timeout=0.2)
    def hangs(row):
        open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        while True:
            pass
    """,
    )
    apply_rules(messages(), py)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
