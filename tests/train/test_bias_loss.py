"""Bias loss: the published formula, where the features come from, what counts less."""

from __future__ import annotations

import math

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
from dross.train.bias_loss import BiasLoss, bias_weights, features_of, map_variances, scaled_variances


def test_contract() -> None:
    check_method(BiasLoss)


def test_weights_are_the_published_formula() -> None:
    torch.manual_seed(0)
    maps = torch.randn(6, 3, 2, 2) * torch.arange(1, 7)[:, None, None, None]
    v = [float(np.var(m.flatten().numpy(), ddof=1)) for m in maps]
    scaled = [(one - min(v)) / (max(v) - min(v)) for one in v]
    expected = torch.tensor([math.exp(0.3 * one) - 1 + 0.3 for one in scaled])
    variances = map_variances(maps)
    assert torch.allclose(bias_weights(scaled_variances(variances, variances.min()), 0.3, 0.3), expected, atol=1e-5)


def test_alike_rows_and_single_numbers_get_the_least_weight() -> None:
    assert scaled_variances(torch.ones(3), torch.tensor(1.0)).tolist() == [0, 0, 0]
    assert map_variances(torch.ones(2, 1)).tolist() == [0, 0]


@pytest.mark.parametrize(("name", "kind"), [("cnn", "image"), ("mobile", "image"), ("mlp", "vector")])
def test_features_and_logits_are_those_of_the_network(name: str, kind: str) -> None:
    shape = (1, 8, 8) if kind == "image" else (6,)
    with seeded(0):
        net, x = Maker(name, kind, shape, 3)(), torch.randn(4, *shape)
    features, logits = features_of(net, x)
    assert torch.allclose(logits, net(x), atol=1e-6)
    assert features.ndim == (4 if kind == "image" else 2)


def test_loss_is_the_weighted_mean_and_no_gradient_goes_through_the_weights() -> None:
    with seeded(0):
        net, x, y = Maker("mlp", "vector", (6,), 3)(), torch.randn(5, 6), torch.randint(3, (5,))
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    run = Run(Examples(x, y, 3), Settings(), {"net": net}, torch.device("cpu"), optimizer)
    method = BiasLoss()
    method.begin(run)
    loss = method.loss(run, Batch(torch.arange(5), x, y))
    variances = net.encode(x).detach().var(dim=1)
    weights = bias_weights(scaled_variances(variances, variances.min()), 0.3, 0.3)
    expected = sum(w * supervised(net(x[i : i + 1]), y[i : i + 1]) for i, w in enumerate(weights)) / 5
    assert torch.allclose(loss, expected)
    ours, theirs = (torch.autograd.grad(one, net.head.weight)[0] for one in (loss, expected))
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_bad_settings() -> None:
    with pytest.raises(DrossError, match="alpha"):
        trained(BiasLoss(alpha=0.0), digits_exam(0))
