"""Pseudo-label: the weight over time, what unlabelled rows add, and that they are not looked at before their time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dross.claims._training import accuracy, trained
from dross.core.errors import DrossError
from dross.models.unlabelled import confident_cross_entropy
from dross.testing import check_method
from dross.testing.images import Exam, digits_exam
from dross.train.pseudo_label import PseudoLabel, unlabelled_weight


def test_contract() -> None:
    check_method(PseudoLabel)


def test_the_weight_is_that_of_equation_16() -> None:
    """The paper's own numbers: nothing until epoch 100, three from epoch 600 on, a straight line between."""
    found = [unlabelled_weight(t / 1000, 0.1, 0.6, 3.0) for t in (0, 99, 100, 350, 600, 999)]
    assert found == pytest.approx([0, 0, 0, 1.5, 3, 3])


def test_the_loss_of_a_guess_pushes_towards_it() -> None:
    torch.manual_seed(0)
    logits = torch.randn(6, 4, requires_grad=True)
    probs = logits.softmax(dim=1)
    confident_cross_entropy(logits, probs, 0.0).backward()
    one_hot = torch.nn.functional.one_hot(probs.argmax(dim=1), 4)
    assert torch.allclose(logits.grad, (probs.detach() - one_hot) / 6, atol=1e-6)


def _without_its_unlabelled_rows(exam: Exam) -> Exam:
    known = np.flatnonzero(np.asarray(exam.data.codes) >= 0)
    return Exam(exam.data.take(known), exam.truth[known], exam.test)


def test_unlabelled_rows_help() -> None:
    exam = digits_exam(7, per_class=10)
    alone = trained(PseudoLabel(epochs=240), _without_its_unlabelled_rows(exam))
    assert accuracy(trained(PseudoLabel(), exam), exam) > accuracy(alone, exam)


def test_shares_out_of_order_are_refused() -> None:
    with pytest.raises(DrossError, match="starts is"):
        trained(PseudoLabel(epochs=1, starts=0.9, full=0.2), digits_exam(0, train=50))
