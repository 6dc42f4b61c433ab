"""The rater of pairs: against slow forms, on new texts, kept; pairs and files of them; sampling by ratings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from tests.models.rated import judged_pairs, rated_texts
from tests.realdata import real

from dross.core.errors import DrossError
from dross.models.pairwise_rater import SEGMENT, Rater, agreement, bradley_terry, fit_rater, segments
from dross.models.preference_pairs import Pairs, drawn, parted, read_pairs
from dross.models.rated_sampling import gumbels, sampled, standardised

# ---- the rater ---------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_weights_are_those_of_logistic_regression_on_differences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((60, 4))
    chance = (rng.random(60) < 1 / (1 + np.exp(-D @ rng.standard_normal(4)))).astype(float)
    if len(np.unique(chance)) < 2:
        return
    strength = 0.05
    slow = LogisticRegression(C=1 / (60 * strength), fit_intercept=False, tol=1e-10, max_iter=2000).fit(D, chance)
    assert np.allclose(bradley_terry(D, chance, strength), slow.coef_[0], atol=1e-3)


def test_soft_chances_are_recovered_as_ratings() -> None:
    """Three texts, every pair judged with the chances of known ratings: the ratings come back, up to a constant."""
    ratings, sides = np.array([0.0, 0.7, 2.0]), np.array([[0, 1], [1, 2], [0, 2]])
    D = np.eye(3)[sides[:, 0]] - np.eye(3)[sides[:, 1]]
    chance = 1 / (1 + np.exp(-(ratings[sides[:, 0]] - ratings[sides[:, 1]])))
    found = bradley_terry(D, chance, 1e-8)
    assert np.allclose(found - found[0], ratings, atol=1e-2)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40))
def test_agreement_equals_slow_forms(seed: int, m: int) -> None:
    margins = np.random.default_rng(seed).standard_normal(m).round(1) + 0.3
    found = agreement(margins)
    both = np.concatenate([margins, -margins])
    assert found["auc"][0] == pytest.approx(roc_auc_score(np.repeat([1, 0], m), both))
    assert found["accuracy"][0] == pytest.approx(np.mean([1.0 if u > 0 else 0.5 if u == 0 else 0.0 for u in margins]))
    assert all(found[name][1] <= found[name][0] <= found[name][2] for name in found)


def test_the_interval_of_the_auc_covers() -> None:
    rng, inside = np.random.default_rng(0), 0
    truth = agreement(rng.standard_normal(20_000) + 0.5)["auc"][0]
    for _ in range(200):
        _, low, high = agreement(rng.standard_normal(80) + 0.5)["auc"]
        inside += low <= truth <= high
    assert inside >= 180


def test_a_rater_orders_new_texts_and_knows_how_well() -> None:
    rater = fit_rater(judged_pairs()[0])
    texts, good = rated_texts(100, seed=1)
    ratings = rater.rate(pa.array(texts, pa.large_string()))
    order = np.argsort(np.argsort(ratings)), np.argsort(np.argsort(good))
    assert np.corrcoef(*order)[0, 1] > 0.9
    one, two = np.triu_indices(100, 1)
    right = float(((ratings[one] > ratings[two]) == (good[one] > good[two])).mean())
    assert rater.facts["held_out_texts_are_new"]
    assert rater.facts["accuracy"][1] <= right <= rater.facts["accuracy"][2] + 0.05


def test_ratings_do_not_hang_on_the_batch_and_are_kept(tmp_path: Path) -> None:
    pairs, texts, _ = judged_pairs(60)
    rater = fit_rater(pairs)
    long = pa.array([*texts, "calm words " * 900, ""], pa.large_string())
    whole = rater.rate(long)
    assert np.array_equal(whole, np.concatenate([rater.rate(long.slice(i, 7)) for i in range(0, len(long), 7)]))
    rater.save(tmp_path / "r")
    assert np.array_equal(Rater.load(tmp_path / "r").rate(long), whole)
    with pytest.raises(DrossError, match="damaged"):
        Rater.load(tmp_path / "absent")


def test_a_long_text_has_the_mean_rating_of_its_segments() -> None:
    rater = fit_rater(judged_pairs(60)[0])
    calm, loud = ("a calm line " * 400)[:SEGMENT], ("SHOUT!! " * 400)[: SEGMENT // 2]
    one, two, both = rater.rate(pa.array([calm, loud, calm + loud], pa.large_string()))
    assert both == pytest.approx((2 * one + two) / 3)
    parts, owner, share = segments(pa.array(["é" * 4001, "x"], pa.large_string()))
    assert [len(p) for p in parts.to_pylist()] == [2000, 1, 2000, 1]
    assert np.allclose(np.bincount(owner, share), 1)


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(DrossError, match="10 pairs or more, and 0"):
        fit_rater(Pairs.of(["a"] * 20, ["b"] * 20, np.full(20, 0.5)))


# ---- pairs -------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.integers(0, 60), st.integers(1, 200))
def test_drawn_pairs_are_distinct_and_as_many_as_can_be(n: int, most: int) -> None:
    sides = drawn(n, most)
    assert len({tuple(sorted(p)) for p in sides.tolist()}) == len(sides) == min(most, n * (n - 1) // 2)
    assert (sides[:, 0] != sides[:, 1]).all()
    if 2 * most <= n:
        assert len(np.unique(sides)) == 2 * most


def test_no_text_stands_in_two_folds() -> None:
    sides = drawn(60, 150)
    fold, apart = parted(sides, 60, 4, 0)
    assert apart
    assert all(len(np.unique(fold[(sides == t).any(axis=1)])) == 1 for t in range(60))
    assert np.bincount(fold, minlength=4).min() > 20
    chain = np.stack([np.arange(30), np.arange(1, 31)], axis=1)
    assert not parted(chain, 31, 4, 0)[1]


def test_files_of_pairs(tmp_path: Path) -> None:
    ranked = tmp_path / "ranked.jsonl"
    ranked.write_text("".join(json.dumps({"chosen": f"good {i}", "rejected": f"bad {i}"}) + "\n" for i in range(3)))
    assert read_pairs(ranked).chance.tolist() == [1, 1, 1]
    named = tmp_path / "named.csv"
    named.write_text("A,B,Better\nx,y,a\ny,z,B\nx,z,tie\n")
    found = read_pairs(named)
    assert found.chance.tolist() == [1, 0, 0.5]
    assert found.texts.to_pylist()[found.sides[1, 1]] == "z"
    soft = tmp_path / "soft.parquet"
    pq.write_table(pa.table({"text_a": ["x"], "text_b": ["y"], "chance": [0.25]}), soft)
    assert read_pairs(soft).chance.tolist() == [0.25]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"text": ["x"], "label": ["y"]}, "no pairs of texts among the columns text, label"),
        ({"a": ["x", "y"], "b": ["y", None], "better": ["a", "b"]}, "column 'b', row 1"),
        ({"a": ["x"], "b": ["y"], "better": ["both"]}, "'both' does not say which text is better.*row 0"),
        ({"a": ["x"], "b": ["y"], "better": [7]}, "7 does not say"),
    ],
)
def test_files_that_hold_no_pairs(columns: dict[str, Any], told: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(DrossError) as caught:
        read_pairs(path)
    assert re.search(told, str(caught.value))


def test_real_preferences_are_read_and_learnt_from(tmp_path: Path) -> None:
    """People's choices between answers hang on more than form: the rater must say how little it learnt, not more."""
    table = pq.read_table(real("llmbar_preferences") / "pairs.parquet")
    better = ["a" if str(v) == "1" else "b" for v in table.column("label").to_pylist()]
    path = tmp_path / "pairs.parquet"
    outputs = [name for name in table.column_names if name.startswith("output")]
    pq.write_table(pa.table({"a": table[outputs[0]], "b": table[outputs[1]], "better": better}), path)
    facts = fit_rater(read_pairs(path)).facts
    assert facts["pairs"] == len(table)
    assert 0.4 < facts["accuracy"][0] < 0.75
    assert facts["accuracy"][2] - facts["accuracy"][1] < 0.1


