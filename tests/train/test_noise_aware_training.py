"""Noise-aware training: the weighted loss, calibrated confidences, votes beside a person's labels."""

from __future__ import annotations

import numpy as np
import torch

from dross.core.signal import Signals
from dross.models.trained import Trained
from dross.testing import check_method
from dross.testing.forms import FIELDS, forms
from dross.train.noise_aware_training import NoiseAwareTraining, margins, platt, weighted_cross_entropy


def test_contract() -> None:
    check_method(NoiseAwareTraining)


def test_the_gradient_of_a_row_is_that_of_cross_entropy_times_its_share_of_the_confidence() -> None:
    torch.manual_seed(0)
    logits = torch.randn(5, 3, requires_grad=True)
    labels, confidence = torch.tensor([0, 1, 2, 0, 1]), torch.rand(5)
    weighted_cross_entropy(logits, labels, confidence).backward()
    step = logits.detach().softmax(dim=1) - torch.nn.functional.one_hot(labels, 3)
    assert torch.allclose(logits.grad, step * (confidence / confidence.sum())[:, None], atol=1e-6)


def test_a_margin_of_two_classes_is_the_logit() -> None:
    probs = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    assert torch.allclose(margins(probs, torch.tensor([0, 0])), torch.logit(probs[:, 0]), atol=1e-5)


def test_calibration_finds_the_slope_and_offset_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 3, 20_000)
    right = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * scores - 1)))
    slope, offset = platt(scores, right)
    assert abs(slope - 0.5) < 0.03
    assert abs(offset + 1) < 0.08


def test_calibration_never_prefers_what_was_judged_worse() -> None:
    scores = np.linspace(-3, 3, 200)
    assert platt(scores, scores < 0)[0] == 0


def test_wrong_rule_labels_count_less_than_right_ones() -> None:
    papers = forms(60, 3)
    data = papers.dataset(np.where(papers.form < 10, papers.truth, -1), papers.rule)
    model = NoiseAwareTraining(epochs=10, rater_epochs=10).run(data, Signals(data))
    assert isinstance(model, Trained)
    assert model.edits is not None
    assert len(model.edits) == 0  # a person's labels are not questioned
    assert 0.4 < model.summary["mean confidence"] < 0.95
    truth = np.array(FIELDS)[papers.truth]
    assert np.mean(np.array(model.predict(data)) == truth) > np.mean(papers.rule == papers.truth)


def test_without_votes_labels_are_questioned() -> None:
    papers = forms(60, 4)
    data = papers.dataset(papers.rule)
    model = NoiseAwareTraining(epochs=5).run(data, Signals(data))
    assert isinstance(model, Trained)
    assert model.edits is not None
    wrong = papers.rule != papers.truth
    assert wrong[model.edits.rows].mean() > wrong.mean()
