"""Several devices: the same answer as one, errors from any process, and going on after an interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dross.core.errors import DrossError
from dross.core.signal import Signals
from dross.job.training import trainer
from dross.models.distributed import Team
from dross.models.loop import Objective, Settings, fit
from dross.testing.images import digit_pixels, pixel_dataset

torch = pytest.importorskip("torch")
fabric = pytest.importorskip("lightning_fabric", reason="needs lightning-fabric")


def learnt(method: str, devices: int, **options: Any) -> Any:
    X, y = digit_pixels()
    data = pixel_dataset(X[:256], y[:256])
    return trainer(method, network="mlp", epochs=2, devices=devices, **options).run(data, Signals(data))


def small() -> tuple[Any, Any]:
    """128 digits, and what makes a network for them."""
    from dross.models.examples import Examples
    from dross.models.networks import Maker

    X, y = digit_pixels()
    examples = Examples(torch.from_numpy(X[:128].astype(np.float32)), torch.from_numpy(y[:128].astype(np.int64)), 10)
    return examples, Maker("mlp", "vector", (X.shape[1],), 10)


@pytest.mark.parametrize("method", ["cross-entropy", "early-learning-regularization"])
def test_two_processes_train_as_one(method: str) -> None:
    alone, together = learnt(method, 1), learnt(method, 2)
    for name, value in alone.nets["net"].state_dict().items():
        torch.testing.assert_close(together.nets["net"].state_dict()[name], value, atol=1e-5, rtol=1e-4)
    losses = [[epoch["loss"] for epoch in model.summary["history"]] for model in (alone, together)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_networks_that_are_trained_further_are_the_ones_that_were_given() -> None:
    examples, make = small()
    found = []
    for devices in (1, 2):
        torch.manual_seed(0)
        nets = {"net": make()}
        run = fit(Objective(), make, examples, Settings(epochs=2, devices=devices, device="cpu"), nets=nets)
        assert run.net is nets["net"]
        found.append(nets["net"].state_dict())
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, atol=1e-5, rtol=1e-4)


def test_an_error_in_the_processes_is_told() -> None:
    with pytest.raises(DrossError, match="no longer a number"):
        learnt("cross-entropy", 2, learning_rate=1e30)


@dataclass
class Killed(Objective):
    """The second process is killed, as by a system that has run out of memory."""

    def begin(self, run: Any) -> None:
        if run.team.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_told() -> None:
    examples, make = small()
    with pytest.raises(DrossError, match=r"ended before its work was done: .*SIGKILL"):
        fit(Killed(), make, examples, Settings(epochs=1, devices=2, device="cpu"))


ENDLESS = """
from dross.models.loop import Objective, Settings, fit
from tests.models.test_distributed import small

if __name__ == "__main__":
    examples, make = small()
    settings = Settings(epochs=100_000, devices=2, device="cpu")
    fit(Objective(), make, examples, settings, progress=lambda done, total: print(done, flush=True))
"""


def ended(group: int) -> bool:
    """Whether no process of a group is left; the last one may wait for the system to take note of its end."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_an_interrupted_training_leaves_no_process(tmp_path: Path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    running = subprocess.Popen(
        [sys.executable, script], env=here, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline(), "it trains"
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        running.communicate(timeout=60)
        assert running.returncode != 0
        assert ended(running.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


def test_what_is_noted_of_rows_needs_one_process() -> None:
    settings = Settings(epochs=1, devices=2)
    with pytest.raises(DrossError, match="one process"):
        fit(Objective(), None, None, settings, noted=lambda *_: None)  # type: ignore[arg-type]


def test_fewer_devices_than_one_are_refused() -> None:
    with pytest.raises(DrossError, match="devices is 0"):
        learnt("cross-entropy", 0)


def test_a_checkpoint_of_two_processes_is_gone_on_with_by_one(tmp_path: Path) -> None:
    from dross.models.checkpoint import Keeper

    examples, make = small()
    keeper = Keeper(tmp_path / "training", every=0)
    first = fit(Objective(), make, examples, Settings(epochs=3, devices=2, device="cpu"), keeper=keeper)
    more = fit(Objective(), make, examples, Settings(epochs=4, device="cpu"), keeper=keeper)
    assert more.history[:3] == first.history
    assert len(more.history) == 4


# ---- what the processes say, without any ----------------------------------------------------------------------------


@dataclass
class Said:
    """Stands in for Fabric in one of two processes; the other one says what it is given."""

    global_rank: int
    other: Any = None
    world_size: int = 2

    def all_reduce(self, value: Any, reduce_op: str) -> Any:
        assert reduce_op == "mean"
        return (value + self.other) / 2

    def all_gather(self, value: Any) -> Any:
        return torch.stack([value, self.other.pop(0).to(value.dtype)])


@pytest.mark.parametrize("count", [1, 2, 5, 64])
def test_shares_are_of_equal_length_and_cover_the_batch(count: int) -> None:
    rows = torch.arange(100, 100 + count)
    parts = [Team(Said(rank)).share(rows) for rank in range(2)]
    assert len(parts[0]) == len(parts[1]) == -(-count // 2)
    assert set(torch.cat(parts).tolist()) == set(rows.tolist())
    assert len(Team(Said(0)).share(rows[:0])) == 0


def test_a_gradient_that_nobody_has_stays_away() -> None:
    a, b, c = (torch.nn.Parameter(torch.zeros(2)) for _ in range(3))
    a.grad, b.grad = torch.tensor([1.0, 3.0]), None
    other = torch.tensor([1.0, 1.0, 0.0, 3.0, 5.0, 2.0, 4.0, 0.0, 0.0])  # who has one; the gradients
    Team(Said(0, other)).average(torch.optim.SGD([a, b, c], 0.1))
    assert a.grad.tolist() == [2.0, 4.0]
    assert b.grad is not None
    assert b.grad.tolist() == [1.0, 2.0]
    assert c.grad is None


def test_what_is_remembered_of_rows_comes_from_who_saw_them() -> None:
    class Run:
        nets: dict[str, Any] = {}
        examples = range(4)
        state = {"targets": torch.tensor([[1.0], [7.0], [3.0], [torch.nan]]), "mean": torch.tensor([1.0, 2.0])}

    before = {"targets": torch.tensor([[1.0], [2.0], [3.0], [torch.nan]]), "mean": torch.zeros(2)}
    theirs = torch.tensor([[5.0], [2.0], [3.0], [torch.nan]])
    said = Said(0, [torch.tensor([1, 0, 0, 0]), theirs, torch.tensor([3.0, 4.0])])
    run: Any = Run()
    Team(said).settle(run, before)
    assert run.state["targets"][:3, 0].tolist() == [5.0, 7.0, 3.0]
    assert run.state["targets"][3].isnan().all()
    assert run.state["mean"].tolist() == [2.0, 3.0]
