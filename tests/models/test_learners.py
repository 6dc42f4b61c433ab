from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import make_blobs
from sklearn.metrics import roc_auc_score

from dross.models.classifiers import BoostedTrees, Logistic, complete
from dross.models.kernel_ridge import KernelRidge, gaussian, whitening, width
from dross.models.learner import Learner, Target, out_of_fold
from dross.models.ngram_linear import NgramLinear, residual


def problem(n: int = 200, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X, y = make_blobs(n, 5, centers=k, cluster_std=2.0, random_state=seed)
    return X.astype(np.float32), y.astype(np.int32), (np.arange(n) % 5).astype(np.int32)


@pytest.mark.parametrize("family", [KernelRidge, Logistic, BoostedTrees, NgramLinear])
def test_each_family_predicts_rows_it_has_not_seen(family: type[Learner]) -> None:
    X, y, fold = problem()
    features = csr_matrix(np.abs(X)) if family is NgramLinear else X
    learner = family(features, Target.classes(y, 3), fold)
    nobody = np.zeros(len(y), bool)
    scores = out_of_fold(learner, learner.strengths[0], lambda rows: features[rows], fold, 5, nobody)
    assert scores.dtype == np.float32
    assert (scores.argmax(axis=1) == y).mean() > 0.8
    again = out_of_fold(learner, learner.strengths[0], lambda rows: features[rows], fold, 5, nobody)
    assert np.array_equal(scores, again)


@pytest.mark.parametrize("family", [KernelRidge, Logistic, BoostedTrees, NgramLinear])
def test_a_model_does_not_see_the_labels_it_predicts(family: type[Learner]) -> None:
    X, y, fold = problem()
    features = csr_matrix(np.abs(X)) if family is NgramLinear else X
    changed = np.where(fold == 2, (y + 1) % 3, y).astype(np.int32)
    held = np.flatnonzero(fold == 2)
    scores = []
    for labels in (y, changed):
        learner = family(features, Target.classes(labels, 3), fold)
        scores.append(learner.without(2, learner.strengths[0])(features[held]))
    assert np.allclose(scores[0], scores[1], atol=1e-3)


def test_rows_without_a_label_get_the_mean_of_all_models() -> None:
    X, y, fold = problem()
    learner = Logistic(X[:150], Target.classes(y[:150], 3), fold[:150])
    free = np.arange(200) >= 150
    scores = out_of_fold(learner, 0.03, lambda rows: X[rows], fold, 5, free)
    mean = np.mean([learner.without(f, 0.03)(X[150:]) for f in range(5)], axis=0)
    assert np.allclose(scores[150:], mean, atol=1e-5)


def test_kernel_ridge_is_ridge_on_the_kernel() -> None:
    X, y, fold = problem(60)
    learner = KernelRidge(X, Target.classes(y, 3), fold)
    kept, held = np.flatnonzero(fold != 1), np.flatnonzero(fold == 1)
    gamma = width(X)
    Z = (gaussian(X, X, gamma) @ whitening(gaussian(X, X, gamma))).astype(np.float64)
    Y = np.eye(3)[y] - np.eye(3)[y].mean(axis=0)
    weights = np.linalg.solve(Z[kept].T @ Z[kept] + 0.3 * np.eye(Z.shape[1]), Z[kept].T @ Y[kept])
    expected = Z[held] @ weights + np.eye(3)[y].mean(axis=0)
    assert np.allclose(learner.without(1, 0.3)(X[held]), expected, atol=2e-3)


def test_constant_features_and_one_class_do_not_break_a_family() -> None:
    fold = (np.arange(40) % 5).astype(np.int32)
    two = (np.arange(40) % 2).astype(np.int32)
    one = np.zeros(40, np.int32)
    flat = np.ones((40, 3), np.float32)
    for family in (KernelRidge, Logistic, BoostedTrees):
        for codes in (one, two):
            learner = family(flat, Target.classes(codes, 2), fold)
            assert np.isfinite(learner.without(0, learner.strengths[0])(flat)).all()


def test_a_class_that_was_not_seen_is_the_least_likely() -> None:
    scores = complete(np.array([[1.0, 3.0]]), np.array([1, 2]), 4)
    assert scores.argmin() in (0, 3)
    assert scores[0, 0] < 1.0


def test_the_residual_is_the_gradient_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=5).astype(np.float32), np.array([1, 3], np.int32)
    soft = np.exp(scores) / np.exp(scores).sum()
    p = scores.copy()
    size = residual.function(p, labels, 0, 1, True)
    assert np.allclose(p, soft - np.eye(5)[1], atol=1e-5)
    assert np.isclose(size, np.square(p).sum())
    p = scores.copy()
    residual.function(p, labels, 0, 2, False)
    assert np.allclose(p, 1 / (1 + np.exp(-scores)) - np.eye(5)[[1, 3]].sum(axis=0), atol=1e-5)


def test_several_labels_on_sparse_rows() -> None:
    rng = np.random.default_rng(0)
    X = csr_matrix((rng.random((400, 12)) < 0.3).astype(np.float32))
    given = X[:, :3].toarray() > 0
    fold = (np.arange(400) % 5).astype(np.int32)
    learner = NgramLinear(X, Target(csr_matrix(given, dtype=np.float32), "labels"), fold)
    scores = out_of_fold(learner, 0.5, lambda rows: X[rows], fold, 5, np.zeros(400, bool))
    assert roc_auc_score(given, scores) > 0.95
