"""The training loop: against a hand-written one, resuming, reproducing, early stopping, and what goes wrong."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from dross.core.errors import DrossError
from dross.models.checkpoint import Keeper, read_tensors, write_tensors
from dross.models.devices import device_of, seeded
from dross.models.examples import Batch, Examples
from dross.models.loop import Objective, Run, Settings, fit, follow, frozen, rate
from dross.models.networks import Maker


def examples(n: int = 64, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = rng.normal(size=(n, 5)) + 2 * np.eye(5)[y]
    return Examples(torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y), 3)


MAKE = Maker("mlp", "vector", (5,), 3)


def weights(run: Run) -> list[torch.Tensor]:
    return [value.clone() for value in run.net.state_dict().values()]


def same(one: list[torch.Tensor], two: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_plain_training_is_what_a_hand_written_loop_does() -> None:
    data, settings = examples(), Settings(epochs=4, batch_size=10, seed=3)
    with seeded(3, 0):
        net = MAKE()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=1e-4)
    for epoch in range(4):
        optimizer.param_groups[0]["lr"] = 1e-3 * rate(epoch / 4)
        order = torch.from_numpy(np.random.default_rng((3, epoch)).permutation(64))
        for start in range(0, 64, 10):
            rows = order[start : start + 10]
            optimizer.zero_grad()
            functional.cross_entropy(net(data.x[rows]), data.y[rows]).backward()
            optimizer.step()
    found = fit(Objective(), MAKE, data, settings)
    assert same(weights(found), list(net.state_dict().values()))


def test_no_batch_holds_a_single_row() -> None:
    run = fit(Objective(), MAKE, examples(21), Settings(epochs=1, batch_size=10))
    sizes = [len(rows) for rows in run.shuffled(np.arange(21))]
    assert sizes == [10, 11]
    assert [len(r) for r in run.shuffled(np.arange(1))] == [1]
    assert list(run.shuffled(np.arange(0))) == []


def test_the_same_seed_gives_the_same_bytes_and_leaves_torchs_own_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one = weights(fit(Objective(), MAKE, examples(), Settings(epochs=2)))
    assert torch.equal(torch.rand(3), expected)
    assert same(one, weights(fit(Objective(), MAKE, examples(), Settings(epochs=2))))
    assert not same(one, weights(fit(Objective(), MAKE, examples(), Settings(epochs=2, seed=1))))


class Remembering(Objective):
    """A teacher, a state per row, dropout: all that a checkpoint must bring back."""

    def build(self, make: Any) -> dict[str, Any]:
        net = make()
        return {"net": net, "teacher": frozen(net)}

    def begin(self, run: Run) -> None:
        run.state["seen"] = torch.zeros(len(run.examples))

    def loss(self, run: Run, *batches: Batch) -> torch.Tensor:
        (batch,) = batches
        run.state["seen"][batch.rows] += 1
        x = functional.dropout(batch.x, 0.2)
        return super().loss(run, Batch(batch.rows, x, batch.y)) + 0.01 * run.rng.random()

    def after(self, run: Run, *batches: Batch) -> None:
        follow(run.nets["teacher"], run.net, 0.9)


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_training_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path, stop: int) -> None:
    settings = Settings(epochs=6, batch_size=16, patience=6)
    whole = fit(Remembering(), MAKE, examples(), settings, held=examples(30, 1))

    def kill(done: int, total: int) -> None:
        if done == stop:
            raise Killed

    with pytest.raises(Killed):
        fit(Remembering(), MAKE, examples(), settings, held=examples(30, 1),
            keeper=Keeper(tmp_path / "a", every=0), progress=kill)  # fmt: skip
    again = fit(Remembering(), MAKE, examples(), settings, held=examples(30, 1), keeper=Keeper(tmp_path / "a", every=0))
    assert same(weights(whole), weights(again))
    assert same(*(list(run.nets["teacher"].state_dict().values()) for run in (whole, again)))
    assert torch.equal(whole.state["seen"], again.state["seen"])
    assert whole.history == again.history


def test_a_finished_training_is_read_back_and_not_run_again(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "a")
    first = fit(Objective(), MAKE, examples(), Settings(epochs=2), keeper=keeper)
    told: list[int] = []
    again = fit(Objective(), MAKE, examples(), Settings(epochs=2), keeper=keeper, progress=lambda d, t: told.append(d))
    assert told == []
    assert same(weights(first), weights(again))


def test_a_damaged_checkpoint_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "a")
    fit(Objective(), MAKE, examples(), Settings(epochs=1), keeper=keeper)
    keeper.path.write_bytes(keeper.path.read_bytes()[:100])
    with pytest.raises(DrossError, match="damaged") as caught:
        fit(Objective(), MAKE, examples(), Settings(epochs=1), keeper=keeper)
    assert str(keeper.path) in str(caught.value)


def test_a_checkpoint_that_cannot_be_finished_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.safetensors"
    write_tensors(path, {"a": torch.ones(2)}, {"n": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dross.models.checkpoint.os.fsync", full)
    with pytest.raises(DrossError, match="No space left"):
        write_tensors(path, {"a": torch.zeros(2)}, {"n": 2})
    assert read_tensors(path)[1] == {"n": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["kept.safetensors"]


def test_the_best_epoch_on_validation_rows_is_taken() -> None:
    held = examples(40, 1)
    run = fit(Objective(), MAKE, examples(), Settings(epochs=40, learning_rate=0.02, patience=3), held=held)
    scores = [entry["validation"] for entry in run.history]
    assert len(scores) < 40
    best = int(np.argmax(scores))
    assert len(scores) == best + 1 + 3
    answered = float((run.net(held.x).argmax(dim=1) == held.y).float().mean())
    assert answered == pytest.approx(scores[best])


class Exploding(Objective):
    def loss(self, run: Run, *batches: Batch) -> torch.Tensor:
        loss = super().loss(run, *batches)
        return loss * float("nan") if run.epoch == 2 else loss


def test_a_loss_that_is_no_number_stops_and_the_last_good_state_is_kept(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "a", every=0)
    with pytest.raises(DrossError, match="no longer a number") as caught:
        fit(Exploding(), MAKE, examples(), Settings(epochs=4), keeper=keeper)
    assert "epoch 3" in str(caught.value)
    assert "learning rate" in str(caught.value)
    tensors, about = read_tensors(keeper.path)
    assert about["epoch"] == 2
    assert all(bool(value.isfinite().all()) for value in tensors.values())


class Greedy(Objective):
    def loss(self, run: Run, *batches: Batch) -> torch.Tensor:
        return torch.empty(1 << 60) + super().loss(run, *batches)


def test_running_out_of_memory_says_what_to_try() -> None:
    with pytest.raises(DrossError, match="memory ran out") as caught:
        fit(Greedy(), MAKE, examples(), Settings(epochs=1, batch_size=7))
    assert "batch_size than 7" in str(caught.value)


def test_labels_out_of_range_and_unknown_devices_are_refused() -> None:
    with pytest.raises(DrossError, match="class codes go from 0 to 3"):
        Examples(torch.zeros(2, 1), torch.tensor([0, 3]), 3)
    with pytest.raises(DrossError, match="2 rows have 1 labels"):
        Examples(torch.zeros(2, 1), torch.tensor([0]), 3)
    with pytest.raises(DrossError, match="cannot be used"):
        device_of("nonsense")


def test_rows_are_drawn_for_ever_pass_by_pass_or_by_weight() -> None:
    run = fit(Objective(), MAKE, examples(), Settings(epochs=1))
    draws = run.drawn(np.arange(6), 4)
    first = torch.cat([next(draws) for _ in range(3)])
    assert torch.bincount(first, minlength=6).tolist() == [2] * 6
    weighted = run.drawn(np.array([3, 5]), 400, np.array([3.0, 1.0]))
    assert 0.6 < float((next(weighted) == 3).float().mean()) < 0.9


def test_a_teacher_follows_by_the_decay() -> None:
    student = MAKE()
    teacher = frozen(student)
    with torch.no_grad():
        student.head.bias.fill_(1.0)
        teacher.head.bias.fill_(0.0)
    before = copy.deepcopy(student.state_dict())
    follow(teacher, student, 0.75)
    assert torch.allclose(teacher.head.bias, torch.full((3,), 0.25))
    assert all(torch.equal(v, before[k]) for k, v in student.state_dict().items())
    assert not any(p.requires_grad for p in teacher.parameters())
