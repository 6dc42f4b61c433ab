from __future__ import annotations

from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import kstest, norm
from sklearn.neighbors import NearestNeighbors

from dross.core.dataset import Dataset
from dross.core.graph import edges_of
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.row_order import RowOrder, change_point, label_runs, order_test
from dross.testing import check_method
from dross.testing.planted import blobs, table_dataset


def graph(X: np.ndarray, k: int = 10) -> np.ndarray:
    return NearestNeighbors(n_neighbors=k).fit(X).kneighbors()[1].astype(np.int32)


def test_moments_of_the_statistic_are_those_of_all_orders() -> None:
    near = np.array([[1, 2], [0, 2], [1, -1], [4, 0], [3, 5], [3, 4]], np.int32)
    edges = edges_of(near, np.ones(6, bool))
    totals = []
    for order in permutations(range(6)):
        place = np.array(order)
        totals.append(np.abs(place[edges.tails] - place[edges.heads]).sum())
    share, z = order_test(edges, np.arange(6))
    mine = np.abs(edges.tails - edges.heads).sum()
    assert share == pytest.approx(mine / np.mean(totals))
    assert z == pytest.approx((mine - np.mean(totals)) / np.std(totals))


def test_p_values_are_uniform_when_the_order_means_nothing() -> None:
    z = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(150, 3))
        z.append(order_test(edges_of(graph(X), np.ones(150, bool)), np.arange(150))[1])
    assert kstest(norm.cdf(z), "uniform").pvalue > 0.001


def test_a_drift_and_its_change_point_are_found() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(600, 5))
    X[400:] += 1.0
    edges = edges_of(graph(X), np.ones(600, bool))
    assert order_test(edges, np.arange(600))[1] < -5
    place, z = change_point(edges, np.arange(600))
    assert abs(place - 400) < 15
    assert z > 5


def test_label_runs_have_the_moments_of_all_orders() -> None:
    codes = np.array([0, 0, 1, 1, 1, 2], np.int32)
    equal = [(np.diff(codes[list(order)]) == 0).sum() for order in permutations(range(6))]
    share, expected, z = label_runs(codes)
    assert share == pytest.approx(3 / 5)
    assert expected == pytest.approx(np.mean(equal) / 5)
    assert z == pytest.approx((3 - np.mean(equal)) / np.std(equal))


def test_sorted_by_label_is_said_and_shuffled_is_not() -> None:
    planted = blobs(300, flipped=0.0, seed=4)
    assert planted.truth is not None
    ordered = planted.data.take(np.argsort(planted.truth, kind="stable"))
    for data, expected in ((planted.data, False), (ordered, True)):
        found = RowOrder().run(data, Signals(data))
        assert isinstance(found, Findings)
        assert len(found) == 0
        assert found.summary["ordered"] is expected
        assert found.summary["by_label"] is expected


def test_only_the_training_part_is_looked_at() -> None:
    """Rows of a shifted test part stand at the end: that is drift between splits, not order."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(300, 5)) + np.repeat([[0.0], [4.0]], [200, 100], axis=0)
    data = table_dataset(X, ["a"] * 300)
    split = pa.array(["train"] * 200 + ["test"] * 100)
    data = Dataset(data.table.append_column("part", split), {**data.roles, Role.SPLIT: ["part"]})
    found = RowOrder().run(data, Signals(data))
    assert isinstance(found, Findings)
    assert found.summary["rows"] == 200
    assert found.summary["ordered"] is False


def test_few_rows_say_so() -> None:
    data = blobs(12).data
    assert isinstance(RowOrder().run(data, Signals(data)), NotApplicable)


def test_contract() -> None:
    check_method(RowOrder)
