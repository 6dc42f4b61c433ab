"""Class prototype training: prototypes and margins against slow forms, class-aware chances, wrong labels put right."""

from __future__ import annotations

import numpy as np
import torch

from dross.claims._training import trained
from dross.core.signal import Signals
from dross.models.lesson import lesson_of
from dross.models.small_loss import loss_mixture
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.class_prototype_training import (
    ClassPrototypeTraining,
    class_aware_chance,
    margins,
    similarities,
    weighted_means,
)


def test_contract() -> None:
    check_method(ClassPrototypeTraining)


def test_prototypes_and_margins_equal_slow_forms() -> None:
    rng = np.random.default_rng(0)
    X, labels, clean = rng.normal(size=(40, 6)), rng.integers(0, 3, 40), rng.random(40)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    slow = np.stack([np.average(unit[labels == c], axis=0, weights=clean[labels == c]) for c in range(3)])
    tensors = torch.from_numpy(X).float(), torch.from_numpy(labels), torch.from_numpy(clean).float()
    found = weighted_means(*tensors, 3)
    assert np.allclose(found.numpy(), slow, atol=1e-5)
    cosines = unit @ (slow / np.linalg.norm(slow, axis=1, keepdims=True)).T
    assert np.allclose(similarities(tensors[0], found).numpy(), cosines, atol=1e-5)
    expected = [cosines[i, c] - np.delete(cosines[i], c).max() for i, c in enumerate(labels)]
    assert np.allclose(margins(torch.from_numpy(cosines), tensors[1]).numpy(), expected)


def test_a_hard_class_is_not_doubted_for_its_losses() -> None:
    """Two classes, one with higher losses throughout: one mixture doubts its right labels, the class-aware one not."""
    rng = np.random.default_rng(0)
    labels, wrong = np.repeat([0, 1], 200), np.tile(np.arange(200) < 40, 2)
    losses = np.where(wrong, 2.0, 0.3) + 1.2 * labels + 0.15 * rng.normal(size=400)
    near = np.where(wrong, -0.3, 0.3) + 0.1 * rng.normal(size=400)
    agnostic = loss_mixture(losses)
    aware = class_aware_chance(losses, near, labels, 2, agnostic, 10)
    hard = (labels == 1) & ~wrong
    assert (agnostic[hard] > 0.5).mean() < 0.5
    assert (aware[hard] > 0.5).mean() > 0.95
    assert (aware[wrong] > 0.5).mean() < 0.05


def test_prototypes_come_to_stand_near_their_class() -> None:
    exam = digits_exam(0, noise=0.3, train=600)
    method = ClassPrototypeTraining(epochs=12)
    run = method.learn(lesson_of(method, exam.data, Signals(exam.data)))
    vectors = run.over(run.net.encode)
    nearest = similarities(vectors, run.nets["prototypes"].weight.detach()).argmax(dim=1).numpy()
    assert (nearest == exam.truth).mean() > 0.9


def test_wrong_labels_become_edits() -> None:
    exam = digits_exam(0, noise=0.4)
    model = trained(ClassPrototypeTraining(epochs=12), exam)
    assert model.edits is not None
    wrong = np.flatnonzero(np.asarray(exam.data.codes) != exam.truth)
    assert np.isin(wrong, model.edits.rows).mean() > 0.8
    right = np.array([int(v) for v in model.edits.after]) == exam.truth[model.edits.rows]
    assert right.mean() > 0.8
