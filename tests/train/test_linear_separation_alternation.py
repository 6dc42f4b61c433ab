"""Linear separation alternation: the plane, the losses against slow forms, detectors in turns, foreign rows found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from dross.claims._training import trained
from dross.claims.train.linear_separation_alternation import web_exam
from dross.core.errors import DrossError
from dross.core.signal import Signals
from dross.models.lesson import lesson_of
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train import linear_separation_alternation as lsa
from dross.train.linear_separation_alternation import (
    LinearSeparationAlternation,
    interpolated_contrast,
    separation,
    weighted_mean,
)


def test_contract() -> None:
    check_method(LinearSeparationAlternation)


def test_the_plane_finds_what_a_few_suspects_point_to() -> None:
    rng = np.random.default_rng(0)
    foreign = np.arange(300) >= 240
    features = rng.normal(size=(300, 8)) + 4 * np.where(foreign[:, None], np.eye(8)[0], np.eye(8)[1])
    suspect = (foreign & (rng.random(300) < 0.3)) | (~foreign & (rng.random(300) < 0.02))
    found = separation(features, suspect)
    assert roc_auc_score(foreign, found) > 0.97
    assert (separation(features, np.zeros(300, bool)) < 0).all()


def test_the_contrast_equals_the_sum_over_pairs() -> None:
    rng = np.random.default_rng(1)
    one, two, classes = rng.normal(size=(6, 3)), rng.normal(size=(6, 3)), np.array([0, 1, 0, 2, 1, 0])
    order, share, temperature = rng.permutation(6), 0.7, 0.2
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (one, two)]
    slow = 0.0
    for i in range(6):
        logs = unit[0][i] @ unit[1].T / temperature
        logs = logs - np.log(np.exp(logs).sum())
        for weight, label in ((share, classes[i]), (1 - share, classes[order[i]])):
            same = classes == label
            slow -= weight * logs[same].mean() / 6
    tensors = [torch.from_numpy(v) for v in (one, two, classes, order)]
    assert abs(float(interpolated_contrast(*tensors, share, temperature)) - slow) < 1e-5


def test_a_mean_without_weight_is_zero() -> None:
    assert float(weighted_mean(torch.ones(3), torch.zeros(3))) == 0


def test_the_detectors_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    exam = digits_exam(0, noise=0.2, train=120)
    turns: dict[str, int] = {}
    for detector in lsa.DETECTORS:
        calls: list[int] = []
        monkeypatch.setattr(lsa, "separation", lambda features, suspect, c=calls: c.append(1) or np.ones(len(suspect)))
        method = LinearSeparationAlternation(detector=detector, epochs=7, contrastive_epochs=1, warm_up=0.15)
        method.learn(lesson_of(method, exam.data, Signals(exam.data)))
        turns[detector] = len(calls)
    assert turns == {"alternating": 3, "linear": 6, "small-loss": 0}


def test_foreign_rows_are_found_and_wrong_labels_edited() -> None:
    exam = web_exam(0)
    method = LinearSeparationAlternation(epochs=12, contrastive_epochs=15)
    run = method.learn(lesson_of(method, exam.data, Signals(exam.data)))
    assert roc_auc_score(exam.truth < 0, run.state["odds"].numpy()) > 0.85
    edits = trained(method, exam).edits
    assert edits is not None
    assert (exam.data.codes[edits.rows] != exam.truth[edits.rows]).mean() > 0.6


def test_an_unknown_detector_is_refused() -> None:
    exam = digits_exam(0, train=60)
    with pytest.raises(DrossError, match="detector"):
        LinearSeparationAlternation(detector="both").run(exam.data, Signals(exam.data))  # type: ignore[arg-type]
