"""Mixup: mixtures of rows and labels, tokens, what the record of training sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dross.claims._training import trained
from dross.core.errors import DrossError
from dross.models.devices import seeded
from dross.models.examples import soft_cross_entropy
from dross.models.mixing import mixed, mixed_logits, mixing_share
from dross.models.networks import Maker
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.mixup import Mixup, mixed_cross_entropy


def test_contract() -> None:
    check_method(Mixup)


def test_loss_is_the_cross_entropy_against_mixed_labels() -> None:
    torch.manual_seed(0)
    logits, y, other = torch.randn(7, 4), torch.randint(4, (7,)), torch.randint(4, (7,))
    targets = mixed(torch.eye(4)[y], torch.eye(4)[other], 0.3)
    assert torch.allclose(mixed_cross_entropy(logits, y, other, 0.3), soft_cross_entropy(logits, targets).mean())


def test_share_follows_the_beta_distribution() -> None:
    """Mean 1/2 and variance 1 / (4 (2 alpha + 1))."""
    rng = np.random.default_rng(0)
    for alpha in (0.2, 1.0, 8.0):
        shares = np.array([mixing_share(alpha, rng) for _ in range(4000)])
        assert abs(shares.mean() - 0.5) < 0.03
        assert abs(shares.var() - 1 / (4 * (2 * alpha + 1))) < 0.01


def test_vectors_are_mixed_before_the_network_and_tokens_before_the_last_layer() -> None:
    with seeded(0):
        net, reader = Maker("mlp", "vector", (6,), 3)(), Maker("bag", "tokens", (5,), 3)()
        x, other = torch.randn(4, 6), torch.randn(4, 6)
        words, more = torch.randint(1, 99, (4, 5)), torch.randint(1, 99, (4, 5))
    assert torch.equal(mixed_logits(net, x, other, 0.25), net(0.25 * x + 0.75 * other))
    between = 0.25 * reader(words) + 0.75 * reader(more)  # the last layer is linear
    assert torch.allclose(mixed_logits(reader, words, more, 0.25), between, atol=1e-6)


def test_between_two_rows_the_answer_lies_between_theirs() -> None:
    exam = digits_exam(0, train=300)
    model = trained(Mixup(epochs=30), exam)
    X = torch.from_numpy(model.encoder(exam.data))
    y = torch.from_numpy(np.asarray(exam.data.codes, np.int64))
    with torch.no_grad():
        chances = model.nets["net"](mixed(X[:-1], X[1:], 0.5)).softmax(dim=1)
    differ = y[:-1] != y[1:]
    both = chances[torch.arange(299), y[:-1]] + chances[torch.arange(299), y[1:]]
    assert float(both[differ].mean()) > 0.6
    with pytest.raises(DrossError, match="alpha"):
        trained(Mixup(alpha=0.0), exam)
