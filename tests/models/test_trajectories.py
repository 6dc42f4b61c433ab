"""Trajectories: the student's path against torch's own SGD, gradients against finite differences, experts kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dross.core.errors import DrossError
from dross.models.distiller import certain
from dross.models.examples import Examples
from dross.models.loop import Settings
from dross.models.trajectories import (
    Descent,
    Distilled,
    Matching,
    expert_trajectories,
    flat_weights,
    match,
    matching_loss,
    perturbed,
    steepness,
    step_norms,
    student_path,
)


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()


def rows(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    return x, torch.randn(n, 2, generator=generator, dtype=torch.float64).softmax(dim=1)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_student_steps_as_torch_does(momentum: float) -> None:
    net, (x, targets) = small(), rows()
    rate = torch.tensor(0.3, dtype=torch.float64)
    path = student_path(net, flat_weights(net), iter([(x, targets)] * 4), rate, momentum=momentum)
    optimizer = torch.optim.SGD(net.parameters(), 0.3, momentum=momentum)
    for reached in path:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), targets).backward()
        optimizer.step()
        assert torch.allclose(reached, flat_weights(net), rtol=0, atol=1e-12)


def test_the_way_back_is_the_slope_of_the_matching_loss() -> None:
    net, (x, targets) = small(), rows()
    start = flat_weights(net)
    target = start + torch.linspace(-1, 1, len(start), dtype=torch.float64)

    def distance(x: torch.Tensor, targets: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
        path = student_path(net, start, iter([(x, targets)] * 3), rate, momentum=0.5, factor=0.7)
        return matching_loss(path[-1], start, target)

    rate = torch.tensor(0.2, dtype=torch.float64)
    inputs = tuple(part.requires_grad_(True) for part in (x, targets, rate))
    assert torch.autograd.gradcheck(distance, inputs)


def test_an_expert_is_kept_epoch_by_epoch() -> None:
    x, targets = rows(8)
    examples = Examples(x.float(), targets.argmax(dim=1), 2)
    settings = Settings(3, 8, 0.1, 0.0, 0, "cpu")
    paths, net = expert_trajectories(Descent(), lambda: small().float(), examples, settings, 2)
    assert paths.shape == (2, 4, 32)
    assert torch.equal(paths[1, -1], flat_weights(net))
    weights = paths[0, 0]
    for epoch in range(3):  # one batch of all rows an epoch: each epoch is one step of the student
        hot = torch.nn.functional.one_hot(examples.y, 2).float()
        (weights,) = student_path(net, weights, iter([(examples.x, hot)]), torch.tensor(0.1))
        assert torch.allclose(weights, paths[0, epoch + 1], atol=1e-5)
    assert torch.allclose(step_norms(paths)[0, 0], (paths[0, 1] - paths[0, 0]).norm())


def test_a_damped_loss_makes_shorter_first_steps() -> None:
    x, targets = rows(8)
    examples = Examples(x.float(), targets.argmax(dim=1), 2)
    settings = Settings(2, 8, 0.1, 0.0, 0, "cpu")
    norms = [
        step_norms(expert_trajectories(Descent(shares=shares), lambda: small().float(), examples, settings, 1)[0])[0]
        for shares in ((), (0.5,))
    ]
    assert torch.allclose(norms[1][0], norms[0][0] / 2, atol=1e-5)


def test_the_penalty_measures_slopes() -> None:
    net, (x, _) = small(), rows()
    found = []
    for row in x.clone().requires_grad_(True).unbind():
        (slope,) = torch.autograd.grad(net(row[None]).sum(), row)
        found.append((slope.norm() - 1) ** 2)
    assert torch.allclose(steepness(net, x), torch.stack(found).mean(), atol=1e-9)


def test_noise_is_of_the_size_asked_for() -> None:
    net = small()
    weights = torch.ones(32, dtype=torch.float64)
    with torch.random.fork_rng():
        moved = perturbed(net, weights, 0.5) - weights
    assert moved[:15].norm() == pytest.approx(0.5, abs=1e-6)
    assert not moved[15:20].any()


def task() -> tuple[Distilled, torch.Tensor, nn.Module]:
    x, _ = rows(40)
    examples = Examples(x.float(), (x[:, 0] > 0).long(), 2)
    settings = Settings(6, 8, 0.3, 0.0, 0, "cpu")
    paths, net = expert_trajectories(Descent(), lambda: small().float(), examples, settings, 2)
    begun = Distilled(torch.zeros(2, 3), certain(np.array([0, 1]), 2), torch.tensor(0.3))
    begun.x[1, 0] = 0.1
    return begun, paths, net


def test_matching_brings_the_student_nearer_and_leaves_fixed_inputs_alone() -> None:
    begun, paths, net = task()
    varies = torch.tensor([True, True, False])
    how = Matching(60, 2, 8, 0, 1.0, step_rate=1e-3)
    made = match(begun, net, paths, how, lambda i: (0, 3), varies=varies)
    assert np.mean(made.losses[-10:]) < 0.6 * np.mean(made.losses[:10])
    assert not made.x[:, 2].any()
    assert torch.equal(made.logits, begun.logits)
    again = match(begun, net, paths, how, lambda i: (0, 3), varies=varies)
    assert torch.equal(made.x, again.x)


def test_iterations_above_the_threshold_change_nothing() -> None:
    begun, paths, net = task()
    how = Matching(3, 2, 8, 0, 1.0, label_rate=1.0, threshold=1e-9)
    made = match(begun, net, paths, how, lambda i: (0, 3), varies=torch.ones(3, dtype=torch.bool))
    assert torch.equal(made.x, begun.x)
    assert torch.equal(made.logits, begun.logits)


def test_points_between_count_too() -> None:
    begun, paths, net = task()
    varies = torch.ones(3, dtype=torch.bool)
    plain = Matching(1, 2, 8, 0, 1e-9)
    both = [
        match(begun, net, paths, how, lambda i: (0, 1), varies=varies).losses[0]
        for how in (plain, replace(plain, intermediate=True))
    ]
    assert both[1] > both[0]


def test_a_student_that_leaves_all_numbers_is_told() -> None:
    begun, paths, net = task()
    with pytest.raises(DrossError, match="no longer numbers"):
        match(
            replace(begun, rate=torch.tensor(float("inf"))),
            net,
            paths,
            Matching(2, 2, 8, 0, 1.0),
            lambda i: (0, 3),
            varies=torch.ones(3, dtype=torch.bool),
        )
