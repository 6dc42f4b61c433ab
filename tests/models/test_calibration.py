from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from dross.models.calibration import calibrate_classes, calibrate_labels, log_loss


def test_temperature_and_bias_are_recovered() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4)) * 2
    true = softmax(logits + np.array([1.0, 0.0, 0.0, -1.0]), axis=1)
    codes = (true.cumsum(axis=1) > rng.random((len(true), 1))).argmax(axis=1)
    found = calibrate_classes((7 * logits).astype(np.float32), codes)
    assert 7 * found.slope[0] == pytest.approx(1.0, rel=0.05)
    assert found.shift[0] - found.shift[3] == pytest.approx(2.0, abs=0.15)
    probs = found.classes((7 * logits).astype(np.float32))
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-5)
    assert log_loss(probs, codes) < -np.log(true[np.arange(len(codes)), codes]).mean() + 0.01


def test_platt_scaling_is_recovered() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(20_000, 2))
    given = rng.random((20_000, 2)) < expit(scores * np.array([2.0, 0.5]) + np.array([-1.0, 1.0]))
    found = calibrate_labels((scores / 10).astype(np.float32), given)
    assert found.slope / 10 == pytest.approx([2.0, 0.5], abs=0.12)
    assert found.shift == pytest.approx([-1.0, 1.0], abs=0.12)


def test_useless_and_separable_scores() -> None:
    rng = np.random.default_rng(2)
    codes = (rng.random(2000) < 0.1).astype(np.int64)
    noise = calibrate_classes(rng.normal(size=(2000, 2)).astype(np.float32), codes)
    probs = noise.classes(rng.normal(size=(500, 2)).astype(np.float32))
    assert probs[:, 1].mean() == pytest.approx(codes.mean(), abs=0.03)
    few = np.array([[1.0, -1.0], [-1.0, 1.0]], np.float32)
    assert calibrate_classes(few, np.array([0, 1])).classes(few).max() < 0.99
    perfect = calibrate_labels(few, few > 0)
    assert np.isfinite(perfect.labels(few)).all()


def test_nothing_to_calibrate_on() -> None:
    empty = np.zeros((0, 3), np.float32)
    assert calibrate_classes(empty, np.zeros(0, np.int64)).classes(empty).shape == (0, 3)
    assert calibrate_labels(empty, np.zeros((0, 3), bool)).labels(empty).shape == (0, 3)
