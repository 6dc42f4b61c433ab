"""Early-learning regularization: the paper's equations, what is remembered, wrong labels found."""

from __future__ import annotations

import numpy as np
import torch

from dross.claims._training import trained
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.early_learning_regularization import EarlyLearningRegularization, early_learning_term, moved_targets


def test_contract() -> None:
    check_method(EarlyLearningRegularization)


def test_the_gradient_is_that_of_lemma_2() -> None:
    """Minus p_k (sum_c (t_k - t_c) p_c) / (1 - <p, t>) in the logits, over the number of rows."""
    torch.manual_seed(0)
    logits = torch.randn(5, 4, requires_grad=True)
    targets = torch.rand(5, 4).softmax(dim=1) * 0.9
    probs = logits.softmax(dim=1)
    early_learning_term(probs, targets).backward()
    p, t = probs.detach(), targets
    pull = p * ((t[:, :, None] - t[:, None, :]) * p[:, None, :]).sum(dim=2) / (1 - (p * t).sum(dim=1, keepdim=True))
    assert torch.allclose(logits.grad, -pull / 5, atol=1e-6)


def test_targets_are_the_exponential_mean_of_what_was_predicted() -> None:
    targets = torch.zeros(1, 2)
    for _ in range(200):
        targets = moved_targets(targets, torch.tensor([[0.3, 0.7]]), 0.9)
    assert torch.allclose(targets, torch.tensor([[0.3, 0.7]]), atol=1e-4)


def test_wrong_labels_become_edits() -> None:
    exam = digits_exam(0, noise=0.3)
    model = trained(EarlyLearningRegularization(epochs=20), exam)
    assert model.edits is not None
    wrong = np.flatnonzero(np.asarray(exam.data.codes) != exam.truth)
    found = np.isin(wrong, model.edits.rows)
    assert found.mean() > 0.8
    right = np.array([int(v) for v in model.edits.after]) == exam.truth[model.edits.rows]
    assert right.mean() > 0.8
    assert ((model.edits.confidence >= 0) & (model.edits.confidence <= 1)).all()
