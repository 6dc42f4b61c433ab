"""Semixup: its three terms against their definitions, and what unlabelled rows add."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dross.claims._training import accuracy, trained
from dross.core.errors import DrossError
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.semixup import Semixup, disagreement, in_manifold, interpolation, out_of_manifold


def test_contract() -> None:
    check_method(Semixup)


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    p, q = (np.exp(z.detach().numpy().astype(float)) for z in (one, other))
    p, q = (v / v.sum(axis=1, keepdims=True) for v in (p, q))
    return sum((a - b) ** 2 for r, s in zip(p, q, strict=True) for a, b in zip(r, s, strict=True)) / p.size


def test_terms_are_squared_distances_between_chances() -> None:
    torch.manual_seed(0)
    plain, changed, mixture = (torch.randn(7, 3) for _ in range(3))
    assert float(in_manifold(plain, changed)) == pytest.approx(_apart(plain, changed), abs=1e-6)
    expected = _apart(mixture, changed) + _apart(mixture, plain)
    assert float(out_of_manifold(plain, changed, mixture)) == pytest.approx(expected, abs=1e-6)
    along = 0.7 * plain + 0.3 * plain.flip(0)
    assert float(interpolation(plain, plain.flip(0), mixture, 0.7)) == pytest.approx(_apart(mixture, along), abs=1e-6)


def test_gradients_pass_into_both_sides() -> None:
    torch.manual_seed(0)
    one, other = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    disagreement(one, other).backward()
    assert (one.grad != 0).any()
    assert (other.grad != 0).any()


def test_a_linear_network_meets_the_interpolation() -> None:
    torch.manual_seed(0)
    net, x = torch.nn.Linear(4, 3), torch.randn(6, 4)
    mixture = net(0.6 * x + 0.4 * x.flip(0))
    assert float(interpolation(net(x), net(x).flip(0), mixture, 0.6).detach()) < 1e-12


def test_unlabelled_rows_help() -> None:
    exam = digits_exam(7, per_class=10)
    without = Semixup(epochs=20, manifold=0.0, beyond=0.0, line=0.0)
    assert accuracy(trained(Semixup(epochs=20), exam), exam) > accuracy(trained(without, exam), exam)


def test_a_mixture_leans_to_its_main_row() -> None:
    with pytest.raises(DrossError, match="least is"):
        trained(Semixup(epochs=1, least=0.3), digits_exam(0, train=50))
