"""Forward correction: theorem 2, both estimates on a network that knows, a matrix that is given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dross.claims._training import trained
from dross.core.errors import DrossError
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.forward_correction import (
    ForwardCorrection,
    anchored_transition,
    counted_transition,
    forward_loss,
    likely_truth,
)

T = torch.tensor([[0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])


def test_contract() -> None:
    check_method(ForwardCorrection)


def test_true_chances_minimise_the_corrected_loss_on_noisy_labels() -> None:
    """Theorem 2: in expectation over the noise the minimiser is that of clean labels."""
    truth = torch.tensor([[0.6, 0.3, 0.1]])
    noisy = (truth @ T)[0]
    logits = truth.log().requires_grad_()
    sum(noisy[c] * forward_loss(logits, torch.tensor([c]), T) for c in range(3)).backward()
    assert torch.allclose(logits.grad, torch.zeros(1, 3), atol=1e-6)


def test_both_estimates_recover_the_noise_of_a_network_that_knows_it() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 20_000)
    given = np.array([rng.choice(3, p=row / row.sum()) for row in T.double().numpy()[truth]])
    clean = torch.eye(3)[torch.from_numpy(truth)] * 0.98 + 0.02 / 3
    assert torch.allclose(anchored_transition(clean @ T, 1.0), T, atol=0.02)
    counted = counted_transition(torch.from_numpy(truth), torch.from_numpy(given), 3)
    assert torch.allclose(counted, T, atol=0.02)


def test_truth_given_the_label_is_bayes_rule() -> None:
    found = likely_truth(torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.3, 0.5]]), torch.tensor([1, -1]), T)
    joint = torch.tensor([0.5 * 0.3, 0.25 * 0.8, 0.25 * 0.2])
    assert torch.allclose(found, torch.stack([joint / joint.sum(), torch.tensor([0.2, 0.3, 0.5])]))


def test_a_known_matrix_is_used_and_a_wrong_one_refused() -> None:
    exam = digits_exam(0, noise=0.3, kind="pairwise")
    known = 0.7 * np.eye(10) + 0.3 * np.roll(np.eye(10), 1, axis=1)
    model = trained(ForwardCorrection(transition=tuple(map(tuple, known.tolist())), epochs=20), exam)
    assert np.allclose(model.summary["transition"], known)
    assert model.edits is not None
    wrong = np.flatnonzero(np.asarray(exam.data.codes) != exam.truth)
    assert np.isin(wrong, model.edits.rows).mean() > 0.8
    for matrix in (((1.0,),), ((0.5,) * 10,) * 10):
        with pytest.raises(DrossError, match="transition matrix"):
            trained(ForwardCorrection(transition=matrix), exam)
    with pytest.raises(DrossError, match="estimate"):
        trained(ForwardCorrection(estimate="guess"), exam)
