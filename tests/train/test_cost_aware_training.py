"""Cost-aware training: the weights, score matching, which numbers are learnt from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dross.claims.train.cost_aware_training import biased, dataset, fitted, surface
from dross.core.errors import DrossError
from dross.testing import check_method
from dross.train.cost_aware_training import (
    CostAwareTraining,
    bias_weights,
    sliced_score_loss,
    smooth,
    weighted_error,
)

SHORT = CostAwareTraining(epochs=5, teacher_epochs=60, tuning_epochs=10)


def test_contract() -> None:
    check_method(CostAwareTraining)


def test_weights_fall_by_e_at_gamma_and_have_mean_one() -> None:
    weights = bias_weights(torch.tensor([1.0, 1.5, 3.0]), torch.tensor([1.0, 1.0, 1.0]), 0.5)
    assert torch.allclose(weights / weights[0], torch.tensor([1.0, np.exp(-1), np.exp(-4)], dtype=torch.float32))
    assert abs(float(weights.mean()) - 1) < 1e-6


def test_the_gradient_is_the_weighted_sign() -> None:
    found = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    weighted_error(found, torch.zeros(3), torch.tensor([1.0, 2.0, 0.0])).backward()
    assert torch.allclose(found.grad, torch.tensor([1.0, -2.0, 0.0]) / 3)


def test_score_matching_is_least_for_the_energy_of_the_data() -> None:
    """Standard normal rows at temperature 1 have the energy x'x / 2, and no multiple of it does better."""
    torch.manual_seed(0)
    x = torch.randn(20_000, 2, requires_grad=True)
    v = torch.randn_like(x)
    losses = [float(sliced_score_loss(c * x.square().sum(dim=1) / 2, x, v, 1.0).detach()) for c in (0.7, 1.0, 1.3)]
    assert losses[1] < min(losses[0], losses[2])
    assert abs(losses[1] + 1) < 0.05  # |x|^2 / 2 - d, on average -d / 2


def test_a_smooth_network_answers_nearly_alike_and_bends() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    x = torch.randn(50, 3, requires_grad=True)
    assert float((smooth(net, x) - net(x)).abs().max().detach()) < 0.3
    (slope,) = torch.autograd.grad(smooth(net, x).sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x)
    assert float(bend.abs().max()) > 0


def test_cheap_numbers_are_used_and_bad_ones_ignored() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (640, 4))
    y = surface(X)
    target = np.where(np.arange(640) < 600, np.nan, y)
    test = rng.uniform(-1, 1, (300, 4))

    def error(cheap: np.ndarray | None) -> float:
        guess = fitted(SHORT, dataset(X, target, cheap)).predict_proba(dataset(test, surface(test)))[:, 0]
        return float(np.abs(guess - surface(test)).mean())

    assert error(biased(X, y, rng)) < error(None)


def test_cheap_words_are_refused() -> None:
    import pyarrow as pa

    from dross.core.dataset import Dataset
    from dross.core.roles import Role
    from dross.core.signal import Signals

    table = pa.table({"a": [0.0, 1.0, 2.0, 3.0], "y": [1.0, None, 2.0, 3.0], "cheap": ["low", "high", None, "low"]})
    data = Dataset(table, {Role.FEATURES: ["a"], Role.TARGET: ["y"], Role.VOTES: ["cheap"]})
    with pytest.raises(DrossError, match="cheap numbers are numbers"):
        SHORT.run(data, Signals(data))
