"""LiST: the virtual step, the weights, adapters alone are tuned."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from dross.core.errors import DrossError
from dross.core.signal import Signals
from dross.models.adapters import Adapted
from dross.models.lesson import lesson_of
from dross.models.networks import BODIES, Maker
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.lite_self_training import LiteSelfTraining, meta_gradient, sample_weights

SHAPES = {"vector": (16,), "image": (1, 8, 8), "tokens": (12,)}


def test_contract() -> None:
    check_method(LiteSelfTraining)


def test_the_meta_gradient_is_the_slope_of_the_gold_loss_after_one_step() -> None:
    """Against finite differences in each row's weight, on a linear model with squared errors."""
    torch.manual_seed(0)
    X, t, G, u = (torch.randn(*s, dtype=torch.float64) for s in ((5, 3), (5,), (4, 3), (4,)))
    v = torch.randn(3, dtype=torch.float64, requires_grad=True)
    rate, small = 0.1, 1e-6

    def gold_after(weights: torch.Tensor) -> torch.Tensor:
        slope = 2 * (weights * (X @ v - t)) @ X
        return (G @ (v - rate * slope) - u).square().mean()

    found = meta_gradient(
        lambda p: (X @ p["v"] - t).square(), lambda p: (G @ p["v"] - u).square().mean(), {"v": v}, rate
    )
    with torch.no_grad():
        steps = [(gold_after(small * e) - gold_after(-small * e)) / (2 * small) for e in torch.eye(5).double()]
    assert torch.allclose(found, torch.stack(steps), atol=1e-6)


def test_weights_add_up_to_one_and_harmful_rows_get_none() -> None:
    found = sample_weights(torch.tensor([0.5, -1.0, -3.0, 0.0]))
    assert found.tolist() == [0.0, 0.25, 0.75, 0.0]
    assert sample_weights(torch.ones(3)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", sorted(BODIES))
def test_adapters_change_nothing_at_first_and_all_of_the_rest_is_frozen(name: str) -> None:
    torch.manual_seed(0)
    kind = BODIES[name][0]
    make = Maker(name, kind, SHAPES[kind], 4)
    x = torch.randint(1, 9, (16, 12)) if kind == "tokens" else torch.randn(16, *SHAPES[kind])
    net = make().eval()
    before = net(x).detach()
    adapted = Adapted(net, 0.04).eval()
    assert torch.allclose(adapted(x), before, atol=1e-6)
    tuned = {n for n, p in adapted.named_parameters() if p.requires_grad}
    assert tuned
    assert all(n.startswith("adapters.") for n in tuned)
    for adapter in adapted.adapters:
        torch.nn.init.normal_(adapter.up.weight)
    twin = copy.deepcopy(adapted)
    assert not torch.equal(adapted(x), before), "adapters take part"
    for adapter in twin.adapters:
        torch.nn.init.zeros_(adapter.up.weight)
    assert torch.allclose(twin(x), before, atol=1e-6), "a copy uses its own adapters"


def test_less_than_a_twentieth_of_the_parameters_is_tuned_and_the_rest_stays() -> None:
    exam = digits_exam(0, per_class=3, train=300)
    method = LiteSelfTraining(epochs=20, rounds=1, round_epochs=3)
    lesson = lesson_of(method, exam.data, Signals(exam.data))
    run = method.learn(lesson)
    total = sum(p.numel() for p in run.net.net.parameters())
    assert 0 < method.report(run)["tuned"] < 0.05 * total
    longer = replace(method, rounds=2).learn(lesson).net.state_dict()
    same = {name: torch.equal(value, longer[name]) for name, value in run.net.state_dict().items()}
    assert all(kept == name.startswith("net.") for name, kept in same.items()), "two rounds differ in adapters alone"
    weight = (run.state["weight"] / run.state["drawn"].clamp(min=1)).numpy()
    assert np.isfinite(weight).all()
    assert weight[run.labelled].max() == 0
    assert weight[run.unlabelled].max() > 0


def test_no_round_is_no_self_training() -> None:
    exam = digits_exam(0, per_class=3, train=100)
    with pytest.raises(DrossError, match="rounds"):
        LiteSelfTraining(rounds=0, epochs=1).run(exam.data, Signals(exam.data))
