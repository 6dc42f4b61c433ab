"""Class-balanced loss: effective numbers, the three losses, bad settings."""

from __future__ import annotations

import pytest
import torch

from dross.claims._training import trained
from dross.core.errors import DrossError
from dross.models.examples import supervised
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.class_balanced_loss import LOSSES, ClassBalancedLoss, effective_weights, row_losses


def test_contract() -> None:
    check_method(ClassBalancedLoss)


def test_effective_number_is_the_geometric_sum() -> None:
    """Equation 3: E_n = sum of beta^(j - 1) for j from 1 to n."""
    counts = torch.tensor([3.0, 17.0, 200.0])
    inverse = torch.tensor([1 / sum(0.98 ** (j - 1) for j in range(1, int(n) + 1)) for n in counts])
    assert torch.allclose(effective_weights(counts, 0.98), inverse * 3 / inverse.sum(), atol=1e-5)


def test_limits_are_no_weights_and_the_inverse_frequency() -> None:
    counts = torch.tensor([5.0, 50.0])
    assert torch.allclose(effective_weights(counts, 0.0), torch.ones(2))
    assert torch.allclose(effective_weights(counts, 0.9999999), 2 * torch.tensor([10 / 11, 1 / 11]), atol=1e-4)


def test_losses_are_those_of_the_paper() -> None:
    torch.manual_seed(0)
    logits, y = torch.randn(6, 4), torch.randint(4, (6,))
    assert torch.allclose(row_losses(logits, y, "softmax", 1.0).mean(), supervised(logits, y))
    hot = torch.eye(4)[y]
    p = torch.where(hot > 0, logits.sigmoid(), 1 - logits.sigmoid())
    assert torch.allclose(row_losses(logits, y, "sigmoid", 2.0), -p.log().sum(dim=1), atol=1e-5)
    assert torch.allclose(row_losses(logits, y, "focal", 2.0), -((1 - p) ** 2 * p.log()).sum(dim=1), atol=1e-5)
    assert torch.allclose(row_losses(logits, y, "focal", 0.0), row_losses(logits, y, "sigmoid", 0.0))


@pytest.mark.parametrize("kind", LOSSES)
def test_every_kind_learns(kind: str) -> None:
    exam = digits_exam(0, train=300)
    assert trained(ClassBalancedLoss(kind=kind, epochs=20), exam).score(exam.test) > 0.85


def test_bad_settings() -> None:
    for settings in ({"kind": "hinge"}, {"beta": 1.0}, {"gamma": -1.0}):
        with pytest.raises(DrossError, match=r"hinge|beta"):
            trained(ClassBalancedLoss(**settings), digits_exam(0))
