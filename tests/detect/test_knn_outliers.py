from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from tests.realdata import real

from dross.core.dataset import Dataset
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.knn_outliers import KnnOutliers, kth_distance, neighbourhood_distance
from dross.testing import check_method


def vectors(X: np.ndarray) -> Dataset:
    return Dataset(
        pa.table({f"x{j}": X[:, j] for j in range(X.shape[1])}), {Role.FEATURES: [f"x{j}" for j in range(X.shape[1])]}
    )


def test_averaging_by_hand() -> None:
    near = np.array([[1, 2], [0, 2], [0, 1], [0, 2]], np.int32)
    distances = np.array([[1, 2], [1, 1], [1, 2], [8, 9]], np.float32)
    own = np.array([2.0, 1.0, 2.0, 9.0])
    once = np.array([own[r].mean() for r in near])
    twice = np.array([once[r].mean() for r in near])
    assert np.allclose(neighbourhood_distance(near, distances), (own + once + twice) / 3)


def test_rows_without_neighbours_are_not_outliers_by_default() -> None:
    assert kth_distance(np.full((2, 3), np.inf, np.float32)).tolist() == [0.0, 0.0]
    near = np.full((2, 3), -1, np.int32)
    assert neighbourhood_distance(near, np.full((2, 3), np.inf, np.float32)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_outliers_are_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = np.vstack([rng.normal(size=(500, 6)), rng.uniform(-9, 9, size=(15, 6))])
    data = vectors(X)
    found = KnnOutliers().run(data, Signals(data))
    assert isinstance(found, Findings)
    truth = np.arange(515) >= 500
    assert roc_auc_score(truth, found.scores) > 0.97
    flagged = found.scores >= 0.5
    assert truth[flagged].mean() > 0.8
    assert flagged[truth].mean() > 0.8


@pytest.mark.parametrize("d", [8, 64])
def test_ordinary_data_has_hardly_any(d: int) -> None:
    data = vectors(np.random.default_rng(0).normal(size=(1500, d)))
    found = KnnOutliers().run(data, Signals(data))
    assert isinstance(found, Findings)
    assert (found.scores >= 0.5).mean() < 0.01


def test_few_rows_say_so() -> None:
    data = vectors(np.random.default_rng(0).normal(size=(5, 2)))
    assert isinstance(KnnOutliers().run(data, Signals(data)), NotApplicable)


@pytest.mark.data
def test_beside_isolation_forest_and_plain_distance_on_adbench() -> None:
    """Mean ROC-AUC and average precision over the small public tables; no labels are used."""
    figures: dict[str, list[tuple[float, float]]] = {"ours": [], "forest": [], "distance": []}
    for file in sorted(real("outliers_adbench").glob("*.npz")):
        with np.load(file) as stored:
            X, y = np.nan_to_num(stored["X"].astype(np.float64)), stored["y"].astype(int)
        if len(X) > 2500 or X.shape[1] > 100:
            continue
        X = StandardScaler().fit_transform(X)
        distances, near = NearestNeighbors(n_neighbors=10).fit(X).kneighbors()
        scores = {
            "ours": neighbourhood_distance(near.astype(np.int32), distances.astype(np.float32)),
            "forest": -IsolationForest(n_estimators=50, random_state=0).fit(X).score_samples(X),
            "distance": distances[:, -1],
        }
        for name, kept in figures.items():
            kept.append((roc_auc_score(y, scores[name]), average_precision_score(y, scores[name])))
    assert len(figures["ours"]) >= 6
    (auc, precision), (forest_auc, forest_precision), (_, distance_precision) = (
        np.mean(kept, axis=0) for kept in figures.values()
    )
    assert auc > forest_auc - 0.02
    assert precision > forest_precision - 0.02
    assert precision > distance_precision + 0.02


def test_contract() -> None:
    check_method(KnnOutliers)
