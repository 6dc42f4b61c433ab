from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_auc_score

from dross.calibrate.combine import combine, fit_logistic, loudest_of, normal_scores, one_score


def test_combination_beats_every_method() -> None:
    rng = np.random.default_rng(0)
    n, m = 4000, 800
    true = rng.random(n) < 0.1
    real = np.column_stack([rng.normal(1.5 * true), rng.normal(1.2 * true), rng.normal(size=n)])
    planted = np.column_stack([rng.normal(1.5, 1, m), rng.normal(1.2, 1, m), rng.normal(size=m)])
    both = combine(planted, real, rng.choice(n, m), rng)
    areas = [roc_auc_score(true, real[:, c]) for c in range(3)]
    assert roc_auc_score(true, both.real) > max(areas) + 0.03


def test_a_useless_method_costs_nothing() -> None:
    rng = np.random.default_rng(1)
    n, m = 3000, 600
    true = rng.random(n) < 0.1
    good, bad = rng.normal(2.0 * true), rng.normal(size=n)
    planted = np.column_stack([rng.normal(2.0, 1, m), rng.normal(size=m)])
    both = combine(planted, np.column_stack([good, bad]), rng.choice(n, m), rng)
    assert roc_auc_score(true, both.real) > roc_auc_score(true, good) - 0.005


def test_a_method_that_misleads_gets_no_weight() -> None:
    rng = np.random.default_rng(2)
    positive = np.column_stack([rng.normal(1, 1, 500), rng.normal(-1, 1, 500)])
    weights, _ = fit_logistic(positive, rng.normal(size=(500, 2)))
    assert weights[0] > 0.5
    assert weights[1] == 0


def test_planted_and_real_rows_are_scored_alike() -> None:
    """Where nothing tells them apart, out-of-sample scores must not either."""
    rng = np.random.default_rng(3)
    real, planted = rng.random((150, 8)), rng.random((100, 8))
    both = combine(planted, real, rng.choice(150, 100), rng)
    area = roc_auc_score(np.repeat([1, 0], [100, 150]), np.concatenate([both.planted, both.real]))
    assert area < 0.6


def test_one_method_is_taken_as_it_is() -> None:
    scores = np.array([[0.2], [0.9]], np.float32)
    only = one_score(scores, scores, np.array([0, 1]), np.random.default_rng(0))
    assert only.shown.tolist() == scores[:, 0].tolist()
    assert not only.logits


def test_loudest_method() -> None:
    both = loudest_of(np.zeros((1, 2)), np.array([[0.1, 0.6], [0.9, 0.3]]))
    assert both.loudest.tolist() == [1, 0]
    assert both.real.tolist() == [0.6, 0.9]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_normal_scores_are_those_of_the_ranks(values: list[int]) -> None:
    x = np.array(values, float)
    expected = norm.ppf((rankdata(x)) / (len(x) + 1))
    assert normal_scores(x, x) == pytest.approx(expected)


def test_normal_scores_of_many_rows_agree_with_those_of_few() -> None:
    rng = np.random.default_rng(0)
    reference = rng.gamma(0.3, size=60_000).astype(np.float32)
    x = np.concatenate([reference[:500], [1e9]]).astype(np.float32)
    exact = norm.ppf(
        (np.searchsorted(np.sort(reference), x, "left") + np.searchsorted(np.sort(reference), x, "right") + 1)
        / 2
        / 60_001
    )
    assert np.abs(normal_scores(x, reference) - exact).max() < 0.02


def test_shown_scores_keep_the_order() -> None:
    rng = np.random.default_rng(4)
    both = combine(rng.random((50, 2)) + 1, rng.random((200, 2)), rng.choice(200, 50), rng)
    order = np.argsort(both.real)
    assert (np.diff(both.shown[order]) >= 0).all()
    assert both.shown.min() >= 0
    assert both.shown.max() <= 1