# ---- sampling ----------------------------------------------------------------------------------------------------


def test_the_first_drawn_follows_the_softmax() -> None:
    ratings, counts = np.array([0.0, 1.0, 2.0]), np.zeros(3)
    rng = np.random.default_rng(0)
    for _ in range(4000):
        keys = rng.integers(0, 2**64, 3, dtype=np.uint64)
        counts[sampled(ratings, np.ones(3), keys, 1.0, 2.0)[0]] += 1
    wanted = np.exp(ratings / 2) / np.exp(ratings / 2).sum()
    assert np.abs(counts / 4000 - wanted).max() < 0.03
    noise = gumbels(rng.integers(0, 2**64, 50_000, dtype=np.uint64))
    assert noise.mean() == pytest.approx(0.5772, abs=0.03)
    assert noise.std() == pytest.approx(np.pi / np.sqrt(6), abs=0.03)
    assert np.isfinite(gumbels(np.array([0, 2**64 - 1], np.uint64))).all()


def test_the_share_is_one_of_sizes_and_may_hold_in_each_group() -> None:
    rng = np.random.default_rng(0)
    sizes, keys = rng.integers(1, 9, 500).astype(float), rng.integers(0, 2**64, 500, dtype=np.uint64)
    ratings, groups = rng.standard_normal(500), rng.integers(0, 3, 500)
    rows = sampled(ratings, sizes, keys, 0.3, 1.0)
    assert 0 <= sizes[rows].sum() - 0.3 * sizes.sum() < 9
    parted_rows = sampled(ratings, sizes, keys, 0.3, 0.0, groups)
    for g in range(3):
        own = parted_rows[groups[parted_rows] == g]
        assert 0 <= sizes[own].sum() - 0.3 * sizes[groups == g].sum() < 9
        left = np.setdiff1d(np.flatnonzero(groups == g), own)
        assert ratings[own].min() >= ratings[left].max()
    assert not standardised(np.ones(4)).any()
