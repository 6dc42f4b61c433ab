"""Disks that are full and folders that are read-only: said in one line, nothing half-written left, no data lost."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from dross.job.holding import is_full
from dross.ledger import Ledger
from tests.reliability.made import left, table
from tests.reliability.running import Ran, run

FULL = "no space is left on the disk|disk I/O error"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table(1200).write_csv("t.csv")


@contextmanager
def disk(kilobytes: int) -> Iterator[Path]:
    """A small disk in memory, where this process may mount one."""
    at = Path("disk")
    at.mkdir(exist_ok=True)
    mounted = mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", at)
    if not mounted:
        pytest.skip("may not mount a disk")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def mount(*arguments: str | Path) -> bool:
    try:
        return subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def audit(workspace: Path) -> Ran:
    return run("audit", "t.csv", "--label", "y", "--workspace", workspace, "--only", "confident-learning,knn-outliers")


def whole(workspace: Path) -> int:
    """The number of runs of a workspace in which nothing is damaged and nothing half-written."""
    assert not [name for name in left(workspace) if ".tmp" in name]
    ledger = Ledger.open(workspace)
    for one in ledger.runs():
        assert ledger.run(one.id)["run"] == one.id
        assert ledger.findings(one.id).num_rows == sum(i["findings"] for i in ledger.run(one.id)["issues"].values())
    return len(ledger.runs())


def record(folder: Path) -> set[str]:
    """What stands in a folder but for the signals and SQLite's own."""
    return {name for name in left(folder) if "/signals" not in name and not name.endswith(("-wal", "-shm"))}


def test_a_disk_too_small_for_the_workspace_is_left_as_it_was() -> None:
    ends = []
    for kilobytes in (16, 64, 96, 128, 192, 256, 320, 448, 4096):
        with disk(kilobytes) as at:
            done = audit(at / "w")
            ends.append(done.code)
            if done.code:
                assert done.code == 2
                said = done.err.splitlines()[-1]
                assert said.startswith("dross: the ")
                assert [word for word in FULL.split("|") if word in said], said
                if "report" not in said:
                    assert left(at) == set()
            if (at / "w").exists():
                assert mount("-o", "remount,size=8192k", at)  # SQLite needs some room even to read
                assert whole(at / "w") == 1
    assert ends[:3] == [2, 2, 2]
    assert ends[-1] == 0


def test_a_workspace_on_a_full_disk_keeps_what_it_had() -> None:
    with disk(8192) as at:
        assert audit(at / "w").code == 0
        before = record(at)
        for free in (0, 32, 64, 96):
            used = int(subprocess.run(["du", "-sk", str(at)], capture_output=True, check=True).stdout.split()[0])
            assert mount("-o", f"remount,size={used + 8 + free}k", at)
            table(1300, seed=free).write_csv("t.csv")  # other data, so that nothing measured can be used again
            done = audit(at / "w")
            assert done.code == 2
            assert [word for word in FULL.split("|") if word in done.err], done.err
            if "report" not in done.err:
                assert record(at) == before
        assert mount("-o", "remount,size=8192k", at)
        assert whole(at / "w") == 1
        assert audit(at / "w").code == 0, "and goes on when there is space again"
        assert whole(at / "w") == 2


def test_files_that_may_not_grow() -> None:
    """The same where nothing can be mounted: the system refuses files larger than so many kilobytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ends = []
    for kilobytes in (1, 16, 40, 4096):
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, hard))
        try:
            done = audit(Path("w"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        ends.append(done.code)
        if done.code:
            assert [word for word in FULL.split("|") if word in done.err.splitlines()[-1]], done.err
            assert left(Path.cwd()) == {"t.csv"}
    assert ends == [2, 2, 2, 0]


def test_a_full_disk_is_no_fault_of_the_method_that_met_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    done = audit(Path("w"))
    assert (done.code, done.out) == (2, "")
    assert "the workspace cannot be written: no space is left on the disk (in w). free some space" in done.err
    assert left(Path.cwd()) == {"t.csv"}


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "x"), True),
        (OSError(errno.EDQUOT, "x"), True),
        (OSError(errno.EFBIG, "x"), True),
        (OSError("4096 requested and 16 written"), True),
        (OSError(errno.EACCES, "x"), False),
        (OSError("the picture is cut short"), False),
    ],
)
def test_full(error: OSError, full: bool) -> None:
    assert is_full(error) is full


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder and all in it read-only, for root too."""
    if os.geteuid() == 0:
        if not mount("--bind", folder, folder):
            pytest.skip("root may write everywhere, and may not mount")
        try:
            assert mount("-o", "remount,bind,ro", folder)
            yield
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        return
    paths = [folder, *folder.rglob("*")]
    modes = [path.stat().st_mode for path in paths]
    try:
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield
    finally:
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)


def test_a_read_only_folder_without_a_workspace() -> None:
    Path("data").mkdir()
    table(50).write_csv("data/t.csv")
    with read_only(Path("data")):
        done = run("audit", "data/t.csv", "--label", "y", "--only", "exact-duplicates")
        assert done.code == 2
        assert "(in data/.dross)" in done.err.splitlines()[-1]
        assert done.err.splitlines()[-1].endswith("or choose another folder") or "--workspace" in done.err
        elsewhere = run("audit", "data/t.csv", "--label", "y", "--only", "exact-duplicates", "--workspace", "w")
        assert elsewhere.code == 0, elsewhere.err
    assert left(Path("data")) == {"t.csv"}


def test_a_read_only_workspace_can_be_read_but_not_audited_into() -> None:
    assert audit(Path("w")).code == 0
    before = left(Path("w"))
    with read_only(Path("w")):
        done = audit(Path("w"))
        assert (done.code, done.out) == (2, "")
        assert "the workspace cannot be written (in w). change its permissions, or name another" in done.err
        assert run("findings", "--workspace", "w").out.count("\n") > 1000
        assert run("log", "--workspace", "w").code == 0
        assert run("report", "--workspace", "w", "--out", "r.html").code == 0
        refused = run("apply", "--workspace", "w")
        assert refused.code == 2
        assert refused.err.count("\n") == 1
    assert left(Path("w")) == before


def test_a_signal_that_was_damaged_is_measured_again() -> None:
    assert audit(Path("w")).code == 0
    first = Ledger.open("w").findings("r1")
    (stored,) = Path("w/signals").glob("neighbours-*")
    (stored / "indices.npy").write_bytes(b"damaged")
    assert audit(Path("w")).code == 0
    assert Ledger.open("w").findings("r2").equals(first)
