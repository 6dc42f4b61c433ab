from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from tests.realdata import real

from dross.core.dataset import Dataset
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect import out_of_distribution as module
from dross.detect.out_of_distribution import OutOfDistribution, fit_classes, relative_distance
from dross.testing import check_method
from dross.testing.planted import blobs, table_dataset


def by_the_paper(X: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """min_k MD_k - MD_0 with full matrices, the whole covariance being the within plus the between one."""
    k, n, d = labels.max() + 1, *X.shape
    means = np.stack([X[labels == c].mean(0) for c in range(k)])
    within = (X - means[labels]).T @ (X - means[labels]) / n
    within = (1 - module.SHRINKAGE) * within + module.SHRINKAGE * np.trace(within) / d * np.eye(d)
    away = means - X.mean(0)
    whole = within + (away * np.bincount(labels)[:, None]).T @ away / n
    classes = [np.einsum("nd,de,ne->n", rows - m, np.linalg.inv(within), rows - m) for m in means]
    everything = np.einsum("nd,de,ne->n", rows - X.mean(0), np.linalg.inv(whole), rows - X.mean(0))
    return np.min(classes, axis=0) - everything


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_few_directions_give_the_papers_distance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(4), rng.integers(0, 4, 196)]).astype(np.int32)
    X = (rng.normal(size=(4, 9))[labels] * 2 + rng.normal(size=(200, 9))).astype(np.float32)
    rows = rng.normal(size=(50, 9)).astype(np.float32) * 3
    got, nearest = relative_distance(fit_classes(X, labels), rows, np.full(50, -1, np.int32))
    assert np.allclose(got, by_the_paper(X.astype(float), labels, rows.astype(float)), rtol=1e-3, atol=1e-2)
    assert nearest.min() >= 0


def test_a_row_is_left_out_of_its_own_mean() -> None:
    X = np.array([[0.0, 0], [2, 0], [0, 9], [2, 9], [1, 9]], np.float32)
    labels = np.array([0, 0, 1, 1, 1], np.int32)
    model = fit_classes(X, labels)
    alone, _ = relative_distance(model, X, np.full(5, -1, np.int32))
    without, _ = relative_distance(model, X, labels)
    assert (without >= alone - 1e-5).all()


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 100).astype(np.int32)
    X = rng.normal(size=(100, 5)).astype(np.float32)
    model = fit_classes(X, labels)
    whole = relative_distance(model, X, labels)[0]
    monkeypatch.setattr(module, "CHUNK", 35)
    assert np.allclose(whole, relative_distance(model, X, labels)[0], atol=1e-4)


def test_a_hidden_class_is_found_among_rows_with_random_labels() -> None:
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    hidden = np.isin(y, [3, 7])
    rows = np.concatenate([np.flatnonzero(~hidden), rng.choice(np.flatnonzero(hidden), 60, replace=False)])
    labels = np.where(hidden[rows], rng.choice([0, 1, 2, 4, 5, 6, 8, 9], len(rows)), y[rows])
    data = table_dataset(X[rows], labels)
    signals = Signals(data)
    found = OutOfDistribution().run(data, signals)
    assert isinstance(found, Findings)
    unit = X[rows] / np.linalg.norm(X[rows], axis=1, keepdims=True)
    distance = NearestNeighbors(n_neighbors=10).fit(unit).kneighbors()[0].mean(1)
    ours = roc_auc_score(hidden[rows], found.scores)
    assert ours > 0.9
    assert ours > roc_auc_score(hidden[rows], distance) + 0.02  # it is not the neighbour distance again


def test_only_training_rows_teach_but_all_rows_are_scored() -> None:
    planted = blobs(200, flipped=0.0, seed=1)
    odd = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    rows = pa.table(
        {"x": pa.FixedSizeListArray.from_arrays(pa.array(odd.ravel()), 8), "label": pa.array([None] * 20, pa.string())}
    )
    data = planted.data.append(rows)
    split = pa.array(["train"] * 150 + ["test"] * 70)
    data = Dataset(data.table.append_column("part", split), {**data.roles, Role.SPLIT: ["part"]})
    found = OutOfDistribution().run(data, Signals(data))
    assert isinstance(found, Findings)
    assert len(found) == 220
    assert found.summary["reference_rows"] == 150
    assert roc_auc_score(np.arange(220) >= 200, found.scores) > 0.8


def test_nothing_to_compare_with() -> None:
    one = blobs(40, k=1, flipped=0.0).data
    assert isinstance(OutOfDistribution().run(one, Signals(one)), NotApplicable)
    alike = table_dataset(np.ones((30, 4)), ["a", "b"] * 15)
    assert isinstance(OutOfDistribution().run(alike, Signals(alike)), NotApplicable)


@pytest.mark.data
def test_out_of_scope_questions_are_found_better_than_by_distance() -> None:
    table = pl.read_parquet(real("intent_clinc150_oos") / "clinc150.parquet")
    train = table.filter(pl.col("split") == "train")
    test = table.filter(pl.col("split").is_in(["test", "oos_test"]))
    tfidf = TfidfVectorizer(sublinear_tf=True, min_df=2)
    svd = TruncatedSVD(96, n_iter=1, random_state=0)
    X = svd.fit_transform(tfidf.fit_transform(train["text"].to_list()))
    rows = svd.transform(tfidf.transform(test["text"].to_list()))
    X, rows = (M / np.maximum(np.linalg.norm(M, axis=1, keepdims=True), 1e-9) for M in (X, rows))
    labels = np.unique(train["intent"].to_numpy(), return_inverse=True)[1].astype(np.int32)
    oos = (test["split"] == "oos_test").to_numpy()
    model = fit_classes(X.astype(np.float32), labels)
    ours = relative_distance(model, rows.astype(np.float32), np.full(len(rows), -1, np.int32))[0]
    distance = np.sqrt(np.maximum(2 - 2 * np.sort(rows @ X[::5].T, axis=1)[:, -4:], 0)).mean(1)
    assert roc_auc_score(oos, ours) > 0.7
    assert roc_auc_score(oos, ours) > roc_auc_score(oos, distance) + 0.05


def test_contract() -> None:
    check_method(OutOfDistribution)
