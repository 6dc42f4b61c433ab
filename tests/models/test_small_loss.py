"""Small losses: the mixture against scikit-learn's, chances that fall with the loss, the crossing of the densities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture

from dross.models.small_loss import TwoGaussians, small_loss_chance, two_gaussians


@pytest.mark.parametrize("seed", range(5))
def test_the_mixture_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    share = rng.uniform(0.2, 0.8)
    upper = rng.random(600) < share
    x = np.where(upper, rng.normal(2, 0.6, 600), rng.normal(-1, 0.4, 600))
    found = two_gaussians(x, floor=5e-4, steps=300, tol=1e-9)
    peer = GaussianMixture(2, reg_covar=5e-4, tol=1e-9, max_iter=300, random_state=0).fit(x[:, None])
    order = peer.means_[:, 0].argsort()
    assert np.allclose(found.means, peer.means_[order, 0], atol=1e-3)
    assert np.allclose(found.variances, peer.covariances_[order, 0, 0], atol=1e-3)
    assert np.allclose(found.weights, peer.weights_[order], atol=1e-3)
    between = x[(x > found.means[0]) & (x < found.means[1])]
    assert np.allclose(found.lower(between), peer.predict_proba(between[:, None])[:, order[0]], atol=5e-3)


@settings(max_examples=50)
@given(st.floats(0.05, 0.95), st.floats(0.01, 5), st.floats(0.001, 4), st.floats(0.001, 4))
def test_chances_fall_with_the_value_and_cross_once(share: float, apart: float, low: float, high: float) -> None:
    two = TwoGaussians(np.array([share, 1 - share]), np.array([0.0, apart]), np.array([low, high]))
    chances = two.lower(np.linspace(-3 * apart, 4 * apart, 200))
    assert (np.diff(chances) <= 1e-12).all()
    at = two.crossing
    assert 0 <= at <= apart
    if 0 < at < apart:
        assert abs(float(two.log_odds(np.array([at]))[0])) < 1e-6


def test_losses_that_are_all_equal_or_missing_are_no_trap() -> None:
    assert small_loss_chance(np.full(4, 2.0)).tolist() == [1.0] * 4
    assert np.isnan(small_loss_chance(np.full(3, np.nan))).all()
    assert small_loss_chance(np.array([])).tolist() == []
    assert small_loss_chance(np.array([0.7])).tolist() == [1.0]


def test_order_does_not_matter() -> None:
    losses = np.random.default_rng(0).gamma(1.0, 1.0, 100)
    back = np.arange(100)[::-1]
    assert np.allclose(small_loss_chance(losses)[back], small_loss_chance(losses[back]))
