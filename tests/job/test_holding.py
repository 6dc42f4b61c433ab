"""Holding a workspace: whoever is alone in it clears what crashes left, and nobody clears what another is writing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dross.core.errors import DrossError
from dross.job.holding import held, made_for
from dross.ledger import Ledger
from dross.testing.planted import blobs

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs locks of folders")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """One in which a killed process left half of a signal, of a piece of another, and of a report."""
    folder = tmp_path / "w"
    Ledger.open(folder, create=True).close()
    for name in (
        *("signals/.1.tmp/value.npy", "signals/a-1.part/.2.tmp", "signals/a-1.part/000000.npy", ".3.tmp.html"),
        *("signals/b-2/value.json", "signals/b-2.part/000000.npy", "report.html"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return folder


def kept(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and "ledger" not in p.name}


WHOLE = {"signals/a-1.part/000000.npy", "signals/b-2/value.json", "report.html"}
"""Pieces of a signal that is not whole yet are what the next audit goes on from."""


def test_leftovers_are_cleared_on_the_way_in(workspace: Path) -> None:
    with held(workspace):
        assert kept(workspace) == WHOLE


def test_and_on_the_way_out_whatever_happened(workspace: Path) -> None:
    def interrupted() -> None:
        with held(workspace):
            (workspace / "signals" / ".4.tmp").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert kept(workspace) == WHOLE


def test_what_another_process_writes_is_left_alone(workspace: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from dross.job.holding import held
        with held(Path(sys.argv[1])):
            (Path(sys.argv[1]) / "signals" / ".5.tmp").write_text("x")
            print("holding", flush=True)
            sys.stdin.readline()
    """
    command = [sys.executable, "-c", code, str(workspace)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "holding\n"
        with held(workspace):
            assert "signals/.5.tmp" in kept(workspace)
        assert "signals/.5.tmp" in kept(workspace)
        other.kill()
    with held(workspace):
        assert kept(workspace) == WHOLE


def test_two_may_hold_it_at_once(workspace: Path) -> None:
    with held(workspace):
        (workspace / "signals" / ".6.tmp").write_text("x")
        with held(workspace):
            assert "signals/.6.tmp" in kept(workspace)
        assert "signals/.6.tmp" in kept(workspace), "the one that goes first clears nothing of the other's"
    assert kept(workspace) == WHOLE


def test_work_in_memory_holds_nothing() -> None:
    with held(None):
        pass


def test_a_full_disk_is_told(workspace: Path) -> None:
    with pytest.raises(DrossError, match="no space is left on the disk"), held(workspace):
        raise OSError(28, "No space left on device")
    with pytest.raises(IsADirectoryError), held(workspace):
        raise IsADirectoryError


def test_a_workspace_made_for_nothing_is_taken_away(tmp_path: Path) -> None:
    def undone() -> None:
        with made_for(tmp_path / "w"):
            assert (tmp_path / "w").is_dir()
            raise DrossError("it cannot be done")

    with pytest.raises(DrossError, match="it cannot be done"):
        undone()
    assert not (tmp_path / "w").exists()


def test_one_that_was_there_or_is_used_or_only_interrupted_stays(workspace: Path, tmp_path: Path) -> None:
    with pytest.raises(DrossError), made_for(workspace):
        raise DrossError("it cannot be done")
    assert workspace.exists()
    with pytest.raises(KeyboardInterrupt), made_for(tmp_path / "interrupted"):
        raise KeyboardInterrupt
    assert (tmp_path / "interrupted").exists(), "what was measured is kept for the next time"
    data = blobs(30).data

    def recorded() -> None:
        with made_for(tmp_path / "used"):
            run = {"rows": 30, "fingerprint": data.fingerprint()}
            Ledger.open(tmp_path / "used").record(run, {}, data=data)
            raise DrossError("the report cannot be written")

    with pytest.raises(DrossError, match="the report"):
        recorded()
    assert Ledger.open(tmp_path / "used").runs()


@pytest.mark.parametrize("command", ["report", "prove"])
def test_reports_and_proofs_hold_the_workspace(
    command: str, workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They write signals too: an audit that ends meanwhile must not take what they are writing for leftovers."""
    from tests.reliability.running import run

    seen = []

    @contextmanager
    def watched(folder: Path) -> Iterator[None]:
        seen.append(folder)
        yield

    monkeypatch.setattr("dross.job.holding.held", watched)
    done = run(command, "--workspace", workspace)
    assert done.code == 2, "there is no audit to tell of"
    assert seen == [workspace]
