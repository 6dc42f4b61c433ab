"""The numbers behind a proof: intervals, scores, the penalty and the verdict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from dross.job.arms import Arm
from dross.job.learner import PENALTIES, class_probabilities, tune
from dross.job.paired import Measured, Scored, classification_scores, corrected_t, measure
from dross.job.verdict import Facts, judge


def test_the_correction_is_nadeau_and_bengios() -> None:
    values = np.random.default_rng(0).normal(0.1, 0.05, 15)
    found = corrected_t(values, ratio=0.25)
    error = np.sqrt((1 / 15 + 0.25) * values.var(ddof=1))
    assert found.high - found.estimate == pytest.approx(2.1447867 * error, rel=1e-6)
    naive = corrected_t(values, ratio=0.0)
    assert found.high > naive.high
    assert corrected_t(np.zeros(5), 0.25).p == 1.0


def test_the_jackknife_gives_the_binomial_variance() -> None:
    """One repeat's accuracy over fixed rows: the added variance must be p (1 - p) / n."""
    rng = np.random.default_rng(1)
    n = 4000
    truth = rng.integers(0, 2, n)
    guess = np.where(rng.random(n) < 0.8, truth, 1 - truth)
    scored = Scored(truth, guess, np.full(n, 0.8), np.full(n, -1))
    runs = [{"raw": scored, "treated": scored}] * 5
    measured = measure(runs, 2, 0.25, fixed=True, seed=0)
    level = measured.level("raw", 0)
    assert level is not None
    expected = 2.776 * np.sqrt(0.8 * 0.2 / n)
    assert level.high - level.estimate == pytest.approx(expected, rel=0.5)
    same = measured.change("treated", "raw", 0)
    assert same is not None
    assert (same.estimate, same.p) == (0.0, 1.0)


def test_undefined_scores_are_left_out() -> None:
    truth = np.zeros(10, np.int64)
    scored = Scored(truth, truth, np.ones(10), np.full(10, -1))
    scores = classification_scores(scored, 2)
    assert np.isnan(scores[3])
    assert np.isnan(scores[5])
    assert Measured({"raw": np.array([scores, scores])}, None, 0.25).level("raw", 5) is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_scores_agree_with_scikit_learn(seed: int, k: int) -> None:
    from sklearn.metrics import f1_score, log_loss, recall_score

    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(k), rng.integers(0, k, 60)])
    guess = rng.integers(0, k, len(truth))
    probs = rng.dirichlet(np.ones(k), len(truth)) + 1e-9
    probs /= probs.sum(axis=1, keepdims=True)
    scored = Scored(truth, guess, probs[np.arange(len(truth)), truth], rng.integers(0, 3, len(truth)))
    found = classification_scores(scored, k)
    assert found[0] == pytest.approx(np.mean(truth == guess))
    assert found[1] == pytest.approx(f1_score(truth, guess, average="macro"))
    assert found[2] == pytest.approx(log_loss(truth, probs, labels=range(k)))
    assert found[4:] == pytest.approx(recall_score(truth, guess, average=None))


def test_probabilities_are_never_zero_and_sum_to_one() -> None:
    X = np.random.default_rng(0).normal(size=(50, 2))
    y = np.where(X[:, 0] > 0, 0, 2)
    probs = class_probabilities(X, y, np.ones(50), X, 4)
    assert probs.min() > 0
    assert np.allclose(class_probabilities(X[:0], y[:0], np.ones(0), X, 4), 0.25)
    assert np.allclose(probs.sum(axis=1), 1)
    alone = class_probabilities(X, np.ones(50, int), np.ones(50), X, 3)
    assert (alone.argmax(axis=1) == 1).all()


def test_the_penalty_fits_the_noise() -> None:
    """Many noisy columns call for a strong penalty, many clean rows for a weak one; the seed decides ties alike."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 150)).astype(np.float32)
    y = X[:, :5].sum(axis=1) > 0
    noisy = Arm(X, np.where(rng.random(400) < 0.25, ~y, y).astype(float), np.ones(400))
    Z = rng.normal(size=(1000, 10)).astype(np.float32) * np.array([1, *[8] * 9], np.float32)
    clear = Arm(Z, (Z[:, 0] > 0).astype(float), np.ones(1000))
    numbers = Arm(X, X[:, 0] + 3 * rng.normal(size=400), np.ones(400)), Arm(X, X[:, 0].astype(float), np.ones(400))
    with threadpool_limits(1, user_api="blas"):
        assert tune(noisy, 2, 0) >= 30
        assert tune(clear, 2, 0) <= 1
        assert tune(numbers[0], None, 0) > tune(numbers[1], None, 0)
        assert tune(noisy, 2, 5) in PENALTIES


def test_the_measured_gain_shrinks_as_the_slope_says() -> None:
    rng = np.random.default_rng(0)
    n, k, wrong = 400_000, 4, 0.2
    truth = rng.integers(0, k, n)
    noisy = np.where(rng.random(n) < wrong, (truth + rng.integers(1, k, n)) % k, truth)

    def measured(accuracy: float) -> float:
        guess = np.where(rng.random(n) < accuracy, truth, (truth + rng.integers(1, k, n)) % k)
        return float(np.mean(guess == noisy))

    facts = Facts(100, 100, 10, k, wrong, 0.0, clean_test=False)
    assert (measured(0.9) - measured(0.7)) / 0.2 == pytest.approx(facts.slope, abs=0.02)


def test_verdict_needs_both_comparisons() -> None:
    def score(raw: tuple[float, float], placebo: tuple[float, float]) -> dict[str, object]:
        def change(pair: tuple[float, float]) -> dict[str, float]:
            return {"estimate": pair[0], "low": pair[0] - 0.01, "high": pair[0] + 0.01, "p": pair[1]}

        level = {"estimate": 0.8}
        changes = {"treated_minus_raw": change(raw), "treated_minus_placebo": change(placebo)}
        return {"name": "accuracy", "raw": level, "treated": level, **changes, "placebo_minus_raw": change((0, 1.0))}

    facts = Facts(1000, 250, 100, 4, 0.1, 0.0, clean_test=False)
    assert judge([score((0.02, 0.01), (0.02, 0.01))], facts)[0] == "helped"
    verdict, _, why = judge([score((0.02, 0.01), (0.01, 0.3))], facts)
    assert verdict == "no evidence"
    assert "Random edits of the same number did as well" in why[0]
    assert judge([score((-0.02, 0.01), (0.0, 1.0))], facts)[0] == "hurt"
    assert judge([score((0.01, 0.2), (0.05, 0.001))], facts)[0] == "no evidence"
