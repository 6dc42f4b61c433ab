"""Label budget: the leave-one-out ridge against refitting, purchases, noise read from votes, the regime, bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Metrics, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.label_budget import (
    PENALTIES,
    LabelBudget,
    corrupt,
    extrapolate,
    mixing_gain,
    purchase,
    ridge_towards,
)
from dross.testing import check_method
from dross.testing.planted import blobs, table_dataset


def test_ridge_takes_the_penalty_of_least_error_when_refitted_without_each_row() -> None:
    rng = np.random.default_rng(0)
    Z, prior = rng.normal(size=(25, 6)), rng.normal(size=(6, 2))
    Y = Z @ (prior + 0.3 * rng.normal(size=(6, 2))) + rng.normal(size=(25, 2))

    def fit(rows: np.ndarray, penalty: float) -> np.ndarray:
        A, R = Z[rows], Y[rows] - Z[rows] @ prior
        return prior + np.linalg.solve(A.T @ A + penalty * np.eye(6), A.T @ R)

    everyone = np.arange(25)
    losses = {}
    for penalty in PENALTIES:
        left = [Y[i] - Z[i] @ fit(np.delete(everyone, i), penalty) for i in range(25)]
        losses[penalty] = np.square(left).mean()
    best = min(losses, key=losses.__getitem__)
    assert losses[best] < np.square(Y - Z @ prior).mean()
    assert np.allclose(ridge_towards(Z, Y, prior), fit(everyone, best))
    assert np.array_equal(ridge_towards(Z[:0], Y[:0], prior), prior)


@settings(max_examples=50)
@given(st.floats(1, 1e5), st.floats(1, 100), st.floats(0, 1))
def test_a_purchase_stays_within_the_budget(budget: float, ratio: float, share: float) -> None:
    weak, right = purchase(budget, ratio, share)
    assert weak + ratio * right <= budget * (1 + 1e-6) + 1e-6
    assert weak + ratio * right > budget - ratio - 1.001


def test_noise_follows_the_confusion() -> None:
    confusion = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.3, 0.3, 0.4]])
    codes = np.repeat([0, 1, 2], 4000).astype(np.int32)
    given = corrupt(codes, confusion, np.random.default_rng(0))
    seen = np.stack([np.bincount(given[codes == c], minlength=3) / 4000 for c in range(3)])
    assert np.allclose(seen, confusion, atol=0.03)


def test_mixing_gain_is_not_flattered_by_the_choice_among_mixes() -> None:
    rng = np.random.default_rng(0)
    gains = [mixing_gain(0.8 + 0.05 * rng.normal(size=(12, 5)))[0] for _ in range(200)]
    assert abs(np.mean(gains)) < 0.005


def test_extrapolation_follows_a_power_law() -> None:
    sizes = np.array([20.0, 40, 80, 160, 320])
    assert extrapolate(sizes, 0.05 + sizes**-0.7, 5000) == pytest.approx(0.05 + 5000**-0.7, abs=1e-3)


def parity() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))[:700]
    return X[order] / 16, y[order] % 2


def test_names_the_two_regimes() -> None:
    X, y = parity()
    data = table_dataset(X, y.astype(str))
    signals = Signals(data)
    many = LabelBudget(300, 20, 0.2, repeats=8).run(data, signals)
    few = LabelBudget(300, 3, 0.4, repeats=8).run(data, signals)
    again = LabelBudget(300, 3, 0.4, repeats=8).run(data, signals)
    assert isinstance(many, Metrics)
    assert isinstance(few, Metrics)
    assert isinstance(again, Metrics)
    assert many.summary["better_alone"] == "quantity"
    assert few.summary["better_alone"] == "quality"
    assert few.values == again.values
    assert few.summary["right_labels"] == 100
    far = LabelBudget(2000, 20, 0.2, repeats=4).run(data, signals)
    assert isinstance(far, Metrics)
    assert far.summary["budget_tried"] == 467
    assert 0.8 < far.summary["extrapolated"]["quality"] <= 1


def test_measures_the_noise_from_votes() -> None:
    plain = blobs(300, k=3, flipped=0.0, seed=1)
    rng = np.random.default_rng(0)
    assert plain.truth is not None
    wrong = rng.random(300) < 0.3
    vote = [
        f"class {(t + w) % 3}" if s else None for t, w, s in zip(plain.truth, wrong, rng.random(300) < 0.8, strict=True)
    ]
    table = plain.data.table.append_column("source", pa.array(vote))
    data = Dataset(table, {**plain.data.roles, Role.VOTES: ["source"]})
    found = LabelBudget(repeats=4).run(data, Signals(data))
    assert isinstance(found, Metrics)
    assert found.summary["noise"] == pytest.approx(0.3, abs=0.06)


def test_what_does_not_apply_says_why() -> None:
    data = blobs(200, k=3).data
    signals = Signals(data)
    assert isinstance(LabelBudget().run(data, signals), NotApplicable)
    assert isinstance(LabelBudget(noise=0.3, budget=15, cost_ratio=10).run(data, signals), NotApplicable)
    few = data.slice(0, 30)
    assert isinstance(LabelBudget(noise=0.3).run(few, Signals(few)), NotApplicable)
    with pytest.raises(DrossError, match="cost_ratio"):
        LabelBudget(cost_ratio=0.5).run(data, signals)


def test_keeps_the_contract() -> None:
    check_method(LabelBudget)
