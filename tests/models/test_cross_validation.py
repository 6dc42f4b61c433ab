from __future__ import annotations

import numpy as np
import pytest

from dross.core.signal import Signals
from dross.models import cross_validation
from dross.models.cross_validation import Choice, Problem, known_classes, loss_of
from dross.models.learner import Target
from dross.signals.model_choice import classification
from dross.testing.planted import blobs, table_dataset


def problem(n: int = 300) -> Problem:
    data = blobs(n).data
    return classification(data, Signals(data), 5, 0)


def test_a_sample_keeps_rare_classes() -> None:
    rng = np.random.default_rng(0)
    labels = ["rare"] * 10 + ["usual"] * 990
    data = table_dataset(rng.normal(size=(1000, 3)), labels)
    found = classification(data, Signals(data), 5, 0)
    rows = found.sample(100)
    assert len(rows) == len(np.unique(rows)) == 100
    assert (rows < 10).sum() == 10
    assert not (np.diff(rows) > 0).all()
    assert np.array_equal(np.sort(found.sample(5000)), np.arange(1000))


def test_rows_without_a_label_are_not_sampled() -> None:
    codes = np.array([0, -1, 1, -1], np.int32)
    target = known_classes(codes, 2)
    assert target.matrix.sum() == 2
    assert target[np.array([2, 0])].codes.tolist() == [1, 0]


def test_the_choice_has_the_least_loss() -> None:
    choice = problem().choose()
    assert choice.model == min(choice.losses, key=lambda name: choice.losses[name])
    assert choice.rows == 300
    assert str(Choice("a", 1.0, {"b": 2.0, "a": 1.0})) == "a (a 1.000, b 2.000)"


def test_a_bound_on_training_rows_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    found = problem()
    learner = found.learner(found.candidates["kernel ridge"])
    assert len(learner.target) == 300
    monkeypatch.setattr(cross_validation.KernelRidge, "most_rows", classmethod(lambda cls, sample, width: 120))
    few = problem()
    assert len(few.learner(few.candidates["kernel ridge"]).target) == 120
    scores = few.scores(few.choose("kernel ridge"), "probabilities")
    assert scores.shape == (300, 4)
    assert (scores.argmax(axis=1) == few.classes).mean() > 0.7


def test_losses() -> None:
    codes = np.array([0, 1] * 50, np.int32)
    right = np.where(np.eye(2)[codes] > 0, 3.0, -3.0).astype(np.float32)
    assert loss_of(right, Target.classes(codes, 2)) < 0.2
    assert loss_of(np.zeros((100, 2), np.float32), Target.classes(codes, 2)) == pytest.approx(np.log(2), abs=1e-3)
    numbers = Target(np.arange(10, dtype=np.float32)[:, None], "number")
    assert loss_of(numbers.matrix, numbers) == 0
    assert loss_of(np.full((10, 1), 4.5, np.float32), numbers) == pytest.approx(1.0)
