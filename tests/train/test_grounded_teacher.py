"""Grounded teacher: running confusion, partners and weights; source-free adaptation, also of a saved model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.adapting import soft_relation, target_rows
from dross.models.lesson import lesson_of
from dross.models.trained import Trained, load
from dross.testing import check_method
from dross.testing.images import digit_pixels, pixel_dataset
from dross.train.cross_entropy import CrossEntropy
from dross.train.grounded_teacher import (
    Expert,
    GroundedTeacher,
    moved_relation,
    partner_chances,
    relation_weights,
    weak_classes,
)


def test_contract() -> None:
    check_method(GroundedTeacher)


# ---- the mathematics ---------------------------------------------------------------------------------------------


def test_the_running_confusion_by_hand() -> None:
    rng = np.random.default_rng(0)
    relation = torch.full((4, 4), 0.25)
    expected = relation.numpy().astype(float)
    for _ in range(5):
        classes, guesses = rng.integers(0, 3, 10), rng.integers(0, 4, 10)
        relation = moved_relation(relation, torch.from_numpy(classes), torch.from_numpy(guesses), 0.9)
        for c in range(4):
            if (classes == c).any():
                shares = [np.mean(guesses[classes == c] == g) for g in range(4)]
                expected[c] = 0.9 * expected[c] + 0.1 * np.array(shares)
    assert np.allclose(relation.numpy(), expected, atol=1e-5)
    assert np.allclose(relation.sum(dim=1), 1, atol=1e-5)


def test_partners_are_the_confused_classes() -> None:
    """0 and 1 are strong; 2 is weak and mostly taken for 0."""
    relation = torch.tensor([[0.9, 0.1, 0.0], [0.0, 1.0, 0.0], [0.6, 0.0, 0.4]])
    assert weak_classes(relation).tolist() == [False, False, True]
    chances = partner_chances(relation, torch.tensor([0, 1, 2]))
    assert chances[0].tolist() == pytest.approx([0, 0, 0.6])  # rows of 2 go into rows of 0
    assert chances[1].tolist() == pytest.approx([0.1, 0, 0])
    assert chances[2].tolist() == pytest.approx([0.6, 0, 0.4])


def test_errors_of_weak_classes_stay_bounded() -> None:
    relation = torch.tensor([[0.99, 0.01], [1.0, 0.0]])  # class 1 is never right
    weights = relation_weights(relation, torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0]), even=1.0)
    assert weights.mean().item() == pytest.approx(1, abs=1e-5)
    assert weights[1] > weights[0]
    assert weights.max() < 3
    assert weights.min() >= 0.5


def test_the_expert_meets_classes_alike() -> None:
    y = np.array([0] * 90 + [1] * 10)
    data = pixel_dataset(np.random.default_rng(0).random((100, 64)).astype(np.float32), y)
    run = lesson_of(GroundedTeacher(), data, Signals(data)).fit(Expert(), epochs=1)
    run.rng = np.random.default_rng(0)
    drawn = np.concatenate([rows.numpy() for _ in range(20) for (rows,) in Expert().batches(run)])
    assert 0.4 < (y[drawn] == 1).mean() < 0.6


# ---- adaptation --------------------------------------------------------------------------------------------------


def _shifted(labels: bool = True, domains: bool = False) -> tuple[Dataset, Dataset]:
    """Clean digits with labels and noisy ones without; noisy ones to judge by."""
    rng = np.random.default_rng(0)
    X, y = digit_pixels()
    noisy = np.clip(X + 0.2 * rng.standard_normal(X.shape), 0, 1).astype(np.float32)
    given = np.concatenate([y[:500], np.full(400, -1)])
    data = pixel_dataset(np.concatenate([X[:500], noisy[500:900]]), given)
    if not labels:
        data = Dataset(data.table.select(["pixels"]).slice(500), {Role.EMBEDDING: ["pixels"]})
    if domains:
        names = pa.array(["clean"] * 550 + ["noisy"] * 350)
        data = Dataset(data.table.append_column("camera", names), {**data.roles, Role.DOMAIN: ["camera"]})
    return data, pixel_dataset(noisy[900:], y[900:])


def test_the_adaptation_sees_target_rows_alone() -> None:
    data, _ = _shifted()
    method = GroundedTeacher(epochs=2, adapt_epochs=2)
    run = method.learn(lesson_of(method, data, Signals(data)))
    assert len(run.examples) == 400
    assert not len(run.labelled)
    assert run.state["expert"].shape == (400, 10)


def test_targets_are_domains_without_labels() -> None:
    data, _ = _shifted(domains=True)
    lesson = lesson_of(GroundedTeacher(), data, Signals(data))
    assert target_rows(lesson).tolist() == list(range(550, 900))  # 500 to 549: unlabelled rows of the source


def test_a_saved_model_adapts_without_any_label(tmp_path: Path) -> None:
    data, test = _shifted()
    rows, _ = _shifted(labels=False)
    source = CrossEntropy(epochs=30).run(data.slice(0, 500), Signals(data))
    assert isinstance(source, Trained)
    source.save(tmp_path / "source")
    method = GroundedTeacher(source=str(tmp_path / "source"), adapt_epochs=10)
    adapted = method.run(rows, Signals(rows))
    assert isinstance(adapted, Trained)
    assert adapted.classes == source.classes
    assert adapted.score(test) > source.score(test) - 0.05
    assert not np.array_equal(adapted.predict_proba(test), source.predict_proba(test))
    adapted.save(tmp_path / "adapted")
    assert np.array_equal(load(tmp_path / "adapted").predict_proba(test), adapted.predict_proba(test))


def test_an_expert_that_knows_the_target_helps(tmp_path: Path) -> None:
    data, test = _shifted()
    expert = CrossEntropy(epochs=30).run(test, Signals(test))
    assert isinstance(expert, Trained)
    expert.save(tmp_path / "expert")
    alone = GroundedTeacher(epochs=20, adapt_epochs=10, expert_weight=0.0).run(data, Signals(data))
    helped = GroundedTeacher(epochs=20, adapt_epochs=10, expert=str(tmp_path / "expert")).run(data, Signals(data))
    assert isinstance(alone, Trained)
    assert isinstance(helped, Trained)
    assert helped.score(test) > alone.score(test)


def test_an_expert_of_other_classes_is_refused(tmp_path: Path) -> None:
    data, test = _shifted()
    few = test.take(np.flatnonzero(np.asarray(test.codes) < 5))
    expert = CrossEntropy(epochs=1).run(few, Signals(few))
    assert isinstance(expert, Trained)
    expert.save(tmp_path / "expert")
    with pytest.raises(DrossError, match="does not know the class 5"):
        GroundedTeacher(epochs=1, adapt_epochs=1, expert=str(tmp_path / "expert")).run(data, Signals(data))


def test_without_unlabelled_rows_the_source_model_answers() -> None:
    data, _ = _shifted()
    rows = data.slice(0, 500)
    model = GroundedTeacher(epochs=10).run(rows, Signals(rows))
    assert isinstance(model, Trained)
    assert model.score(rows) > 0.8


def test_what_is_known_of_a_given_model() -> None:
    data, _ = _shifted()
    lesson = lesson_of(GroundedTeacher(), data, Signals(data))
    net = lesson.make()
    relation = soft_relation(net, lesson.examples, lesson)
    assert torch.allclose(relation.sum(dim=1), torch.ones(10), atol=1e-4)
