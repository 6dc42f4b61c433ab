"""Active learning: each strategy against a slow form, costs kept within the budget, bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.active_learning import (
    RIDGE,
    STRATEGIES,
    ActiveLearning,
    cover,
    error_reduction,
    margin_doubt,
    scatter,
)  # fmt: skip
from dross.testing import check_method
from dross.testing.planted import blobs

Array = np.ndarray


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 20), st.integers(1, 6), st.integers(0, 10_000))
def test_cover_is_farthest_first(n: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, known = rng.normal(size=(n, 3)).astype(np.float32), rng.normal(size=(2, 3)).astype(np.float32)
    taken: list[int] = []
    for _ in range(min(count, n)):
        centres = np.concatenate([known, X[taken]])
        away = np.linalg.norm(X[:, None] - centres[None], axis=2).min(axis=1)
        away[taken] = -1
        taken.append(int(away.argmax()))
    assert cover(X, known, np.ones(n), np.ones(n), count).tolist() == taken


def test_error_reduction_is_the_expected_move_of_refitted_ridge() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4)).astype(np.float32)
    probs = rng.dirichlet(np.ones(3), 30)
    known = np.arange(6)
    Z = np.concatenate([X / np.sqrt(np.square(X.astype(np.float64)).mean()), np.ones((30, 1))], axis=1)

    def fit(rows: Array, Y: Array) -> Array:
        return Z @ np.linalg.solve(Z[rows].T @ Z[rows] + RIDGE * np.eye(5), Z[rows].T @ Y)

    Y = np.eye(3)[rng.integers(0, 3, 6)]
    before = fit(known, Y)
    moves = []
    for x in range(6, 30):
        # the mean prediction at x is taken to be probs[x]: the label's deviation from it is what moves the fit
        move = 0.0
        unit = fit(np.append(known, x), np.vstack([Y, before[x] + 1])) - before
        for c in range(3):
            move += probs[x, c] * (unit[:, :1] ** 2 * np.square(np.eye(3)[c] - probs[x])).sum()
        moves.append(move)
    chosen = error_reduction(X, probs, known, np.arange(6, 30), np.ones(30), 3)
    assert chosen[0] == 6 + int(np.argmax(moves))
    assert len(set(chosen.tolist())) == 3


def test_scatter_never_takes_a_copy_of_a_known_row_first() -> None:
    X = np.array([[0, 0], [0, 0], [5, 5], [9, 0]], np.float32)
    for seed in range(20):
        assert set(scatter(X, X[:1], np.ones(4), np.ones(4), 2, np.random.default_rng(seed))) == {2, 3}


def test_doubt_of_many_classes_equals_sorting() -> None:
    P = np.random.default_rng(0).dirichlet(np.ones(6), 50)
    two = np.sort(P, axis=1)[:, -2:]
    assert np.allclose(margin_doubt(P), 1 - two[:, 1] + two[:, 0])


def partly_labelled(shown: int = 60) -> Dataset:
    plain = blobs(240, k=3, flipped=0.0, seed=1).data
    label = plain.table.column("label").to_pylist()
    table = plain.table.set_column(1, "label", pa.array([v if i < shown else None for i, v in enumerate(label)]))
    return Dataset(table.append_column("cost", pa.array(np.arange(240) % 5 + 1.0)), plain.roles)


def test_every_strategy_chooses_unlabelled_rows_within_the_budget() -> None:
    data = partly_labelled()
    signals = Signals(data)
    costs = data.numbers("cost")
    for strategy in STRATEGIES:
        found = ActiveLearning(strategy, 30.0, "cost").run(data, signals)
        again = ActiveLearning(strategy, 30.0, "cost").run(data, signals)
        assert isinstance(found, Selection)
        assert isinstance(again, Selection)
        assert np.array_equal(found.rows, again.rows)
        assert (data.codes[found.rows] < 0).all()
        assert 25 < costs[found.rows].sum() <= 30
        plain = ActiveLearning(strategy, 7).run(data, signals)
        assert isinstance(plain, Selection)
        assert len(plain) == 7
    assert ActiveLearning().run(data, signals).summary["strategy"] == "doubt-and-diversity"  # type: ignore[union-attr]


def test_without_labels_it_covers_the_content() -> None:
    data = partly_labelled()
    bare = Dataset(data.table, {Role.EMBEDDING: ["x"]})
    found = ActiveLearning(budget=9).run(bare, Signals(bare))
    assert isinstance(found, Selection)
    assert found.summary["strategy"] == "k-means++"
    assert len(found) == 9
    assert isinstance(ActiveLearning("margin").run(bare, Signals(bare)), NotApplicable)


def test_bad_input_is_named() -> None:
    data = partly_labelled()
    signals = Signals(data)
    with pytest.raises(DrossError, match="no strategy"):
        ActiveLearning("margins").run(data, signals)
    with pytest.raises(DrossError, match="no column"):
        ActiveLearning(cost="price").run(data, signals)
    with pytest.raises(DrossError, match="budget"):
        ActiveLearning(budget=0).run(data, signals)
    free = data.with_column("cost", pa.array(np.zeros(240)))
    with pytest.raises(DrossError, match="no cost above 0"):
        ActiveLearning(cost="cost").run(free, Signals(free))
    full = partly_labelled(240)
    assert isinstance(ActiveLearning().run(full, Signals(full)), NotApplicable)


def test_keeps_the_contract() -> None:
    check_method(ActiveLearning)
