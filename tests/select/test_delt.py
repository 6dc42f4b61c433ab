"""DELT: scores against autograd and a walked-back training, folds, the selection, bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import roc_auc_score

from dross.claims.select.delt import exam, ranking
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.devices import seeded
from dross.models.llama import Llama, Size
from dross.models.row_gradients import (
    curvature_along,
    differentiable,
    gradients_along,
    mean_gradient,
    row_losses,
    weights_of,
)
from dross.models.text_scorer import learnt_scores
from dross.select.delt import Delt, folded, learnability_quality, scores_on_the_way
from dross.testing import check_method
from dross.testing.planted import texts_with_copies

SMALL = Size(16, 1, 1, 8, 20)


def small(rows: int, seed: int = 0) -> tuple[Llama, torch.Tensor]:
    with seeded(seed, 0):
        net = Llama(SMALL).double()
        read = torch.randint(2, 20, (rows, 9))
    return net, torch.stack([read[:, :-1], read[:, 1:]], dim=1).int()


def test_contract() -> None:
    check_method(Delt)


def test_row_gradients_are_those_of_autograd() -> None:
    net, windows = small(5)
    windows[0, 1, 3:] = -100  # fewer tokens to predict
    windows[1, 1] = -100  # none
    weights = weights_of(net)
    direction = {name: torch.ones_like(value) for name, value in weights.items()}
    along, lengths = gradients_along(net, weights, windows, direction)
    for i in range(5):
        own = torch.autograd.grad(
            row_losses(net, dict(net.named_parameters()), windows[i : i + 1])[0], net.parameters()
        )
        assert float(along[i]) == pytest.approx(float(sum(g.sum() for g in own)), abs=1e-9)
        assert float(lengths[i]) == pytest.approx(float(sum(g.square().sum() for g in own) ** 0.5), abs=1e-9)


def test_curvature_is_the_change_of_the_gradient() -> None:
    net, windows = small(4)
    weights = weights_of(net)
    with seeded(3):
        direction = {name: 0.1 * torch.randn_like(value) for name, value in weights.items()}
    step = 1e-6
    with differentiable():
        ends = [
            mean_gradient(net, {k: v + sign * step * direction[k] for k, v in weights.items()}, windows)
            for sign in (1, -1)
        ]
    bent = curvature_along(net, weights, windows, direction)
    for name, value in bent.items():
        assert torch.allclose(value, (ends[0][name] - ends[1][name]) / (2 * step), rtol=1e-4, atol=1e-7)


def test_the_target_vector_is_the_slope_of_what_follows() -> None:
    """Equation 8, against autograd through an unrolled training: the slope of the sum of the target's losses."""
    net, windows = small(6)
    target, rate, plan = windows[4:], 0.5, np.array([[0, 1], [2, 3]])
    start = {name: value.clone().requires_grad_() for name, value in weights_of(net).items()}
    path, total = [start], row_losses(net, start, target).mean() * 0
    with differentiable():
        for rows in plan:
            loss = row_losses(net, path[-1], windows[rows]).mean()
            slopes = torch.autograd.grad(loss, list(path[-1].values()), create_graph=True)
            path.append({k: v - rate * s for (k, v), s in zip(path[-1].items(), slopes, strict=True)})
            total = total + row_losses(net, path[-1], target).mean()
        after_first = torch.autograd.grad(total, list(path[1].values()))
        found, at = [], [{k: v.detach() for k, v in point.items()} for point in path]
        for i in range(6):
            own = mean_gradient(net, at[0], windows[i : i + 1])
            later = [mean_gradient(net, at[t], windows[i : i + 1]) for t in (1, 2)]
            ends = mean_gradient(net, at[2], target)
            second = sum((later[0][k] * ends[k]).sum() for k in own) / _length(later[1])
            first = sum((g * s).sum() for g, s in zip(own.values(), after_first, strict=True)) / _length(later[0])
            found.append(float(first + second))
    scores = scores_on_the_way(net, at, plan, windows, target, rate, 1)
    assert scores == pytest.approx(np.array(found), rel=1e-6)


