"""Dynamic loss gate: where the gate stands, which labels are learnt, wrong labels put right."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import norm

from dross.claims._training import trained
from dross.models.small_loss import two_gaussians
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.dynamic_loss_gate import DynamicLossGate, gated_loss, loss_gate


def test_contract() -> None:
    check_method(DynamicLossGate)


def test_the_gate_stands_where_the_weighted_densities_cross() -> None:
    rng = np.random.default_rng(0)
    losses = np.exp(np.concatenate([rng.normal(-4, 1, 700), rng.normal(1, 0.5, 300)]))
    found = np.log(loss_gate(losses))
    two = two_gaussians(np.log(losses), floor=1e-6, steps=1000, tol=1e-5)
    reliable, unreliable = (
        w * norm.pdf(found, m, v**0.5) for w, m, v in zip(two.weights, two.means, two.variances, strict=True)
    )
    assert abs(reliable / unreliable - 1) < 1e-6
    assert two.means[0] < found < two.means[1]


def test_rows_without_a_loss_and_equal_losses_set_no_trap() -> None:
    assert loss_gate(np.full(5, 0.3)) == np.inf
    assert loss_gate(np.full(5, np.nan)) == np.inf


def test_the_loss_of_a_batch_row_by_row() -> None:
    rng = np.random.default_rng(1)
    logits, clear, labels = rng.normal(size=(30, 4)) * 2, rng.normal(size=(30, 4)), rng.integers(0, 4, 30)
    slow, reliable = 0.0, []
    for row, sharp, label in zip(logits, clear / 0.3, labels, strict=True):
        logs = row - np.log(np.exp(row).sum())
        reliable.append(-logs[label] <= 1.0)
        chances = np.exp(sharp) / np.exp(sharp).sum()
        if reliable[-1]:
            slow -= logs[label]
        elif chances.max() > 0.7:
            slow -= logs[chances.argmax()]
    tensors = torch.from_numpy(logits), torch.from_numpy(labels), torch.from_numpy(clear)
    loss, trusted = gated_loss(*tensors, 1.0, 0.3, 0.7)
    assert abs(float(loss) - slow / 30) < 1e-5
    assert trusted.tolist() == reliable


def test_wrong_labels_become_edits() -> None:
    exam = digits_exam(0, noise=0.3)
    model = trained(DynamicLossGate(epochs=20), exam)
    assert model.edits is not None
    wrong = np.flatnonzero(np.asarray(exam.data.codes) != exam.truth)
    assert np.isin(wrong, model.edits.rows).mean() > 0.8
    right = np.array([int(v) for v in model.edits.after]) == exam.truth[model.edits.rows]
    assert right.mean() > 0.8
