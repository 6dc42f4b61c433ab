"""Samples that grow without losing anything, and intervals that hold as often as they promise."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, hypergeom

from dross.core.errors import DrossError
from dross.review.sampling import LEAST_NEAR, Sample, defects_between, draw, estimate


def scored(n: int = 3000, seed: int = 0) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """Scores of which half are 0, with ties, and the top 150 flagged."""
    rng = np.random.default_rng(seed)
    scores = np.round(np.where(rng.random(n) < 0.5, rng.random(n), 0), 2).astype(np.float32)
    flagged = np.zeros(n, bool)
    flagged[np.argsort(-scores, kind="stable")[:150]] = True
    return flagged, scores


@given(st.integers(0, 3100), st.integers(0, 3100), st.integers(0, 3))
def test_a_greater_sample_extends_a_smaller_one(size: int, more: int, seed: int) -> None:
    flagged, scores = scored()
    small, great = sorted((draw(flagged, scores, s, seed) for s in (size, more)), key=len)
    assert great.rows[: len(small)].tolist() == small.rows.tolist()
    assert great.strata[: len(small)].tolist() == small.strata.tolist()
    assert len(set(great.rows.tolist())) == len(great) == min(3000, max(size, more))


def test_each_stratum_holds_what_it_should() -> None:
    flagged, scores = scored()
    sample = draw(flagged, scores, 3000)
    first, near, rest = (sample.rows[sample.strata == s] for s in range(3))
    assert sample.sizes.tolist() == [150, 150, 2700]
    assert set(first.tolist()) == set(np.flatnonzero(flagged).tolist())
    assert scores[near].min() >= scores[rest].max()
    assert (scores[rest] == 0).any()


def test_the_strata_take_turns() -> None:
    sample = draw(*scored(), 100)
    assert np.bincount(sample.strata).tolist() == [40, 20, 40]
    assert np.bincount(draw(*scored(), 1000).strata).tolist()[0] == 150  # used up; the others go on


def test_seeds_differ_and_every_row_of_a_stratum_is_equally_likely() -> None:
    flagged, scores = scored(600)
    counts = np.zeros(600)
    for seed in range(2000):
        sample = draw(flagged, scores, 100, seed)
        counts[sample.rows] += 1
    everything = draw(flagged, scores, 600)
    for s in range(3):
        members = everything.rows[everything.strata == s]
        share = counts[members].mean() / 2000
        assert np.abs(counts[members] / 2000 - share).max() < 4.5 * math.sqrt(share * (1 - share) / 2000)


def test_the_population_alone_is_drawn_from() -> None:
    flagged, scores = scored()
    population = np.arange(0, 3000, 7)
    sample = draw(flagged, scores, 5000, population=population)
    assert sorted(sample.rows.tolist()) == population.tolist()
    assert sample.sizes.sum() == len(population)


def test_nothing_flagged_nothing_scored_nothing_there() -> None:
    none = draw(np.zeros(500, bool), np.zeros(500), 10)
    assert none.sizes.tolist() == [0, 0, 500]
    assert (none.strata == 2).all()
    some = draw(np.zeros(500, bool), np.ones(500), 10)
    assert some.sizes.tolist() == [0, LEAST_NEAR, 500 - LEAST_NEAR]
    empty = draw([], [], 10)
    assert len(empty) == 0
    assert len(draw(*scored(), 0)) == 0


def test_wrong_input_is_refused() -> None:
    with pytest.raises(DrossError, match="flags"):
        draw([True], [1.0, 2.0], 1)
    with pytest.raises(DrossError, match="rows are 0 to 0"):
        draw([True], [1.0], 1, population=[1])
    with pytest.raises(DrossError, match="cannot have"):
        draw([True], [1.0], -1)
    for sizes, drawn, defects in (([5], [6], [1]), ([5], [3], [4]), ([5], [3], [-1])):
        with pytest.raises(DrossError, match="more"):
            estimate(sizes, drawn, defects)
    with pytest.raises(DrossError, match="same strata"):
        estimate([5, 5], [1], [1])
    with pytest.raises(DrossError, match="level"):
        estimate([5], [1], [1], level=1.0)
    sample = draw(*scored(), 10)
    with pytest.raises(DrossError, match="twice"):
        sample.tally([sample.rows[0]] * 2, [True, False])
    with pytest.raises(DrossError, match="answers"):
        sample.tally([1], [True, False])


def plain_bounds(size: int, drawn: int, defects: int, level: float) -> tuple[int, int]:
    """Every possible number of defects tried in turn."""
    tail = (1 - level) / 2
    possible = np.arange(defects, size - drawn + defects + 1)
    many = hypergeom.sf(defects - 1, size, possible, drawn) >= tail
    few = hypergeom.cdf(defects, size, possible, drawn) >= tail
    return int(possible[many].min()), int(possible[few].max())


@given(st.integers(1, 80).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.floats(0, 1))
def test_bounds_are_those_of_trying_every_number(counts: tuple[int, int], share: float) -> None:
    size, drawn = counts
    defects = round(share * drawn)
    assert defects_between(size, drawn, defects) == plain_bounds(size, drawn, defects, 0.95)


def test_bounds_of_a_vast_population_are_those_of_clopper_and_pearson() -> None:
    low, high = defects_between(10_000_000, 60, 7)
    assert low / 1e7 == pytest.approx(beta.ppf(0.025, 7, 54), rel=1e-3)
    assert high / 1e7 == pytest.approx(beta.ppf(0.975, 8, 53), rel=1e-3)


@pytest.mark.parametrize("size", [1, 7, 40])
def test_the_interval_of_one_stratum_never_covers_less_than_promised(size: int) -> None:
    """Exactly, summed over all samples, for every true number of defects and every number drawn."""
    for drawn in range(0, size + 1, max(1, size // 8)):
        bounds = [defects_between(size, drawn, x) for x in range(drawn + 1)]
        for true in range(size + 1):
            chance = hypergeom.pmf(np.arange(drawn + 1), size, true, drawn)
            covered = sum(p for p, (low, high) in zip(chance, bounds, strict=True) if low <= true <= high)
            assert covered >= 0.95 - 1e-9


@pytest.mark.parametrize(
    ("sizes", "true", "drawn"),
    [
        ([150, 150, 2700], [110, 20, 15], [40, 20, 40]),
        ([60, 100, 900], [60, 3, 0], [60, 40, 100]),
        ([500, 500, 9000], [300, 90, 60], [200, 100, 200]),
        ([20, 100, 200], [1, 1, 1], [20, 10, 20]),
        ([0, 100, 400], [0, 5, 5], [0, 30, 60]),
    ],
)
def test_intervals_cover_at_least_as_often_as_promised(sizes: list[int], true: list[int], drawn: list[int]) -> None:
    rng = np.random.default_rng(1)
    runs = 400
    answers = np.stack([rng.hypergeometric(t, n - t, d, runs) for n, t, d in zip(sizes, true, drawn, strict=True)], 1)
    kinds, inverse = np.unique(answers, axis=0, return_inverse=True)
    recall, share = true[0] / sum(true), sum(true) / sum(sizes)
    precision = true[0] / sizes[0] if sizes[0] else 0.5
    hits = np.zeros((len(kinds), 3))
    for i, kind in enumerate(kinds):
        found = estimate(sizes, drawn, kind)
        pairs = ((found.precision, precision), (found.recall, recall), (found.share, share))
        hits[i] = [low - 1e-12 <= value <= high + 1e-12 for (_, low, high), value in pairs]
        for (point, low, high), _ in pairs:
            assert 0 <= low <= high <= 1
            assert math.isnan(point) or low <= point <= high
    covered = hits[inverse.reshape(-1)].mean(0)
    assert (covered >= 0.95 - 2 * math.sqrt(0.05 * 0.95 / runs)).all()


def test_the_level_is_shared_by_the_strata_that_are_uncertain() -> None:
    """Precision needs one stratum; recall and share need all that were checked in part: here two of four."""
    sizes, drawn, defects = [60, 40, 30, 9], [20, 10, 30, 0], [12, 2, 3, 0]
    found = estimate(sizes, drawn, defects)
    low, high = plain_bounds(60, 20, 12, 0.95)
    assert found.precision == pytest.approx((0.6, low / 60, high / 60))
    (a, b), (c, d) = plain_bounds(60, 20, 12, 0.975), plain_bounds(40, 10, 2, 0.975)
    assert found.recall[1:] == pytest.approx((a / (a + d + 3 + 9), b / (b + c + 3)))
    assert found.share[1:] == pytest.approx(((a + c + 3) / 139, (b + d + 3 + 9) / 139))
    assert math.isnan(found.recall[0])  # the last stratum may hold anything


def test_the_estimates_are_unbiased() -> None:
    """Averaged over many samples they are the truth, though the strata are drawn from at different rates."""
    rng = np.random.default_rng(2)
    flagged, scores = scored()
    defect = rng.random(3000) < np.where(flagged, 0.7, 0.02 + 0.2 * scores)
    found = []
    for seed in range(300):
        sample = draw(flagged, scores, 250, seed)
        found.append(estimate(sample.sizes, *sample.tally(sample.rows, defect[sample.rows])))
    truth = (defect[flagged].mean(), flagged[defect].mean(), defect.mean())
    for name, true in zip(("precision", "recall", "share"), truth, strict=True):
        points = np.array([getattr(one, name)[0] for one in found])
        slack = 0.01 if name == "recall" else 0.0
        assert abs(points.mean() - true) < 4 * points.std() / math.sqrt(len(points)) + slack


def test_all_checked_is_all_known() -> None:
    found = estimate([10, 20, 30], [10, 20, 30], [8, 1, 1])
    assert found.precision == (0.8, 0.8, 0.8)
    assert found.recall == (0.8, 0.8, 0.8)
    assert found.share == (pytest.approx(1 / 6),) * 3
    part = estimate([10, 20, 30], [10, 5, 30], [8, 1, 1])
    assert part.precision == (0.8, 0.8, 0.8)
    assert part.recall[1] < part.recall[2] < 0.9


def test_nothing_drawn_is_nothing_known() -> None:
    nothing = estimate([10, 20, 30], [0, 0, 0], [0, 0, 0])
    for point, low, high in (nothing.precision, nothing.recall, nothing.share):
        assert math.isnan(point)
        assert (low, high) == (0, 1)
    for sizes in ([0, 0, 0], [0, 5, 5]):
        assert math.isnan(estimate(sizes, [0, 0, 0], [0, 0, 0]).precision[0])
    sound = estimate([5, 5], [5, 5], [0, 0])  # no defect anywhere: recall has no meaning
    assert math.isnan(sound.recall[0])
    assert sound.recall[1:] == (0, 1)
    assert sound.share == (0, 0, 0)


def test_more_checking_narrows_the_interval() -> None:
    few, many = (estimate([100, 100, 800], np.array([10, 10, 20]) * k, np.array([8, 2, 1]) * k) for k in (1, 8))
    for name in ("precision", "recall", "share"):
        assert getattr(many, name)[2] - getattr(many, name)[1] < getattr(few, name)[2] - getattr(few, name)[1]


def test_a_sample_is_counted_by_stratum() -> None:
    sample = Sample(np.array([4, 7, 1]), np.array([0, 2, 0], np.int8), np.array([2, 0, 5]))
    drawn, defects = sample.tally([1, 4, 7, 99], [True, False, True, True])
    assert drawn.tolist() == [2, 0, 1]
    assert defects.tolist() == [1, 0, 1]
    assert sample.tally([], [])[0].tolist() == [0, 0, 0]
