"""Sharpness-aware minimization: the step, the curvature against the whole Hessian."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dross.claims._training import trained
from dross.core.errors import DrossError
from dross.models.devices import seeded
from dross.models.examples import Batch, Examples, supervised
from dross.models.loop import Run, Settings
from dross.models.networks import Maker
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.cross_entropy import CrossEntropy
from dross.train.sharpness_aware_minimization import SharpnessAwareMinimization, ascent, top_hessian_eigenvalue


def test_contract() -> None:
    check_method(SharpnessAwareMinimization)


def test_climb_maximises_the_linear_part_within_the_radius() -> None:
    torch.manual_seed(0)
    gradients = [torch.randn(3, 2), torch.randn(4)]
    steps = ascent(gradients, 0.3)
    assert abs(float(sum(s.square().sum() for s in steps).sqrt()) - 0.3) < 1e-6
    gain = float(sum((g * s).sum() for g, s in zip(gradients, steps, strict=True)))
    assert abs(gain - 0.3 * float(sum(g.square().sum() for g in gradients).sqrt())) < 1e-5


def test_step_goes_from_where_it_stood_down_the_gradient_taken_above() -> None:
    """With plain gradient descent of rate 1 the whole update can be written out."""
    with seeded(0):
        net, x, y = Maker("linear", "vector", (5,), 3)(), torch.randn(8, 5), torch.randint(3, (8,))
    start = [p.detach().clone() for p in net.parameters()]
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    run = Run(Examples(x, y, 3), Settings(), {"net": net}, torch.device("cpu"), optimizer)
    batch = Batch(torch.arange(8), x, y)
    seen = SharpnessAwareMinimization(rho=0.5).step(run, batch)
    moved = [before - p.detach() for before, p in zip(start, net.parameters(), strict=True)]
    climbed = [p.clone().requires_grad_() for p in start]
    loss = supervised(x @ climbed[0].T + climbed[1], y)
    assert torch.allclose(loss, seen)
    up = ascent(torch.autograd.grad(loss, climbed), 0.5)
    top = [(p + u).detach().requires_grad_() for p, u in zip(start, up, strict=True)]
    expected = torch.autograd.grad(supervised(x @ top[0].T + top[1], y), top)
    assert all(torch.allclose(m, e, atol=1e-6) for m, e in zip(moved, expected, strict=True))


def test_top_eigenvalue_is_that_of_the_whole_hessian() -> None:
    with seeded(3):
        x, y, w = torch.randn(30, 4), torch.randint(3, (30,)), torch.randn(3, 4, requires_grad=True)
        found = top_hessian_eigenvalue(lambda: supervised(x @ w.T, y), [w], steps=500, tolerance=1e-7)
    whole = torch.autograd.functional.hessian(lambda v: supervised(x @ v.reshape(3, 4).T, y), w.detach().flatten())
    assert abs(found - float(torch.linalg.eigvalsh(whole).max())) < 1e-3


def test_no_radius_is_plain_training() -> None:
    exam = digits_exam(0, train=200)
    answers = [trained(m(epochs=3), exam).predict_proba(exam.test) for m in (CrossEntropy, _Flat)]
    assert np.allclose(*answers, atol=1e-5)
    with pytest.raises(DrossError, match="rho"):
        trained(SharpnessAwareMinimization(rho=-1.0), exam)


def _Flat(epochs: int) -> SharpnessAwareMinimization:
    return SharpnessAwareMinimization(rho=0.0, epochs=epochs)
