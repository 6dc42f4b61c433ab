from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chi2_contingency, ks_2samp, mannwhitneyu, norm
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from dross.core.dataset import Dataset
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.split_drift import (
    SplitDrift,
    _chi_squared,
    _kolmogorov_smirnov,
    _mann_whitney,
    compare_columns,
    discriminate,
    neighbours_stay_apart,
)
from dross.testing import check_method


def parted(shift: float) -> tuple[Dataset, np.ndarray]:
    """400 training and 200 test rows, half of which are moved; and the moved rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 5))
    X[500:, 0] += shift
    table = pa.table({**{f"x{j}": X[:, j] for j in range(5)}, "part": ["train"] * 400 + ["test"] * 200})
    return Dataset(table, {Role.FEATURES: [f"x{j}" for j in range(5)], Role.SPLIT: ["part"]}), np.arange(500, 600)


def test_mann_whitney_is_scipys() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, 40).astype(float), rng.integers(1, 7, 30).astype(float)
    won, deviation, pairs = _mann_whitney(a, b)
    peer = mannwhitneyu(a, b, use_continuity=False, method="asymptotic")
    assert won == peer.statistic
    assert 2 * norm.sf(abs(won - pairs / 2) / deviation) == pytest.approx(peer.pvalue)


def test_column_tests_are_scipys() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=400), rng.normal(size=300) * 1.2
    ours, peer = _kolmogorov_smirnov(a, b), ks_2samp(a, b, method="asymp")
    assert ours["statistic"] == pytest.approx(peer.statistic)
    assert ours["p"] == pytest.approx(peer.pvalue, rel=0.1)
    table = rng.integers(5, 40, (2, 5)).astype(float)
    assert _chi_squared(table)["p"] == pytest.approx(chi2_contingency(table, correction=False).pvalue)


def test_p_values_hold_their_level_when_nothing_drifts() -> None:
    p, z = [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(160, 6)).astype(np.float32)
        second = np.arange(160) < 50
        p.append(discriminate(X, np.flatnonzero(~second), np.flatnonzero(second)).p)
        near = NearestNeighbors(n_neighbors=5).fit(X).kneighbors()[1].astype(np.int32)
        z.append(neighbours_stay_apart(near, second, np.ones(160, bool))[1])
    assert np.mean(np.array(p) < 0.05) < 0.12
    assert abs(np.mean(z)) < 0.3
    assert 0.8 < np.std(z) < 1.25


def test_a_shift_is_told_by_the_classifier_and_its_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 4)).astype(np.float32)
    second = np.arange(3000) >= 2000
    X[second, 0] += 1.0
    told = discriminate(X, np.flatnonzero(~second), np.flatnonzero(second))
    assert told.p < 1e-6
    assert told.low < 0.7602 < told.high  # Φ(1/√2), the AUC of two unit normals one apart
    assert roc_auc_score(second, told.evidence) == pytest.approx(told.auc, abs=0.01)


def test_neighbours_see_what_a_line_cannot() -> None:
    """A ring around a blob: the means are the same."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 2))
    X[300:] = 3 * X[300:] / np.linalg.norm(X[300:], axis=1, keepdims=True)
    second = np.arange(600) >= 300
    told = discriminate(X.astype(np.float32), np.flatnonzero(~second), np.flatnonzero(second))
    near = NearestNeighbors(n_neighbors=10).fit(X).kneighbors()[1].astype(np.int32)
    assert told.auc < 0.6
    assert neighbours_stay_apart(near, second, np.ones(600, bool))[1] > 10


def test_columns_that_differ_are_named_first() -> None:
    rng = np.random.default_rng(0)
    n = 1000
    columns = {
        "same": pa.chunked_array([rng.normal(size=n)]),
        "wider": pa.chunked_array([rng.normal(size=n) * np.where(np.arange(n) < 600, 1, 2)]),
        "colour": pa.chunked_array([np.where(rng.random(n) < np.where(np.arange(n) < 600, 0.5, 0.8), "red", "blue")]),
        "gaps": pa.chunked_array(
            [pa.array(rng.normal(size=n), mask=rng.random(n) < np.where(np.arange(n) < 600, 0, 0.2))]
        ),
        "text": pa.chunked_array([[f"free text {i}" for i in range(n)]]),
    }
    found = compare_columns(iter(columns.items()), np.arange(600), np.arange(600, n))
    different = {(c["column"], c["test"]) for c in found if c["p"] < 0.01}
    assert different == {("wider", "Kolmogorov-Smirnov"), ("colour", "chi-squared"), ("gaps", "missing values")}
    assert [c["p"] for c in found] == sorted(c["p"] for c in found)
    assert "text" not in {c["column"] for c in found}


def test_rows_of_a_drifted_part_are_scored() -> None:
    data, odd = parted(shift=4.0)
    found = SplitDrift().run(data, Signals(data))
    assert isinstance(found, Findings)
    assert found.summary["drift"] is True
    facts = found.summary["parts"]["test"]
    assert facts["auc"] > 0.6
    assert set(found.rows.tolist()) == set(range(400, 600))
    flagged = found.rows[found.scores >= 0.5]
    assert np.isin(flagged, odd).mean() > 0.9
    assert np.isin(odd, flagged).mean() > 0.5


def test_parts_of_one_source_have_no_findings() -> None:
    data, _ = parted(shift=0.0)
    found = SplitDrift().run(data, Signals(data))
    assert isinstance(found, Findings)
    assert len(found) == 0
    assert found.summary["drift"] is False


def test_a_shift_of_the_labels_is_named() -> None:
    rng = np.random.default_rng(3)
    n = 800
    part = np.where(np.arange(n) < 500, "train", "test")
    label = np.where(rng.random(n) < np.where(part == "train", 0.5, 0.8), "yes", "no")
    table = pa.table({"x": rng.normal(size=n), "label": label, "part": part})
    data = Dataset(table, {Role.FEATURES: ["x"], Role.LABEL: ["label"], Role.SPLIT: ["part"]})
    found = SplitDrift().run(data, Signals(data))
    assert isinstance(found, Findings)
    facts = found.summary["parts"]["test"]
    assert [c["column"] for c in facts["columns"]] == ["label"]
    assert facts["differs"] is True
    assert facts["drift"] is False


def test_one_part_is_nothing_to_compare() -> None:
    data, _ = parted(shift=0.0)
    alone = data.slice(0, 300)
    assert isinstance(SplitDrift().run(alone, Signals(alone)), NotApplicable)


def test_contract() -> None:
    check_method(SplitDrift)
