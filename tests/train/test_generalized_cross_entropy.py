"""Generalized cross-entropy: the paper's loss and gradient, its limits, truncation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dross.claims._training import trained
from dross.core.errors import DrossError
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.generalized_cross_entropy import GeneralizedCrossEntropy, box_cox_loss, worth_fitting


def test_contract() -> None:
    check_method(GeneralizedCrossEntropy)


def test_gradient_is_that_of_cross_entropy_weighted_by_the_chance_to_the_q() -> None:
    """Section 3.2."""
    torch.manual_seed(0)
    logits, y = torch.randn(6, 4, requires_grad=True), torch.randint(4, (6,))
    (ours,) = torch.autograd.grad(box_cox_loss(logits, y, 0.7).sum(), logits)
    probs = logits.softmax(dim=1).detach()
    own = probs[torch.arange(6), y, None]
    assert torch.allclose(ours, own**0.7 * (probs - torch.eye(4)[y]), atol=1e-6)


def test_limits_are_cross_entropy_and_the_absolute_error() -> None:
    torch.manual_seed(0)
    logits, y = torch.randn(6, 4), torch.randint(4, (6,))
    own = logits.softmax(dim=1)[torch.arange(6), y]
    assert torch.allclose(box_cox_loss(logits, y, 1e-3), -own.log(), atol=1e-2)
    assert torch.allclose(box_cox_loss(logits, y, 1.0), 1 - own)


def test_truncation_keeps_rows_whose_loss_is_at_most_that_of_the_bound() -> None:
    own = torch.rand(100, generator=torch.Generator().manual_seed(0))
    loss = (1 - own**0.7) / 0.7
    assert torch.equal(worth_fitting(own, 0.5), loss <= (1 - 0.5**0.7) / 0.7)


def test_wrong_labels_become_edits() -> None:
    exam = digits_exam(0, noise=0.3)
    model = trained(GeneralizedCrossEntropy(truncation=0.5, epochs=20), exam)
    assert model.edits is not None
    wrong = np.flatnonzero(np.asarray(exam.data.codes) != exam.truth)
    assert np.isin(wrong, model.edits.rows).mean() > 0.8
    with pytest.raises(DrossError, match="q is"):
        trained(GeneralizedCrossEntropy(q=2.0), exam)
