"""The same bytes from both engines, at any number of workers, and when workers are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dross.core.errors import DrossError
from dross.corpus.curating import Layout, curate
from dross.engine import engine
from tests.corpus.conftest import content, dropped

STEPS = [{"minhash-deduplication": {"similarity": 0.6}}, {"budget": {"share": 0.8}}, "ordering"]
LAYOUT = Layout(piece=20_000, rows=100)
Corpus = Callable[..., str]


@pytest.fixture(autouse=True)
def found_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import the tasks of this file."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One Ray for all tests."""
    ray = pytest.importorskip("ray")
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=1 << 28)
    yield
    ray.shutdown()


def test_local_and_ray_give_the_same_bytes(corpus: Corpus, tmp_path: Path, cluster: None) -> None:
    found, source = {}, corpus()
    for name, workers in (("local", 1), ("local", 2), ("ray", 1), ("ray", 2), ("ray", 4)):
        out = tmp_path / f"{name}{workers}"
        curate(STEPS, source, out, engine_name=name, workers=workers, layout=LAYOUT)
        found[name, workers] = content(out), dropped(out).fill_nan(-1).rows()
    assert len(set(map(repr, found.values()))) == 1
    assert len(found["ray", 4][1]) > 100


def slow(task: tuple[str, int]) -> int:
    """A task that notes its process and is in no hurry."""
    folder, number = task
    (Path(folder) / f"{number}-{os.getpid()}").touch()
    time.sleep(0.3)
    return number


def fatal(task: tuple[str, int]) -> int:
    """A task whose worker dies, always."""
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def killer(folder: Path) -> threading.Thread:
    """Kills the worker of the first task that begins."""

    def work() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            for file in folder.iterdir():
                os.kill(int(file.name.split("-")[1]), signal.SIGKILL)
                return
            time.sleep(0.02)

    return threading.Thread(target=work)


@pytest.mark.parametrize("name", ["local", "ray"])
def test_a_killed_worker_changes_nothing(name: str, tmp_path: Path, cluster: None) -> None:
    with engine(name, workers=2) as chosen:
        thread = killer(tmp_path)
        thread.start()
        done = dict(chosen.run(slow, [(str(tmp_path), i) for i in range(6)]))
        thread.join()
    assert done == {i: i for i in range(6)}
    assert len(list(tmp_path.iterdir())) > 6  # some task was begun twice


@pytest.mark.parametrize("name", ["local", "ray"])
def test_a_task_that_kills_its_worker_ends_the_run(name: str, tmp_path: Path, cluster: None) -> None:
    with engine(name, workers=2) as chosen, pytest.raises(DrossError, match="a worker died"):
        list(chosen.run(fatal, [(str(tmp_path), i) for i in range(2)]))


@pytest.mark.parametrize("name", ["local", "ray"])
def test_an_error_of_a_task_is_the_error_of_the_run(name: str, tmp_path: Path, cluster: None) -> None:
    with engine(name, workers=2) as chosen, pytest.raises(DrossError, match=r"no such file .*nowhere"):
        list(chosen.run(missing, [str(tmp_path / "nowhere")] * 3))


def missing(path: str) -> int:
    """A task over a file that is not there."""
    raise DrossError("no such file or folder", where=path)


def test_what_an_engine_refuses() -> None:
    for given, told in (
        ({"name": "rai"}, "did you mean 'ray'"),
        ({"workers": 0}, "0 workers"),
        ({"address": "x"}, "ray"),
    ):
        with pytest.raises(DrossError, match=told), engine(**given):  # type: ignore[arg-type]
            pass


def test_interrupting_ends_the_workers(tmp_path: Path) -> None:
    with engine("local", workers=2) as chosen:
        running = chosen.run(slow, [(str(tmp_path), i) for i in range(50)])
        next(running)
        running.close()  # type: ignore[attr-defined]
    pids = {int(file.name.split("-")[1]) for file in tmp_path.iterdir()}
    left = subprocess.run(
        ["ps", "-o", "pid=", "-p", ",".join(map(str, pids))], capture_output=True, text=True, check=False
    )
    assert not left.stdout.split()
