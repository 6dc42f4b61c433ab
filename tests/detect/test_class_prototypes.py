"""Class prototypes: the mixture and the prototypes against slow forms, class-varying noise found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from dross.core.results import Findings, NotApplicable
from dross.core.signal import Signals
from dross.detect import class_prototypes as cp
from dross.detect.class_prototypes import ClassPrototypes
from dross.testing import check_method
from dross.testing.planted import blobs, digits, table_dataset


@settings(max_examples=50)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 3), st.integers(0, 10_000))
def test_mixture_step_equals_bayes_rule_group_by_group(n: int, k: int, f: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, groups, clean = rng.normal(size=(n, f)), rng.integers(0, k, n).astype(np.int32), rng.random(n)
    slow = np.empty(n)
    for g in range(k):
        here = np.flatnonzero(groups == g)
        density = []
        for share in (clean[here], 1 - clean[here]):
            if not len(here):
                break
            prior = np.clip(max(share.sum(), 1e-9) / len(here), 0.02, 0.98)
            mean = (share[:, None] * features[here]).sum(0) / max(share.sum(), 1e-9)
            away = (features[here] - mean) ** 2
            variance = (share[:, None] * away).sum(0) / max(share.sum(), 1e-9) + 0.3**2
            density.append(prior * np.prod(np.exp(-0.5 * away / variance) / np.sqrt(variance), axis=1))
        if len(here):
            slow[here] = density[0] / (density[0] + density[1])
    assert np.allclose(cp.mixture_step(features, groups, k, clean, 0.3), slow, atol=1e-6)


def test_loss_mixture_separates_two_heaps() -> None:
    rng = np.random.default_rng(0)
    losses = np.concatenate([rng.gamma(2, 0.1, 900), 3 + rng.normal(size=100) * 0.5])
    clean = cp.loss_mixture(losses)
    assert clean[:900].mean() > 0.97
    assert clean[900:].mean() < 0.03
    assert np.array_equal(cp.loss_mixture(np.ones(5)), np.full(5, cp.loss_mixture(np.ones(5))[0]))


def test_prototypes_are_linear_discriminants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cp, "_SHRINKAGE", 0.0)
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 600)
    X = (rng.normal(size=(3, 5))[labels] * 2 + rng.normal(size=(600, 5))).astype(np.float32)
    directions, offsets = cp.prototypes(X, labels, 3, np.ones(600))
    peer = LinearDiscriminantAnalysis(solver="lsqr", priors=np.full(3, 1 / 3)).fit(X, labels)
    assert ((X @ directions - offsets).argmax(1) == peer.predict(X)).mean() > 0.99


def test_rows_thought_noisy_do_not_move_the_prototypes() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 50)
    X = (labels[:, None] * 4 + rng.normal(size=(100, 3))).astype(np.float32)
    mixed = np.concatenate([X, X[:10] + 100])
    weights = np.concatenate([np.ones(100), np.zeros(10)])
    alone = cp.prototypes(X, labels, 2, np.ones(100))
    beside = cp.prototypes(mixed, np.concatenate([labels, np.zeros(10, int)]), 2, weights)
    assert all(np.allclose(a, b, atol=1e-3) for a, b in zip(alone, beside, strict=True))


def class_varying(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Digits whose classes are mislabelled at 10 to 60 %, mostly as one other class of their own."""
    from sklearn.datasets import load_digits

    X, truth = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    rates = rng.permutation(np.linspace(0.1, 0.6, 10))
    into = (np.arange(10)[:, None] + rng.permuted(np.tile(np.arange(1, 10), (10, 1)), axis=1)[:, :3]) % 10
    drawn = into[truth, rng.choice(3, len(truth), p=[0.5, 0.3, 0.2])]
    return X, truth, np.where(rng.random(len(truth)) < rates[truth], drawn, truth)


def test_beats_the_class_agnostic_mixture_under_class_varying_noise() -> None:
    X, truth, labels = class_varying(0)
    data = table_dataset(X, labels.astype(str))
    signals = Signals(data)
    found = ClassPrototypes().run(data, signals)
    assert isinstance(found, Findings)
    assert found.suggestion is not None
    wrong = labels != truth
    losses = -np.log(np.maximum(found.evidence["given_probability"], 1e-6))
    assert roc_auc_score(wrong, found.scores) > roc_auc_score(wrong, 1 - cp.loss_mixture(losses)) + 0.005
    assert (found.suggestion[wrong] == truth[wrong]).mean() > 0.8


def test_finds_planted_flips() -> None:
    planted = digits(flipped=0.2, seed=0)
    found = ClassPrototypes().run(planted.data, Signals(planted.data))
    assert isinstance(found, Findings)
    flagged = found.rows[found.scores >= 0.5]
    hits = np.isin(flagged, planted.rows).sum()
    assert 2 * hits / (len(flagged) + len(planted.rows)) > 0.9


def test_few_rows_for_many_classes_do_not_apply() -> None:
    data = blobs(60, k=15).data
    assert isinstance(ClassPrototypes().run(data, Signals(data)), NotApplicable)


def test_keeps_the_contract() -> None:
    check_method(ClassPrototypes)
