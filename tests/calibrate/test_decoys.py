from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.calibrate.decoys import estimate_by_decoys, falling_ratio
from dross.calibrate.mixture import choose


def draw(n: int, share: float, accidents: float, seed: int) -> tuple[np.ndarray, ...]:
    """Planted, decoys, the scores of what was found among n rows, and whether each is a copy."""
    rng = np.random.default_rng(seed)

    def score(copy: np.ndarray) -> np.ndarray:
        found = rng.random(len(copy)) < np.where(copy, 0.8, accidents)
        return found * np.where(copy, rng.beta(5, 2, len(copy)), rng.beta(2, 5, len(copy)))

    real_copy = rng.random(n) < share
    real = score(real_copy)
    planted, decoys = score(np.ones(400, bool)), score(np.zeros(400, bool))
    return planted, decoys, real[real > 0], real_copy[real > 0]


@pytest.mark.parametrize("accidents", [0.0, 0.05, 0.3])
def test_chances_match_the_truth(accidents: float) -> None:
    chance, true, shares = [], [], []
    for seed in range(8):
        planted, decoys, real, copy = draw(6000, 0.05, accidents, seed)
        worth = estimate_by_decoys(planted, decoys, real, 6000, np.random.default_rng(seed))
        chance.append(worth.chance(real))
        true.append(copy)
        shares.append(worth.share)
    p, y = np.concatenate(chance), np.concatenate(true)
    assert np.mean(shares) == pytest.approx(0.05, abs=0.015)
    for low, high in ((0.0, 0.5), (0.5, 0.9), (0.9, 1.01)):
        here = (p >= low) & (p < high)
        if here.sum() > 100:
            assert y[here].mean() == pytest.approx(p[here].mean(), abs=0.12)


def test_flagged_copies_keep_the_promise() -> None:
    achieved = []
    for seed in range(8):
        planted, decoys, real, copy = draw(6000, 0.05, 0.1, seed)
        worth = estimate_by_decoys(planted, decoys, real, 6000, np.random.default_rng(seed))
        flagged = choose(worth.chance(real, cautious=True), 0.1)
        achieved.append((flagged & ~copy).sum() / max(1, flagged.sum()))
        assert flagged.sum() > 50
    assert np.mean(achieved) <= 0.12


def test_accidents_only_leave_nothing_flagged() -> None:
    planted, decoys, real, _ = draw(5000, 0.0, 0.2, 0)
    worth = estimate_by_decoys(planted, decoys, real, 5000, np.random.default_rng(0))
    flagged = choose(worth.chance(real, cautious=True), 0.1)
    assert flagged.mean() < 0.02


def test_recall_is_that_of_the_planted() -> None:
    planted, decoys, real, _ = draw(5000, 0.1, 0.0, 0)
    worth = estimate_by_decoys(planted, decoys, real, 5000, np.random.default_rng(0))
    estimate, low, high = worth.found(float(real.min()))
    assert estimate == pytest.approx((planted > 0).mean(), abs=0.02)
    assert low < estimate < high


@pytest.mark.parametrize(
    ("planted", "decoys", "real"),
    [
        (np.zeros(30), np.zeros(30), np.empty(0)),
        (np.ones(30), np.zeros(30), np.empty(0)),
        (np.zeros(30), np.ones(30), np.ones(5)),
        (np.ones(30), np.ones(30), np.ones(5)),
        (np.zeros(30), np.zeros(30), np.ones(5)),
    ],
)
def test_degenerate_samples(planted: np.ndarray, decoys: np.ndarray, real: np.ndarray) -> None:
    worth = estimate_by_decoys(planted, decoys, real, 100, np.random.default_rng(0))
    chance = worth.chance(real)
    assert ((chance >= 0) & (chance <= 1)).all()
    assert 0 <= worth.share <= 1


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_ratio_never_rises(pairs: list[tuple[float, float]]) -> None:
    expected, observed = np.array(pairs).T
    ratio = falling_ratio(expected, observed)
    assert (np.diff(ratio) <= 1e-6 * np.maximum(ratio[:-1], 1)).all()
    assert (ratio >= 0).all()
