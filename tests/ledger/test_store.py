from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dross.core.errors import DrossError
from dross.ledger import Ledger, files
from dross.ledger.store import Store
from tests.ledger.made import audited, dataset, found, relabelled, summary


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / ".dross"


def test_opens_what_it_made(workspace: Path) -> None:
    Ledger.open(workspace, create=True).close()
    Ledger.open(workspace, create=True)
    assert Ledger.open(workspace).runs() == []
    with sqlite3.connect(workspace / "ledger.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_no_workspace_says_what_to_do(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DrossError, match="run dross audit DATA first"):
        Ledger.open(workspace)
    assert not workspace.exists()
    Ledger.open(tmp_path / "data" / ".dross", create=True)
    with pytest.raises(DrossError, match=r"add --workspace .*data/\.dross"):
        Ledger.open(".dross")


def test_folder_without_a_ledger_is_no_workspace(workspace: Path) -> None:
    (workspace / "signals").mkdir(parents=True)
    with pytest.raises(DrossError, match="no audit is recorded here"):
        Ledger.open(workspace)
    (workspace / "ledger.sqlite").touch()
    with pytest.raises(DrossError, match="no audit is recorded here"):
        Ledger.open(workspace)


def test_a_newer_workspace_is_refused_and_left_alone(workspace: Path) -> None:
    Ledger.open(workspace, create=True)
    with sqlite3.connect(workspace / "ledger.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (workspace / "ledger.sqlite").read_bytes()
    for create in (False, True):
        with pytest.raises(DrossError, match=r"written by a newer dross \(format 99") as error:
            Ledger.open(workspace, create=create)
        assert "upgrade" in str(error.value)
    assert (workspace / "ledger.sqlite").read_bytes() == before


def test_a_damaged_database_is_named(workspace: Path) -> None:
    Ledger.open(workspace, create=True)
    (workspace / "ledger.sqlite").write_bytes(b"no database at all" * 400)
    with pytest.raises(DrossError, match="damaged"):
        Ledger.open(workspace)


def test_a_truncated_database_is_named(workspace: Path) -> None:
    Ledger.open(workspace, create=True)
    whole = (workspace / "ledger.sqlite").read_bytes()
    (workspace / "ledger.sqlite").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DrossError):
        Ledger.open(workspace).runs()


def test_a_workspace_that_is_a_file(workspace: Path) -> None:
    workspace.write_text("a file")
    with pytest.raises(DrossError, match="cannot be used"):
        Ledger.open(workspace, create=True)


@pytest.mark.parametrize("table", ["runs", "versions", "edits"])
def test_nothing_can_be_changed_or_deleted(tmp_path: Path, table: str) -> None:
    data = dataset()
    ledger = audited(tmp_path, data, {"label": relabelled(data, [1, 2])})
    ledger.apply()
    store = Store(ledger.workspace)
    column = "time"
    for statement in (f"UPDATE {table} SET {column} = 'never'", f"DELETE FROM {table}"):
        with pytest.raises(DrossError, match="append-only"), store.writing() as connection:
            connection.execute(statement)
    assert [edit.row for edit in ledger.log()] == [2, 1]


# ---- a disk that will not take it -----------------------------------------------------------------------------------


def _states(workspace: Path) -> list[tuple[str, bytes]]:
    files = [p for p in sorted(workspace.rglob("*")) if p.is_file() and not p.name.startswith("ledger.sqlite")]
    return [(str(p.relative_to(workspace)), p.read_bytes()) for p in files]


def test_no_space_at_any_step_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every place where apply, undo and record wait for the disk, one after the other."""
    data = dataset()
    tables = {"label": relabelled(data, [1, 2]), "outlier": found(data, "outlier", [5])}
    ledger = audited(tmp_path, data, tables)
    steps = (
        ledger.apply,
        lambda: ledger.undo(everything=True),
        lambda: ledger.record(summary(data), tables),
    )
    failures = 0
    for step in steps:
        for at in range(100):
            before, versions, edits = _states(ledger.workspace), ledger.versions(), list(ledger.log())
            _run_out_of_space(monkeypatch, after=at)
            try:
                step()
                break
            except DrossError as error:
                assert "no space is left" in str(error)  # noqa: PT017 - the loop ends when nothing is raised any more
                failures += 1
            finally:
                monkeypatch.undo()
            assert _states(ledger.workspace) == before
            assert (ledger.versions(), list(ledger.log())) == (versions, edits)
    assert failures >= 8
    assert [version.command for version in ledger.versions()] == ["base", "apply", "undo --all"]
    assert ledger.current().table.equals(data.table)


def _run_out_of_space(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    calls = iter(range(1000))

    def full(path: Path) -> None:
        if next(calls) == after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "sync", full)


def test_sqlite_out_of_space(tmp_path: Path) -> None:
    ledger = audited(tmp_path, dataset(), {})
    with pytest.raises(DrossError, match="no space is left"):
        _fill(Store(ledger.workspace))
    assert len(ledger.runs()) == 1


def _fill(store: Store) -> None:
    with store.writing() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        for i in range(2, 1000):
            row = (i, f"r{i}", "x" * 999)
            connection.execute("INSERT INTO runs VALUES (?, ?, '', '', NULL, '', 0, ?)", row)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
def test_a_read_only_workspace_can_be_read_and_not_written() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folder is closed to other users
        data = dataset()
        ledger = audited(Path(name), data, {"label": relabelled(data, [1, 2])})
        ledger.apply()
        (ledger.workspace / "versions" / "9.parquet").write_bytes(b"left over")
        with _read_only(Path(name)):
            again = Ledger.open(ledger.workspace)
            assert len(again.findings()) == 2
            assert [edit.row for edit in again.log()] == [2, 1]
            assert len(again.current()) == len(data)
            for write in (lambda: again.undo(everything=True), lambda: again.record(summary(data), {})):
                with pytest.raises(DrossError, match="cannot be written to"):
                    write()
            with pytest.raises(DrossError, match="cannot be written to"):
                Ledger.open(Path(name) / "new", create=True)
        assert len(ledger.versions()) == 2


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Nobody may write in the folder; the administrator, who always may, becomes somebody else for the time."""
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)
        for path in everything:
            path.chmod(0o755)


