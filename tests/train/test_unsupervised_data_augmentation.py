"""Unsupervised data augmentation: annealing, sharpening and masking as in the paper; gaussian noise beside it."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
import torch

from dross.claims._training import accuracy, trained
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.unsupervised_data_augmentation import (
    UnsupervisedDataAugmentation,
    annealed_cross_entropy,
    consistency,
    signal_threshold,
)


def test_contract() -> None:
    check_method(UnsupervisedDataAugmentation)


def test_thresholds_rise_from_chance_to_one() -> None:
    for schedule in ("linear", "log", "exp"):
        rises = [signal_threshold(t / 100, 10, schedule) for t in range(101)]
        assert all(a < b for a, b in itertools.pairwise(rises)), schedule
        assert rises[0] == pytest.approx(0.1, abs=0.01), schedule
        assert rises[-1] == pytest.approx(1, abs=0.01), schedule
    half = {schedule: signal_threshold(0.5, 10, schedule) for schedule in ("linear", "log", "exp")}
    assert half["exp"] < half["linear"] == 0.55 < half["log"]


def test_rows_known_well_are_left_out() -> None:
    """Their gradient is zero, and the mean is over those that stay."""
    logits = torch.tensor([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0], [1.0, 0.0, 0.0]], requires_grad=True)
    loss = annealed_cross_entropy(logits, torch.tensor([0, 0, 1]), 0.6)
    loss.backward()
    plain = torch.nn.functional.cross_entropy(logits.detach(), torch.tensor([0, 0, 1]), reduction="none")
    assert torch.isclose(loss.detach(), (plain[0] + plain[2]) / 2)
    assert (logits.grad[1] == 0).all()
    assert (logits.grad[[0, 2]] != 0).any()


def test_consistency_is_the_masked_divergence_from_sharpened_targets() -> None:
    torch.manual_seed(0)
    logits, original = torch.randn(40, 5, requires_grad=True), 2 * torch.randn(40, 5)
    loss = consistency(logits, original, 0.4, 0.6)
    p = original.numpy().astype(float) / 0.4
    p = np.exp(p - p.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    q = logits.detach().softmax(dim=1).numpy().astype(float)
    sure = original.softmax(dim=1).numpy().max(axis=1) > 0.6
    assert 0 < sure.sum() < 40
    assert np.isclose(float(loss.detach()), ((p * np.log(p / q)).sum(axis=1) * sure).sum() / 40, atol=1e-5)
    loss.backward()
    assert np.allclose(logits.grad.numpy(), (q - p) * sure[:, None] / 40, atol=1e-6)


def test_unlabelled_rows_help() -> None:
    exam = digits_exam(7, per_class=10)
    settings = {"epochs": 40, "ratio": 2}
    gained = accuracy(trained(UnsupervisedDataAugmentation(**settings), exam), exam)
    assert gained > accuracy(trained(UnsupervisedDataAugmentation(**settings, weight=0.0), exam), exam)


def test_words_take_no_gaussian_noise() -> None:
    table = pa.table({"text": ["a b", "c d"] * 10, "label": ["x", "y"] * 10})
    data = Dataset(table, {Role.TEXT: ["text"], Role.LABEL: ["label"]})
    with pytest.raises(DrossError, match="gaussian"):
        UnsupervisedDataAugmentation(epochs=1, noise="gaussian").run(data, Signals(data))
