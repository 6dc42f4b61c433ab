"""Label smoothing: the paper's targets, and where they lead."""

from __future__ import annotations

import pytest
import torch

from dross.claims._training import trained
from dross.core.errors import DrossError
from dross.models.examples import soft_cross_entropy, supervised
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.label_smoothing import LabelSmoothing, smoothed


def test_contract() -> None:
    check_method(LabelSmoothing)


def test_loss_is_that_of_the_label_and_of_the_uniform_distribution() -> None:
    """H(q', p) = (1 - e) H(q, p) + e H(u, p), section 7."""
    torch.manual_seed(0)
    logits, y = torch.randn(6, 5), torch.randint(5, (6,))
    uniform = -logits.log_softmax(dim=1).mean(dim=1).mean()
    ours = soft_cross_entropy(logits, smoothed(y, 5, 0.3)).mean()
    assert torch.allclose(ours, 0.7 * supervised(logits, y) + 0.3 * uniform)


def test_the_best_answer_is_the_smoothed_label() -> None:
    target = smoothed(torch.tensor([2]), 4, 0.2)
    logits = target.log().requires_grad_()
    soft_cross_entropy(logits, target).mean().backward()
    assert torch.allclose(logits.grad, torch.zeros(1, 4), atol=1e-6)


def test_answers_are_less_extreme_the_more_is_spread() -> None:
    exam = digits_exam(0, train=200)
    sure = [
        trained(LabelSmoothing(smoothing=s, epochs=20), exam).predict_proba(exam.data).max(axis=1).mean()
        for s in (0.0, 0.2, 0.6)
    ]
    assert sure[0] > sure[1] > sure[2]
    with pytest.raises(DrossError, match="smoothing"):
        trained(LabelSmoothing(smoothing=1.0), exam)