# ---- crashes and company --------------------------------------------------------------------------------------------


def test_leftovers_are_swept_and_nothing_else(tmp_path: Path) -> None:
    data = dataset()
    ledger = audited(tmp_path, data, {"label": relabelled(data, [1, 2])})
    ledger.apply()
    before = _states(ledger.workspace)
    (ledger.workspace / "versions" / "7.parquet").write_bytes(b"orphan")
    (ledger.workspace / "versions" / ".abc.tmp.parquet").write_bytes(b"half")
    shutil.copytree(ledger.workspace / "runs" / "r1", ledger.workspace / "runs" / "r2")
    shutil.copytree(ledger.workspace / "runs" / "r1", ledger.workspace / "runs" / ".abc.tmp")
    Ledger.open(ledger.workspace)
    assert _states(ledger.workspace) == before


def test_the_sweep_waits_for_a_writer(tmp_path: Path) -> None:
    """What another process is writing right now looks like a leftover and is not."""
    ledger = Ledger.open(tmp_path / ".dross", create=True)
    store = Store(ledger.workspace)
    half = ledger.workspace / "versions" / ".abc.tmp.parquet"
    with store.writing():
        half.write_bytes(b"half")
        Ledger.open(ledger.workspace)
        assert half.exists()
    Ledger.open(ledger.workspace)
    assert not half.exists()


CREATE = "import sys; from dross.ledger import Ledger; print(Ledger.open(sys.argv[1], create=True).runs())"
DECIDE = """
import sys
from dross.ledger import Ledger
ledger, start = Ledger.open(sys.argv[1]), int(sys.argv[2])
ids = ledger.base().row_ids
for i in range(start, start + 30):
    ledger.decide(ids[i : i + 1], "relabel", after="cat", author=f"writer {start}", reason="by hand")
"""


def _together(code: str, *arguments: tuple[str, ...]) -> None:
    """Run the code in several processes at once."""
    running = [subprocess.Popen([sys.executable, "-W", "error", "-c", code, *args]) for args in arguments]
    assert [process.wait(120) for process in running] == [0] * len(running)


def test_two_processes_make_one_workspace(tmp_path: Path) -> None:
    _together(CREATE, (str(tmp_path / ".dross"),), (str(tmp_path / ".dross"),))


def test_two_processes_write_decisions(tmp_path: Path) -> None:
    ledger = audited(tmp_path, dataset(200), {})
    _together(DECIDE, (str(ledger.workspace), "0"), (str(ledger.workspace), "60"))
    edits = list(ledger.log())
    assert {edit.author for edit in edits} == {"writer 0", "writer 60"}
    assert [edit.id for edit in edits] == list(range(60, 0, -1))
    assert sorted(edit.row for edit in edits) == list(range(30)) + list(range(60, 90))
