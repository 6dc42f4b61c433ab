"""kMQ: clusters, quotas, weights, rounds, quality, rows without labels, bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.claims.select.kmq_iterative import pool
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.kmq_iterative import KMQIterative, clusters_of, gains, quotas, refined
from dross.testing import check_method
from dross.testing.images import pixel_dataset
from dross.testing.planted import blobs


def test_contract() -> None:
    check_method(KMQIterative)


@settings(max_examples=80)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(0, 60), st.integers(0, 999))
def test_quotas_spend_the_budget_and_no_more_than_there_is(left: list[int], budget: int, seed: int) -> None:
    weights = np.random.default_rng(seed).random(len(left))
    found = quotas(weights / weights.sum(), np.array(left), budget)
    assert found.sum() == min(budget, sum(left))
    assert (found >= 0).all()
    assert (found <= left).all()


@given(st.integers(1, 50), st.integers(0, 99))
def test_quotas_are_within_one_of_the_share_where_there_is_enough(budget: int, seed: int) -> None:
    weights = np.random.default_rng(seed).dirichlet(np.ones(5))
    assert np.abs(quotas(weights, np.full(5, 99), budget) - weights * budget).max() < 1 + 1e-6


def test_weights_are_multiplied_by_the_exponential_of_mean_scores() -> None:
    old, scores, clusters = np.array([0.5, 0.2, 0.3]), np.array([1.0, 3.0, 0.0, 0.5]), np.array([0, 0, 2, 2])
    worth = old * np.exp([2.0, 1.125, 0.25])
    assert np.allclose(refined(old, scores, clusters), worth / worth.sum())


def test_a_label_that_is_guessed_from_frequency_alone_is_worth_nothing() -> None:
    codes = np.array([0, 0, 0, 1])
    assert np.allclose(gains(np.array([0.75, 0.75, 0.75, 0.25]), codes), 0)


def test_clusters_are_the_blobs() -> None:
    X = np.repeat(np.eye(4, dtype=np.float32) * 9, 30, axis=0)
    found = clusters_of(X + 0.1 * np.random.default_rng(0).standard_normal(X.shape).astype(np.float32), 4, 0)
    assert [len(np.unique(found[i : i + 30])) for i in range(0, 120, 30)] == [1, 1, 1, 1]
    assert len(np.unique(found)) == 4


def test_rounds_turn_away_from_garbage() -> None:
    X, y, bad, _, _ = pool(7, 0.3)
    data = pixel_dataset(X, y)
    once, often = (KMQIterative(count=240, rounds=r).run(data, Signals(data)) for r in (1, 5))
    assert isinstance(once, Selection)
    assert isinstance(often, Selection)
    assert len(once) == len(often) == 240
    assert often.summary["rows_of_rounds"] == [48] * 5
    assert bad[often.rows].mean() < 0.6 * bad[once.rows].mean()
    assert bad[often.rows[-48:]].mean() < 0.5 * bad[often.rows[:48]].mean()


def test_quality_decides_where_there_are_no_labels() -> None:
    rng = np.random.default_rng(0)
    base = blobs(400, k=4, seed=3).data
    good = np.where(rng.random(400) < 0.5, 100.0, 1.0)
    table = base.table.append_column("good", pa.array(good))
    data = Dataset(table, {Role.EMBEDDING: ["x"]})
    plain = KMQIterative(count=80, clusters=8).run(data, Signals(data))
    asked = KMQIterative(count=80, clusters=8, quality="good").run(data, Signals(data))
    assert isinstance(plain, Selection)
    assert isinstance(asked, Selection)
    assert plain.summary["scored_by"] == "nothing"
    assert asked.summary["scored_by"] == "good"
    assert (good[asked.rows] > 1).mean() > 0.9
    assert (good[plain.rows] > 1).mean() < 0.7


def test_the_order_of_the_rows_does_not_change_who_is_drawn() -> None:
    """Within one cluster, so that k-means, which samples by position, plays no part."""
    data = blobs(120, seed=2).data
    order = np.random.default_rng(1).permutation(120)
    turned = data.take(order)
    plain, again = (KMQIterative(count=30, clusters=1, rounds=1).run(d, Signals(d)) for d in (data, turned))
    assert isinstance(plain, Selection)
    assert isinstance(again, Selection)
    assert plain.rows.tolist() == order[again.rows].tolist()


def test_bad_input() -> None:
    data = blobs(40).data
    for name, value in {"count": 0, "rounds": 0, "clusters": -1}.items():
        with pytest.raises(DrossError, match=name):
            KMQIterative(**{name: value}).run(data, Signals(data))
    with pytest.raises(DrossError, match="no column"):
        KMQIterative(quality="goood").run(data, Signals(data))
    bad = Dataset(data.table.append_column("q", pa.array([0.0] + [1.0] * 39)), data.roles)
    with pytest.raises(DrossError, match="quality") as told:
        KMQIterative(quality="q").run(bad, Signals(bad))
    assert told.value.where == "column 'q', row 0"
    none = data.slice(0, 0)
    assert isinstance(KMQIterative().run(none, Signals(none)), NotApplicable)
