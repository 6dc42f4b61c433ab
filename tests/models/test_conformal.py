"""Conformal sets: against slow forms, the exact law of coverage on real data, and what too few rows must do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dross.core.errors import DrossError
from dross.models import conformal
from dross.models.conformal import Conformal, calibrate, class_quantiles, p_values, quantile, scores_of


def random_probs(rng: np.random.Generator, n: int, k: int, *, ties: bool = False) -> np.ndarray:
    P = rng.dirichlet(np.full(k, 0.5), n)
    if ties:
        P = np.ceil(P * 5)
        P /= P.sum(axis=1, keepdims=True)
    return P.astype(np.float32)


def slow_score(p: np.ndarray, c: int, u: float, penalty: float, free: int) -> float:
    more = [j for j in range(len(p)) if p[j] > p[c]]
    return math.fsum(float(p[j]) for j in more) + u * float(p[c]) + penalty * max(0, len(more) + 1 - free)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 12), st.booleans(), st.sampled_from(["aps", "raps"]), st.integers(0, 10_000))
def test_adaptive_scores_and_sets_equal_the_definition(k: int, ties: bool, score: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    P, u = random_probs(rng, 30, k, ties=ties), rng.random(30)
    y = rng.integers(0, k, 30)
    penalty, free = (0.1, 2) if score == "raps" else (0.0, 5)
    slow = np.array([[slow_score(P[i], c, u[i], penalty, free) for c in range(k)] for i in range(30)])
    found = scores_of(P, y, score, penalty=0.1, free=2, chance=u)
    assert np.allclose(found, slow[np.arange(30), y], atol=1e-12)
    thresholds = rng.random(k) * 1.2
    clear = (np.abs(slow - thresholds) > 1e-7).all()
    if clear:
        assert np.array_equal(Conformal(thresholds, score, 0.1, 2).sets(P, u), slow <= thresholds)


def test_sorted_and_unsorted_forms_agree() -> None:
    rng = np.random.default_rng(0)
    P, u = rng.dirichlet(np.full(40, 0.5), 200).round(2), rng.random(200)
    bounds = np.full(40, 0.8) + 0.05 * rng.random(40)
    one, two = np.zeros(P.shape, bool), np.zeros(P.shape, bool)
    for penalty in (0.0, 0.02):
        conformal.few_sets(P, u, bounds, penalty, 3, one)
        two[:] = False
        conformal.many_sets(P, u, bounds, penalty, 3, two)
        assert np.array_equal(one, two)
    assert one.any()
    assert not one.all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.floats(0.01, 0.99), st.integers(0, 10_000))
def test_quantile_is_the_smallest_threshold_that_keeps_the_promise(n: int, alpha: float, seed: int) -> None:
    scores = np.random.default_rng(seed).random(n).round(1)
    q = quantile(scores, alpha)
    allowed = alpha * (n + 1) + 1e-6
    assert n + 1 - (scores <= q).sum() - (0 if math.isfinite(q) else 1) <= allowed
    below = scores[scores < q]
    if len(below) and math.isfinite(q):
        assert n + 1 - (scores <= below.max()).sum() > allowed - 2e-6


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50), st.floats(0.02, 0.9), st.integers(0, 10_000))
def test_p_values_and_quantiles_tell_the_same(n: int, alpha: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    known, new = rng.random(n).round(2), rng.random(200).round(2)
    slow = np.array([(1 + (known >= s).sum()) / (n + 1) for s in new])
    assert np.allclose(p_values(known, new), slow)
    if abs(alpha * (n + 1) - round(alpha * (n + 1))) > 1e-3:
        assert np.array_equal(p_values(known, new) > alpha, new <= quantile(known, alpha))


def test_a_single_threshold_is_not_moved_by_float32() -> None:
    rng = np.random.default_rng(3)
    P = random_probs(rng, 5000, 6, ties=True)
    y = rng.integers(0, 6, 5000)
    for alpha in (0.01, 0.1, 0.3):
        found = calibrate(P, y, alpha)
        assert np.array_equal(found.sets(P), 1.0 - P.astype(np.float64) <= found.thresholds)


def test_accepted_answers_keep_the_false_discovery_rate() -> None:
    rng = np.random.default_rng(4)
    shares, kept = [], []
    for _ in range(400):
        confidence = rng.random(260)
        wrong = rng.random(260) > 0.4 + 0.55 * confidence
        chosen = conformal.safe_answers(confidence[:160], wrong[:160], confidence[160:], 0.2)
        shares.append(wrong[160:][chosen].mean() if chosen.any() else 0.0)
        kept.append(chosen.sum())
        if chosen.any() and not chosen.all():
            assert confidence[160:][chosen].min() > confidence[160:][~chosen].max()
    assert np.mean(shares) < 0.2 + 3 * np.std(shares) / 20
    assert np.mean(kept) > 20
    assert not conformal.safe_answers(np.empty(0), np.empty(0, bool), np.ones(3), 0.1).any()
    assert conformal.safe_answers(np.ones(9), np.zeros(9, bool), np.empty(0), 0.1).shape == (0,)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a logistic regression that has seen the first 300 digits, for the other 1,497."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    X, y = load_digits(return_X_y=True)
    model = LogisticRegression(C=0.01, max_iter=300).fit(X[:300] / 16, y[:300])
    return model.predict_proba(X[300:] / 16).astype(np.float32), y[300:]


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_coverage_over_200_random_splits_of_real_data_follows_its_law(
    digits: tuple[np.ndarray, np.ndarray], score: str
) -> None:
    P, y = digits
    rng = np.random.default_rng(1)
    n, m, alpha = 500, len(y) - 500, 0.1
    hits = []
    for _ in range(200):
        order, u = rng.permutation(len(y)), rng.random(len(y))
        known, new = order[:n], order[n:]
        found = calibrate(P[known], y[known], alpha, score=score, chance=u[known])
        hits.append(found.sets(P[new], u[new])[np.arange(m), y[new]].sum())
    rank = math.ceil((n + 1) * (1 - alpha))
    law = stats.betabinom(m, rank, n + 1 - rank)  # exact for scores without ties
    low, high = law.interval(0.95)
    inside = np.mean([(low <= h <= high) for h in hits])
    assert stats.binomtest(int(inside * 200), 200, 0.95).pvalue > 0.001
    mean = stats.norm.interval(0.999, m * rank / (n + 1), law.std() / np.sqrt(200))
    assert mean[0] <= np.mean(hits) <= mean[1]


def test_class_conditional_sets_cover_every_class(digits: tuple[np.ndarray, np.ndarray]) -> None:
    P, y = digits
    rng = np.random.default_rng(2)
    covered = {"marginal": np.zeros((100, 10)), "class-conditional": np.zeros((100, 10))}
    for t in range(100):
        order = rng.permutation(len(y))
        known, new = order[:700], order[700:]
        for kind, kept in covered.items():
            sets = calibrate(P[known], y[known], 0.1, kind=kind).sets(P[new])
            hit = sets[np.arange(len(new)), y[new]]
            kept[t] = np.bincount(y[new], hit, 10) / np.bincount(y[new], minlength=10)
    assert covered["class-conditional"].mean(axis=0).min() >= 0.89
    assert covered["marginal"].mean(axis=0).min() < 0.87  # which is why the other kind exists


def test_too_few_rows_rule_nothing_out() -> None:
    P = np.array([[0.9, 0.1]] * 5)
    assert calibrate(P, np.zeros(5, int), 0.1).sets(P).all()
    found = calibrate(np.tile(P, (10, 1)), np.zeros(50, int), 0.1, kind="class-conditional")
    assert found.thresholds[0] < 1
    assert found.thresholds[1] == np.inf
    assert class_quantiles(np.empty(0), np.empty(0, int), 2, 0.1).tolist() == [np.inf, np.inf]
    assert Conformal(np.array([0.2, 0.2])).sets(np.empty((0, 2))).shape == (0, 2)


@pytest.mark.parametrize(
    ("probs", "labels", "alpha", "message"),
    [
        ([[0.5, np.nan]], [0], 0.1, "numbers in"),
        ([[0.5, 1.5]], [0], 0.1, "numbers in"),
        ([[0.5, 0.5]], [2], 0.1, "one class number each"),
        ([[0.5, 0.5]], [-1], 0.1, "one class number each"),
        ([[0.5, 0.5]], [0], 1.0, "between 0 and 1"),
        ([0.5, 0.5], [0], 0.1, "shape"),
    ],
)
def test_bad_input_is_said(probs: list[object], labels: list[int], alpha: float, message: str) -> None:
    with pytest.raises(DrossError, match=message):
        calibrate(np.array(probs), np.array(labels), alpha)
    with pytest.raises(DrossError, match="2 classes, probabilities for 3"):
        Conformal(np.ones(2)).sets(np.full((1, 3), 1 / 3))
