from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.target_leakage import TargetLeakage, bin_numbers, explained, strength
from dross.testing.check_method import check_method

RNG = np.random.default_rng(0)
N = 600
Y = RNG.integers(0, 3, N)
DAY = datetime.date(2024, 1, 1)
LEAKS = {
    "the label as a number": pa.array(Y),
    "a noisy copy": pa.array(Y + RNG.normal(size=N) * 0.1),
    "one class between two others": pa.array(np.choose(Y, [0.0, 10.0, 5.0]) + RNG.normal(size=N)),
    "other words for it": pa.array([("red", "green", "blue")[y] for y in Y]),
    "dates by class": pa.array([DAY + datetime.timedelta(days=int(400 * y + RNG.integers(300))) for y in Y]),
    "ids with a stem": pa.array([f"{'cat dog cow'.split()[y]}_{i:04d}" for i, y in enumerate(Y)]),
    "a dictionary": pa.array([("red", "green", "blue")[y] for y in Y]).dictionary_encode(),
}
HONEST = {
    "noise": pa.array(RNG.normal(size=N)),
    "a weak feature": pa.array(Y + RNG.normal(size=N)),
    "unique ids": pa.array([f"{i:05d}" for i in RNG.permutation(N)]),
    "row numbers": pa.array(np.arange(N)),
    "many categories": pa.array([f"c{i}" for i in RNG.integers(0, 200, N)]),
    "a constant": pa.array([1] * N),
    "all missing": pa.array([None] * N, pa.float64()),
    "true or false": pa.array(RNG.random(N) < 0.5),
}


def leaking(columns, **roles):
    table = pa.table({**columns, "y": pa.array([f"class {y}" for y in Y])})
    data = Dataset(table, {Role.FEATURES: list(columns), Role.LABEL: ["y"], **roles})
    found = TargetLeakage().run(data, Signals(data))
    assert isinstance(found, Findings)
    assert len(found) == 0
    return {one["column"] for one in found.summary["columns"] if one["leaks"]}


def test_contract():
    check_method(TargetLeakage)


@pytest.mark.parametrize("name", LEAKS)
def test_a_column_that_gives_the_label_away_is_named(name):
    assert leaking({**HONEST, name: LEAKS[name]}) == {name}


def test_honest_columns_are_not():
    assert leaking(HONEST) == set()


def test_missing_values_can_give_the_label_away():
    only_for_one = pa.array([1.0 if y == 0 else None for y in Y])
    assert leaking({"x": only_for_one}) == set()  # tells one class of three
    data = Dataset(pa.table({"x": only_for_one, "y": (Y == 0).astype(int)}), {Role.FEATURES: ["x"], Role.LABEL: ["y"]})
    assert TargetLeakage().run(data, Signals(data)).summary["columns"][0]["leaks"]


def test_of_many_strong_features_none_leaks():
    strong = {f"x{i}": pa.array(Y * 4.0 + RNG.normal(size=N)) for i in range(4)}
    assert leaking(strong) == set()


def test_names_of_classes_in_texts():
    texts = [f"this text is about {('sports', 'politics', 'science')[y]}, of course" for y in Y]
    table = pa.table({"t": texts, "y": [("sports", "politics", "science")[y] for y in Y]})
    data = Dataset(table, {Role.TEXT: ["t"], Role.LABEL: ["y"]})
    assert TargetLeakage().run(data, Signals(data)).summary["columns"][0]["leaks"]
    mute = table.set_column(0, "t", pa.array(["this text is about sports, of course"] * N))
    data = Dataset(mute, data.roles)
    assert not TargetLeakage().run(data, Signals(data)).summary["columns"][0]["leaks"]


def test_numbers_to_predict():
    target = RNG.normal(size=N)
    columns = {"twice": 2 * target + 1, "near": target + RNG.normal(size=N) * 0.5, "noise": RNG.normal(size=N)}
    data = Dataset(pa.table({**columns, "y": target}), {Role.FEATURES: list(columns), Role.TARGET: ["y"]})
    found = TargetLeakage().run(data, Signals(data)).summary["columns"]
    assert [(one["column"], one["leaks"]) for one in found][:2] == [("twice", True), ("near", False)]
    assert found[1]["strength"] == pytest.approx(0.8, abs=0.08)  # 1 / (1 + 0.25)


def test_strength_of_chance_is_nothing_and_of_certainty_one():
    folds = np.arange(N) % 5
    removed, accuracy = strength(RNG.integers(0, 8, N), Y.astype(np.int64), 3, folds)
    assert removed < 0.02
    assert accuracy < 0.42
    removed, accuracy = strength(Y.astype(np.int64), Y.astype(np.int64), 3, folds)
    assert removed > 0.98
    assert accuracy == 1.0
    assert explained(RNG.integers(0, 8, N), RNG.normal(size=N), folds) < 0.02


def test_bins_are_even_and_keep_ties_together():
    bins = bin_numbers(np.concatenate([RNG.normal(size=1000), np.zeros(500), [np.nan, np.inf]]), 20)
    assert bins[-2:].tolist() == [0, 0]
    assert len(set(bins[1000:1500].tolist())) == 1
    sizes = np.bincount(bins[:1000])[1:]
    assert sizes[sizes > 0].max() <= 80


def test_too_little_to_judge():
    few = Dataset(pa.table({"x": [1.0, 2.0], "y": ["a", "b"]}), {Role.FEATURES: ["x"], Role.LABEL: ["y"]})
    assert isinstance(TargetLeakage().run(few, Signals(few)), NotApplicable)
    unlabelled = Dataset(pa.table({"x": [1.0] * 50}), {Role.FEATURES: ["x"]})
    assert isinstance(TargetLeakage().run(unlabelled, Signals(unlabelled)), NotApplicable)
