"""Predictions for pre-training: three stages, gold labels kept out of the second, nothing to predict."""

from __future__ import annotations

import numpy as np
import torch

from dross.claims._training import trained
from dross.core.signal import Signals
from dross.models.lesson import lesson_of
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.cross_entropy import CrossEntropy
from dross.train.pseudolabel_pretraining import PseudolabelPretraining, predicted_labels


def test_contract() -> None:
    check_method(PseudolabelPretraining)


def test_gold_rows_wait_for_their_own_stage() -> None:
    rng = np.random.default_rng(0)
    probs, y = torch.from_numpy(rng.dirichlet(np.ones(3), 50)), torch.from_numpy(rng.integers(-1, 3, 50))
    found = predicted_labels(probs, y)
    assert (found[y >= 0] == -1).all()
    assert torch.equal(found[y < 0], probs.argmax(dim=1)[y < 0])


def test_fully_labelled_rows_are_trained_on_plainly() -> None:
    exam = digits_exam(0, train=200)
    plain, ours = trained(CrossEntropy(epochs=3), exam), trained(PseudolabelPretraining(epochs=3), exam)
    assert np.array_equal(plain.predict_proba(exam.test), ours.predict_proba(exam.test))


def test_the_last_stage_starts_from_what_was_learnt_on_predictions() -> None:
    """With hardly any passes over the gold labels in it, the answers are still those of the stage of predictions."""
    exam = digits_exam(0, per_class=5, train=600)
    method = PseudolabelPretraining(epochs=40, pseudo_epochs=10)
    lesson = lesson_of(method, exam.data, Signals(exam.data))
    run = method.learn(lesson)
    assert len(run.history) == 40
    assert run.history[0]["loss"] < 0.7, "a fresh network would start at log(10)"
    assert (run.probs()[run.labelled].argmax(dim=1) == run.y[run.labelled]).all()