def _length(slopes: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack([value.square().sum() for value in slopes.values()]).sum().sqrt()


def test_scores_add_up_and_a_row_without_gradient_scores_nothing() -> None:
    along = np.array([[1.0, 0.0], [2.0, 0.0]])
    lengths = np.array([[9.0, 0.0], [2.0, 0.0], [4.0, 0.0]])
    assert learnability_quality(along, lengths).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("folds", [1, 3, 7])
def test_every_fold_goes_from_low_to_high_and_none_is_lost(folds: int) -> None:
    scores = np.random.default_rng(folds).normal(size=17)
    order = folded(scores, folds)
    assert sorted(order.tolist()) == list(range(17))
    assert (np.diff(scores[order]) < 0).sum() == folds - 1


def test_as_many_folds_as_rows_are_a_plain_sorting() -> None:
    assert folded([2.0, 0.0, 1.0], 9).tolist() == [1, 2, 0]


def test_spoiled_rows_score_low_and_the_best_are_folded() -> None:
    made = exam(7, rows=240, trusted=48, test=1)
    method = Delt(folds=1, passes=3, steps=8, every=4)
    ranked = ranking(method, made)
    assert roc_auc_score(made.sound, np.argsort(ranked)) > 0.7
    found = Delt(share=0.5, folds=3, passes=3, steps=8, every=4).run(made.data, Signals(made.data))
    assert isinstance(found, Selection)
    assert found.rows.tolist() == ranked[120:][folded(np.arange(120), 3)].tolist()
    assert found.summary["target"] == 48
    assert found.summary["target_loss_after"] < found.summary["target_loss_before"]


def test_a_scorer_learns_the_scores_of_some_rows_for_others() -> None:
    rng = np.random.default_rng(0)
    read = rng.integers(2, 20, (400, 9)).astype(np.int32)
    windows = np.stack([read[:, :-1], read[:, 1:]], axis=1)
    scores = (windows[:, 0] < 8).mean(axis=1)
    with seeded(0):
        body = Llama(SMALL)
    found = learnt_scores(body, windows[:300], scores[:300], windows, epochs=8, batch_size=16, seed=0, device="cpu")
    assert np.corrcoef(found[300:], scores[300:])[0, 1] > 0.8


def test_rows_beyond_the_proxies_are_scored_too() -> None:
    made = exam(8, rows=120, trusted=24, test=1)
    found = Delt(folds=1, steps=2, every=1, proxy_rows=60).run(made.data, Signals(made.data))
    assert isinstance(found, Selection)
    assert found.summary["scored_by_gradients"] == 60
    assert sorted(found.rows.tolist()) == list(range(120))


def test_the_order_of_the_rows_does_not_show() -> None:
    data = texts_with_copies(60, copies=0, seed=3).data
    turn = np.random.default_rng(0).permutation(60)
    one, other = (Delt(steps=4, every=2).run(d, Signals(d)) for d in (data, data.take(turn)))
    assert isinstance(one, Selection)
    assert isinstance(other, Selection)
    assert one.rows.tolist() == turn[other.rows].tolist()


def test_prompts_are_read_and_rows_without_a_response_left_out() -> None:
    table = pa.table(
        {"q": [f"say {i}" for i in range(30)], "a": ["" if i % 5 == 0 else f"it is {i}" for i in range(30)]}
    )
    data = Dataset(table, {Role.PROMPT: ["q"], Role.RESPONSE: ["a"]})
    found = Delt(steps=2, every=1).run(data, Signals(data))
    assert isinstance(found, Selection)
    assert sorted(found.rows.tolist()) == [i for i in range(30) if i % 5]
    assert found.summary["target"] == "the pool itself"


def test_bad_input() -> None:
    data = texts_with_copies(30, copies=0, seed=3).data
    for wrong in ({"share": 0.0}, {"folds": 0}, {"step_size": -1.0}, {"width": 20}, {"target": "gold"}):
        with pytest.raises(DrossError):
            Delt(**wrong).run(data, Signals(data))
    bare = Dataset(pa.table({"x": [1.0]}), {Role.FEATURES: ["x"]})
    assert isinstance(Delt().run(bare, Signals(bare)), NotApplicable)
