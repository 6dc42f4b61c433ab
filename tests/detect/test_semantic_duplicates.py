from __future__ import annotations

import numpy as np

from dross.core.dataset import Dataset
from dross.core.results import Findings, NotApplicable
from dross.core.signal import Signals
from dross.detect.semantic_duplicates import SemanticDuplicates
from dross.testing.check_method import check_method
from dross.testing.planted import blobs, table_dataset


def found_in(data: Dataset, signals=None):
    found = SemanticDuplicates().run(data, signals or Signals(data))
    assert isinstance(found, Findings)
    return found


def unit(X):
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def test_contract():
    check_method(SemanticDuplicates)


def test_shifted_copies_are_found_in_clusters_of_any_tightness():
    rng = np.random.default_rng(0)
    centres, of = rng.normal(size=(6, 16)), rng.integers(0, 6, 900)
    X = centres[of] + rng.normal(size=(900, 16)) * (0.02 * 2.0**of)[:, None]
    near = np.array([np.sort(np.linalg.norm(X - X[i], axis=1))[1] for i in range(60)])
    step = rng.normal(size=(60, 16))
    step *= 0.1 * (near / np.linalg.norm(step, axis=1))[:, None]
    data = table_dataset(unit(np.concatenate([X, X[:60] + step])), ["a"] * 960)
    found = found_in(data)
    hits = found.rows >= 900
    assert hits.sum() >= 55
    assert (~hits).sum() <= 2
    assert (found.suggestion[hits] == found.rows[hits] - 900).all()
    assert np.isfinite(found.evidence["distance"]).all()


def test_clusters_by_themselves_raise_no_alarm():
    alarms = [len(found_in(blobs(600, d=d, spread=s, seed=d).data)) for d in (3, 8, 30) for s in (0.05, 1.0)]
    assert sum(alarms) <= 2


def test_an_appended_copy_is_the_finding():
    X = np.random.default_rng(0).normal(size=(200, 10)).astype(np.float32)
    data = table_dataset(X, ["a"] * 200)
    signals = Signals(data)
    assert len(found_in(data, signals)) == 0
    grown = table_dataset(np.concatenate([X, X[[11]] + np.float32(0.001)]), ["a"] * 201)
    found = found_in(grown, signals.derive(grown))
    assert (found.rows.tolist(), found.suggestion.tolist()) == ([200], [11])


def test_equal_rows_are_left_to_exact_duplicates():
    X = np.random.default_rng(0).normal(size=(100, 6))
    X[60:70] = X[:10]
    assert len(found_in(table_dataset(X, ["a"] * 100))) == 0


def test_too_little_to_go_by():
    few = blobs(5, k=2).data
    assert isinstance(SemanticDuplicates().run(few, Signals(few)), NotApplicable)
    constant = table_dataset(np.ones((50, 3)), ["a"] * 50)
    assert isinstance(SemanticDuplicates().run(constant, Signals(constant)), NotApplicable)
