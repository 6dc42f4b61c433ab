"""Bootstrapping: equations 6 and 7 spelt out."""

from __future__ import annotations

import pytest
import torch

from dross.claims._training import trained
from dross.core.errors import DrossError
from dross.models.examples import soft_cross_entropy, supervised
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.bootstrapping import Bootstrapping, hard_term, soft_term


def test_contract() -> None:
    check_method(Bootstrapping)


@pytest.mark.parametrize("hard", [True, False])
def test_loss_is_the_cross_entropy_against_the_mixed_target(hard: bool) -> None:
    torch.manual_seed(0)
    logits, y = torch.randn(6, 4), torch.randint(4, (6,))
    probs = logits.softmax(dim=1)
    own = torch.eye(4)[probs.argmax(dim=1)] if hard else probs
    whole = soft_cross_entropy(logits, 0.8 * torch.eye(4)[y] + 0.2 * own).mean()
    term = (hard_term if hard else soft_term)(logits).mean()
    assert torch.allclose(0.8 * supervised(logits, y) + 0.2 * term, whole, atol=1e-6)


def test_both_terms_pull_towards_what_is_believed() -> None:
    for term in (soft_term, hard_term):
        logits = torch.tensor([[1.0, 0.0, 0.0]], requires_grad=True)
        term(logits).sum().backward()
        assert float(logits.grad[0, 0]) < 0 < float(logits.grad[0, 1])


def test_shares_are_the_papers_unless_given() -> None:
    exam = digits_exam(0, train=200)

    def loss(**settings: float) -> float:
        return trained(Bootstrapping(epochs=2, **settings), exam).summary["history"][-1]["loss"]

    assert loss() == loss(trust=0.8) != loss(trust=0.95)
    assert loss(hard=False) == loss(hard=False, trust=0.95) != loss(hard=False, trust=0.8)
    with pytest.raises(DrossError, match="trust"):
        loss(trust=-1.0)
