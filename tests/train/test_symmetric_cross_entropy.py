"""Symmetric cross-entropy: the reverse term spelt out, wrong labels found."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dross.claims._training import trained
from dross.core.errors import DrossError
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.symmetric_cross_entropy import SymmetricCrossEntropy, reverse_cross_entropy


def test_contract() -> None:
    check_method(SymmetricCrossEntropy)


def test_reverse_term_is_minus_the_sum_of_chances_times_log_labels() -> None:
    torch.manual_seed(0)
    logits, y = torch.randn(6, 5), torch.randint(5, (6,))
    log_labels = torch.full((6, 5), -4.0)
    log_labels[torch.arange(6), y] = 0.0
    assert torch.allclose(
        reverse_cross_entropy(logits, y, -4.0), -(logits.softmax(dim=1) * log_labels).sum(dim=1), atol=1e-6
    )


def test_reverse_term_is_symmetric() -> None:
    """The condition that makes a loss robust: its sum over all labels does not hang on the prediction."""
    torch.manual_seed(0)
    logits = torch.randn(6, 5)
    total = sum(reverse_cross_entropy(logits, torch.full((6,), c), -4.0) for c in range(5))
    assert torch.allclose(total, torch.full((6,), 16.0), atol=1e-5)


def test_wrong_labels_become_edits() -> None:
    exam = digits_exam(0, noise=0.3)
    model = trained(SymmetricCrossEntropy(epochs=20), exam)
    assert model.edits is not None
    wrong = np.flatnonzero(np.asarray(exam.data.codes) != exam.truth)
    assert np.isin(wrong, model.edits.rows).mean() > 0.8
    with pytest.raises(DrossError, match="log_of_zero"):
        trained(SymmetricCrossEntropy(log_of_zero=0.0), exam)
