"""Self-supervised label augmentation: the joint label, the aggregate, the single view, where it applies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from dross.claims._training import trained
from dross.core.results import NotApplicable
from dross.core.signal import Signals
from dross.models.trained import load
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.testing.planted import blobs
from dross.train.self_supervised_label_augmentation import (
    SelfSupervisedLabelAugmentation,
    aggregated,
    joint_labels,
    self_distillation,
    turned,
)


def test_contract() -> None:
    check_method(SelfSupervisedLabelAugmentation)


def test_rows_that_are_no_images_are_not_turned() -> None:
    data = blobs(60).data
    for network in ("auto", "mlp"):
        assert isinstance(SelfSupervisedLabelAugmentation(network=network).run(data, Signals(data)), NotApplicable)


def test_the_aggregate_takes_each_class_under_the_turn_that_was_applied() -> None:
    """Equation 3, entry by entry."""
    b, k, m = 3, 5, 4
    logits = torch.randn(m * b, k * m, dtype=torch.float64)
    expected = [[np.mean([float(logits[j * b + i, c * m + j]) for j in range(m)]) for c in range(k)] for i in range(b)]
    assert torch.allclose(aggregated(logits, m), torch.tensor(expected), atol=1e-6)


def test_joint_labels_stand_where_the_aggregate_looks() -> None:
    y = torch.tensor([2, 0])
    logits = functional.one_hot(joint_labels(y, 4), 12).float()
    assert aggregated(logits, 4).argmax(dim=1).tolist() == y.tolist()
    assert torch.equal(aggregated(logits, 4).max(dim=1).values, torch.ones(2))


def test_four_turns_go_round() -> None:
    x = torch.randn(2, 3, 6, 6)
    views = turned(x)
    assert torch.equal(views[6:8].rot90(1, dims=(2, 3)), x)
    assert len(turned(torch.randn(2, 3, 6, 8))) == 4, "a quarter turn would change the shape of an oblong image"


def test_self_distillation_is_the_divergence_from_the_aggregate() -> None:
    logits, aggregate = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    loss = self_distillation(logits, aggregate)
    expected = functional.kl_div(
        logits.log_softmax(dim=1), aggregate.log_softmax(dim=1), reduction="batchmean", log_target=True
    )
    assert torch.allclose(loss, expected, atol=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert aggregate.grad is None


def test_both_answers_are_learnt_kept_and_repeated(tmp_path: Path) -> None:
    exam = digits_exam(0, per_class=20, train=400)
    method = SelfSupervisedLabelAugmentation(network="cnn", epochs=15)
    model = trained(method, exam)
    assert np.array_equal(model.predict_proba(exam.test), trained(method, exam).predict_proba(exam.test))
    single = replace(model, method=replace(method, aggregate=False))
    assert model.score(exam.test) > 0.5
    assert single.score(exam.test) > 0.5
    assert not np.array_equal(single.predict_proba(exam.test), model.predict_proba(exam.test))
    model.save(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").predict_proba(exam.test), model.predict_proba(exam.test))
