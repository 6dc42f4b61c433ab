from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dross.calibrate.mixture import (
    bin_masses,
    choose,
    cut,
    estimate_worth,
    fit_weights,
    interval,
    match_frequencies,
    separation,
)


def scored(n: int, m: int, share: float, seed: int, apart: float = 3.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Real scores of which a share is drawn as the planted ones are; and which those are."""
    rng = np.random.default_rng(seed)
    true = rng.random(n) < share
    real = np.where(true, rng.normal(apart, 1.0, n), rng.normal(0.0, 1.0, n))
    return rng.normal(apart, 1.0, m), real, true


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.3])
def test_share_is_recovered(share: float) -> None:
    estimates = [
        estimate_worth(*scored(4000, 1500, share, seed)[:2], None, np.random.default_rng(seed)).share
        for seed in range(6)
    ]
    assert np.mean(estimates) == pytest.approx(share, rel=0.12, abs=0.004)


def test_share_lies_in_its_interval_most_of_the_time() -> None:
    inside = 0
    for seed in range(20):
        planted, real, true = scored(3000, 1000, 0.1, seed)
        worth = estimate_worth(planted, real, None, np.random.default_rng(seed))
        _, low, high = interval(worth.share, worth.shares)
        inside += low <= true.mean() <= high
    assert inside >= 16


@pytest.mark.parametrize("fdr", [0.05, 0.2])
def test_flagged_rows_keep_the_promise_on_average(fdr: float) -> None:
    achieved, recall = [], []
    for seed in range(12):
        planted, real, true = scored(3000, 1000, 0.1, seed)
        worth = estimate_worth(planted, real, None, np.random.default_rng(seed))
        flagged = choose(worth.chance(real, cautious=True), fdr)
        achieved.append((flagged & ~true).sum() / max(1, flagged.sum()))
        recall.append((flagged & true).sum() / true.sum())
    assert np.mean(achieved) <= fdr + 0.02
    assert np.mean(recall) > 0.3


def test_promised_precision_is_what_rows_of_that_score_have() -> None:
    chance, true = [], []
    for seed in range(10):
        planted, real, defect = scored(4000, 1500, 0.15, seed, apart=2.0)
        worth = estimate_worth(planted, real, None, np.random.default_rng(seed))
        chance.append(worth.chance(real))
        true.append(defect)
    p, y = np.concatenate(chance), np.concatenate(true)
    for low, high in ((0.1, 0.4), (0.4, 0.7), (0.7, 0.95)):
        here = (p >= low) & (p < high)
        assert y[here].mean() == pytest.approx(p[here].mean(), abs=0.1)


def test_replacing_a_wrong_label_may_mend_it() -> None:
    """Planted defects on rows that are defects already are sound ones; the share must not grow by them."""
    rng = np.random.default_rng(0)
    n, m = 5000, 2000
    true = rng.random(n) < 0.3
    real = np.where(true, rng.normal(4, 1, n), rng.normal(0, 1, n))
    sources = rng.choice(n, m, replace=False)
    planted = np.where(true[sources], rng.normal(0, 1, m), rng.normal(4, 1, m))
    plain = estimate_worth(planted, real, None, np.random.default_rng(1)).share
    mended = estimate_worth(planted, real, sources, np.random.default_rng(1)).share
    assert plain > 0.38
    assert mended == pytest.approx(0.3, abs=0.03)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0, 0.6), st.floats(0.1, 5), st.integers(20, 300), st.integers(20, 300))
def test_worth_is_monotone_and_in_range(seed: int, share: float, apart: float, n: int, m: int) -> None:
    planted, real, _ = scored(n, m, share, seed, apart)
    worth = estimate_worth(planted, real, None, np.random.default_rng(seed))
    order = np.sort(np.concatenate([planted, real, [-1e9, 1e9]]))
    for cautious in (False, True):
        chance = worth.chance(order, cautious=cautious)
        assert (np.diff(chance) >= 0).all()
        assert chance.min() >= 0
        assert chance.max() <= 1
    assert 0 <= worth.share <= 1
    assert (np.diff(worth.recall) <= 1e-12).all()
    assert (worth.cautious <= worth.local + 1e-12).all()
    for threshold in (order[0], 0.0, order[-1]):
        estimate, low, high = worth.found(threshold)
        assert low <= estimate <= high
    assert worth.found(1e9)[0] == 0.0


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_weights_are_the_likeliest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masses = bin_masses(np.sort(np.concatenate([[0.0, 1.0], rng.random(12)])))
    counts = rng.poisson(rng.gamma(0.5, 20, len(masses))).astype(float)
    if not counts.sum():
        return
    weights = fit_weights(masses, counts)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)

    def loss(free: np.ndarray) -> float:
        w = np.exp(free - free.max())
        return -float(counts @ np.log(masses @ (w / w.sum()) + 1e-12))

    reached = -float(counts @ np.log(masses @ weights + 1e-12))
    other = min(minimize(loss, rng.normal(size=masses.shape[1]), method="L-BFGS-B").fun for _ in range(2))
    assert reached <= other + 1e-3 * max(1.0, abs(other))


def test_nothing_is_flagged_where_no_row_reaches_the_planted() -> None:
    rng = np.random.default_rng(0)
    worth = estimate_worth(rng.normal(9, 1, 500), rng.normal(0, 1, 2000), None, rng)
    assert worth.share == pytest.approx(0, abs=1e-3)
    assert not choose(worth.chance(rng.normal(0, 1, 2000), cautious=True), 0.1).any()


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_equal_scores_do_no_harm(value: float) -> None:
    worth = estimate_worth(np.full(50, value), np.full(60, value), None, np.random.default_rng(0))
    assert np.isfinite(worth.chance(np.full(60, value))).all()


def test_bins_of_few_distinct_scores() -> None:
    """A score with eleven values: each value is a bin of its own, and its worth is read at the value itself."""
    rng = np.random.default_rng(0)
    true = rng.random(5000) < 0.1
    real = np.where(true, rng.binomial(10, 0.9, 5000), rng.binomial(10, 0.15, 5000)) / 10
    planted = rng.binomial(10, 0.9, 1500) / 10
    assert len(cut(planted, np.ones(1500))) <= 11
    worth = estimate_worth(planted, real, None, rng)
    for value, near in ((0.4, 0.1), (0.6, 0.35), (0.9, 0.05)):
        here = real == value
        assert worth.chance(np.array([value]))[0] == pytest.approx(true[here].mean(), abs=near)


def test_separation_compares_rows_with_the_same_label_only() -> None:
    """A rare label scores high on every row that carries it: no evidence against those rows."""
    rng = np.random.default_rng(0)
    real_labels = (rng.random(4000) < 0.2).astype(np.int32)
    planted_labels = (rng.random(1000) < 0.8).astype(np.int32)
    real = real_labels + 0.1 * rng.random(4000)
    planted = planted_labels + 0.1 * rng.random(1000)
    assert separation(planted, real) > 0.7
    assert separation(planted, real, (planted_labels, real_labels)) < 0.55


@given(st.integers(0, 1000))
def test_separation_is_the_area_under_the_curve(seed: int) -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(seed)
    planted, real = rng.integers(0, 6, 40) + 1.0, rng.integers(0, 6, 70) + 0.0
    area = roc_auc_score(np.repeat([1, 0], [40, 70]), np.concatenate([planted, real]))
    error = 1.645 * np.sqrt((1 / 40 + 1 / 70) / 12)
    assert separation(planted, real) == pytest.approx(area - error)


def test_separation_without_a_shared_label_is_nothing() -> None:
    labels = np.zeros(3, np.int32), np.ones(3, np.int32)
    assert separation(np.ones(3), np.zeros(3), labels) == 0


@given(st.lists(st.floats(0, 1), max_size=40), st.floats(0.01, 0.9))
def test_chosen_set_is_the_largest_that_keeps_the_rate(chances: list[float], fdr: float) -> None:
    values = np.array(chances)
    chosen = choose(values, fdr)
    if chosen.any():
        assert (1 - values[chosen]).mean() <= fdr + 1e-9
        assert values[chosen].min() >= values[~chosen].max(initial=0)
    more = np.sort(values)[::-1][: chosen.sum() + 1]
    if len(more) > chosen.sum():
        assert (1 - more).mean() > fdr


def test_same_seed_same_answer() -> None:
    planted, real, _ = scored(500, 300, 0.1, 0)
    one = estimate_worth(planted, real, None, np.random.default_rng(5))
    two = estimate_worth(planted, real, None, np.random.default_rng(5))
    assert np.array_equal(one.local_replicates, two.local_replicates)


def test_mistakes_nobody_makes_do_not_hide_those_that_are_made() -> None:
    """Half of the planted defects are of a kind that is scored higher and does not occur."""
    rng = np.random.default_rng(0)
    true = rng.random(5000) < 0.1
    real = np.where(true, rng.normal(4, 1, 5000), rng.normal(0, 1, 5000))
    strange = rng.random(1500) < 0.5
    planted = np.where(strange, rng.normal(8, 1, 1500), rng.normal(4, 1, 1500))
    of_planted = np.where(strange, 0.001, 0.1) * rng.uniform(0.9, 1.1, 1500)
    of_real = np.where(real > 2, 0.1 * rng.uniform(0.9, 1.1, 5000), np.inf)
    weights = match_frequencies(planted, real, of_planted, of_real)
    assert weights[strange].mean() < 0.1 * weights[~strange].mean()
    assert estimate_worth(planted, real, None, rng).share < 0.01
    assert estimate_worth(planted, real, None, rng, weights).share == pytest.approx(0.1, abs=0.025)


def test_equal_frequencies_weigh_alike() -> None:
    rng = np.random.default_rng(0)
    planted, real = rng.normal(3, 1, 800), rng.normal(0, 1, 1000)
    for of_real in (np.full(1000, 0.1), np.full(1000, np.inf)):
        weights = match_frequencies(planted, real, np.full(800, 0.1), of_real)
        assert np.ptp(weights) < 1e-9
