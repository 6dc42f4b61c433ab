"""Logit adjustment: equation 10, and that the answer is the balanced one."""

from __future__ import annotations

import pytest
import torch

from dross.claims._training import trained
from dross.core.errors import DrossError
from dross.models.class_counts import class_counts
from dross.models.examples import supervised
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.logit_adjustment import LogitAdjustment, margins


def test_contract() -> None:
    check_method(LogitAdjustment)


def test_loss_is_log_one_plus_the_sum_over_other_classes() -> None:
    """Equation 11: log(1 + sum over c of (pi_c / pi_y)^tau exp(f_c - f_y))."""
    torch.manual_seed(0)
    logits, y, counts = torch.randn(5, 3), torch.randint(3, (5,)), torch.tensor([1.0, 5.0, 14.0])
    pi = counts / counts.sum()
    ratio = (pi[None] / pi[y][:, None]) ** 1.5 * (logits - logits[torch.arange(5), y, None]).exp()
    ratio[torch.arange(5), y] = 0
    ours = supervised(logits + margins(counts, 1.5), y)
    assert torch.allclose(ours, (1 + ratio.sum(dim=1)).log().mean())


def test_best_logits_are_those_of_equal_frequencies() -> None:
    """With p(y | x) known, the minimiser f has softmax(f) in proportion to p(x | y), not p(y | x)."""
    likelihood, counts = torch.tensor([0.2, 0.3, 0.5]), torch.tensor([10.0, 30.0, 60.0])
    posterior = likelihood * counts / (likelihood * counts).sum()
    logits = likelihood.log()[None].requires_grad_()
    loss = sum(posterior[c] * supervised(logits + margins(counts, 1.0), torch.tensor([c])) for c in range(3))
    loss.backward()
    assert torch.allclose(logits.grad, torch.zeros(1, 3), atol=1e-6)


def test_a_class_without_rows_and_bad_settings() -> None:
    assert bool(margins(class_counts(torch.tensor([0, 0, -1]), 2), 1.0).isfinite().all())
    with pytest.raises(DrossError, match="tau"):
        trained(LogitAdjustment(tau=-1.0), digits_exam(0))
