from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.calibrate.plant_label import (
    draw_labels,
    model_outputs,
    noise_rates,
    pick,
    plant,
    rounds_for,
    spread,
    with_codes,
)
from dross.calibrate.planting import Planting
from dross.core.dataset import Dataset
from dross.core.results import Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.neighbours import Neighbours
from dross.signals.probabilities import Probabilities
from tests.calibrate.standins import overlapping


def variants(data: Dataset, signals: Signals, issue: Issue = Issue.LABEL, seed: int = 0) -> list[Planting]:
    planted = plant(data, signals, issue, np.random.default_rng(seed))
    assert not isinstance(planted, NotApplicable)
    return list(planted)


def test_only_the_labels_of_the_planted_rows_change() -> None:
    data, _ = overlapping(400, noise=0.1, seed=0)
    for variant in variants(data, Signals(data)):
        assert variant.data.classes == data.classes
        changed = np.flatnonzero(variant.data.codes != data.codes)
        assert changed.tolist() == variant.rows.tolist()
        assert np.array_equal(variant.data.row_ids, data.row_ids)
        assert variant.strata is not None
        assert np.array_equal(variant.strata[0], variant.data.codes[variant.rows])


def test_the_models_outputs_stay_those_of_the_data() -> None:
    data, _ = overlapping(300, noise=0.1, seed=0)
    plain = Dataset(data.table, {Role.EMBEDDING: ["x"], Role.LABEL: ["label"]})
    signals = Signals(plain)
    probs = signals[Probabilities()]
    assert Probabilities in model_outputs(signals)
    variant = variants(plain, signals)[0]
    assert np.array_equal(variant.signals[Probabilities()], probs)


def test_planted_rows_are_no_neighbours_of_each_other() -> None:
    data, _ = overlapping(600, noise=0.0, seed=1)
    signals = Signals(data)
    near = signals[Neighbours()].indices
    for variant in variants(data, signals):
        planted = np.zeros(len(data), bool)
        planted[variant.rows] = True
        assert not planted[near[variant.rows]].any()


def test_rows_are_chosen_whatever_their_place() -> None:
    data, _ = overlapping(500, noise=0.0, seed=2)
    rows = np.concatenate([v.rows for v in variants(data, Signals(data))])
    counts = np.bincount(rows // 50, minlength=10)
    assert counts.min() > 0.5 * counts.mean()


def test_rates_are_those_of_the_labels_not_of_the_models_doubts() -> None:
    data, _ = overlapping(20_000, noise=0.2, seed=3, spread=1.2)
    probs = Signals(data)[Probabilities()]
    rates = noise_rates(data.codes, np.asarray(probs))
    assert rates.sum(axis=1) == pytest.approx(np.full(3, 0.2), abs=0.03)
    assert np.diag(rates).tolist() == [0, 0, 0]


def test_rates_of_pairwise_noise_follow_the_pairs() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 8000)
    flip = rng.random(8000) < 0.1
    codes = np.where(flip, (truth + 1) % 4, truth).astype(np.int32)
    probs = np.full((8000, 4), 0.02)
    probs[np.arange(8000), truth] = 0.94
    rates = noise_rates(codes, probs)
    for c in range(4):
        assert rates[c].argmax() == (c + 1) % 4
        assert rates[c].max() == pytest.approx(0.1, abs=0.02)


@given(st.integers(2, 9), st.integers(0, 1000))
def test_drawn_labels_are_other_labels(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, k, 50).astype(np.int32)
    rates = rng.random((k, k)) * (1 - np.eye(k))
    for table in (rates, np.ones((1, k)), np.zeros((k, k))):
        drawn = draw_labels(codes, table, rng)
        assert (drawn != codes).all()
        assert ((drawn >= 0) & (drawn < k)).all()


def test_labels_are_drawn_by_the_rates() -> None:
    rng = np.random.default_rng(0)
    rates = np.array([[0.0, 3.0, 1.0], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    drawn = draw_labels(np.zeros(8000, np.int32), rates, rng)
    assert (drawn == 1).mean() == pytest.approx(0.75, abs=0.03)
    assert (draw_labels(np.ones(50, np.int32), rates, rng) == 0).all()


def test_picks_follow_the_weights() -> None:
    rng = np.random.default_rng(0)
    weights = np.repeat([1.0, 4.0], 500)
    counts = sum(np.bincount(pick(weights, 20, rng), minlength=1000) for _ in range(200))
    assert counts[500:].sum() / counts[:500].sum() == pytest.approx(4, rel=0.2)
    assert len(set(pick(weights, 1000, rng).tolist())) == 1000


@pytest.mark.parametrize("n", [20, 150, 2000, 50_000, 5_000_000])
def test_rounds(n: int) -> None:
    at_once, rounds = rounds_for(n, 16)
    assert 1 <= at_once <= max(1, 0.05 * n)
    assert 1 <= rounds <= 16
    assert at_once * rounds <= 6000


def test_spread_without_neighbours_keeps_all() -> None:
    data, _ = overlapping(50, noise=0.0, seed=0)
    rows = np.array([1, 2, 3])
    assert spread(rows, Signals(data), 50) is rows


@pytest.mark.parametrize(
    "labels",
    [
        pa.array(["b", "a", None, "c"] * 10),
        pa.array([3, 1, None, 2] * 10, pa.int16()),
        pa.array([0.5, 0.25, None, 1.5] * 10),
        pa.array([True, False, None, True] * 10),
        pa.array(["b", "a", None, "c"] * 10).dictionary_encode(),
        pa.array([b"x", b"a", None, b"b"] * 10),
    ],
)
def test_labels_of_every_type(labels: pa.Array) -> None:
    data = Dataset(pa.table({"x": np.arange(40.0), "y": labels}), {Role.FEATURES: ["x"], Role.LABEL: ["y"]})
    k = len(data.classes)
    changed = np.where(data.codes >= 0, (data.codes + 1) % k, -1).astype(np.int32)
    new = with_codes(data, changed)
    assert new.table.schema.equals(data.table.schema)
    assert np.array_equal(new.codes, changed)
    for variant in variants(data, Signals(data)):
        assert (data.codes[variant.rows] >= 0).all()


def test_no_class_vanishes() -> None:
    labels = ["rare", *["a", "b"] * 30]
    data = Dataset(pa.table({"x": np.arange(61.0), "y": labels}), {Role.FEATURES: ["x"], Role.LABEL: ["y"]})
    for seed in range(30):
        for variant in variants(data, Signals(data), seed=seed):
            assert variant.data.classes == ["a", "b", "rare"]


def test_what_cannot_be_planted() -> None:
    rng = np.random.default_rng(0)
    roles = {Role.FEATURES: ["x"], Role.LABEL: ["y"]}
    one = Dataset(pa.table({"x": np.arange(30.0), "y": ["a"] * 30}), roles)
    few = Dataset(pa.table({"x": np.arange(4.0), "y": ["a", "b"] * 2}), roles)
    none = Dataset(pa.table({"x": np.arange(30.0)}), {Role.FEATURES: ["x"]})
    for data in (one, few, none):
        assert isinstance(plant(data, Signals(data), Issue.LABEL, rng), NotApplicable)
