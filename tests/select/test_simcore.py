"""SimCore: the rounds against their definition, the threshold, the target part, texts and vectors, bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.claims.select.simcore import textures
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.aimed import aimed
from dross.select.simcore import SimCore, centroids, nearest_in_turn
from dross.testing import check_method


def test_contract() -> None:
    check_method(SimCore)


@settings(max_examples=60)
@given(
    st.integers(1, 5), st.integers(1, 25), st.integers(1, 30), st.sampled_from([0.0, 0.7, 0.95]), st.integers(0, 999)
)
def test_each_round_takes_the_best_row_left_for_each_centre(k: int, n: int, most: int, stop: float, seed: int) -> None:
    S = np.random.default_rng(seed).random((k, n)).astype(np.float32)
    rows, alike, rounds = nearest_in_turn(S, most, stop)
    left, at, first = set(range(n)), 0, None
    for value in rounds:
        best = {c: max(left, key=lambda row: S[c, row]) for c in range(k)}
        worth = float(np.mean([S[c, row] for c, row in best.items()]))
        first = worth if first is None else first
        assert value == pytest.approx(worth, rel=1e-5)
        if worth < stop * first:
            assert at == len(rows)
            break
        step = rows[at : at + len(set(best.values()))]
        assert set(step.tolist()) <= set(best.values())
        assert np.allclose(alike[at : at + len(step)], [max(S[c, r] for c in best if best[c] == r) for r in step])
        left -= set(best.values())
        at += len(step)
    assert at == len(rows) <= most
    assert stop > 0 or len(rows) == min(n, most)


def test_a_round_maximises_facility_location() -> None:
    """The first round holds the best row of each centre: no choice of rows has a larger sum of similarities."""
    S = np.random.default_rng(0).random((3, 9)).astype(np.float32)
    rows, _, rounds = nearest_in_turn(S, 3, 1.0)
    assert S[:, rows].max(axis=1).mean() == pytest.approx(float(S.max(axis=1).mean()))
    assert rounds[0] == pytest.approx(float(S.max(axis=1).mean()))


def test_centres_are_directions() -> None:
    rows = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    assert np.allclose(np.linalg.norm(centroids(rows, 5, 0), axis=1), 1, atol=1e-5)
    assert len(centroids(np.ones((9, 2), np.float32), 5, 0)) == 1


def pictures(target: int = 60) -> tuple[Dataset, np.ndarray]:
    """Vectors near a few directions: the target, and an open set of which a third is like it."""
    rng = np.random.default_rng(1)
    own = rng.standard_normal((3, 12)) * 4
    near = own[rng.integers(0, 3, target + 100)] + rng.standard_normal((target + 100, 12))
    far = rng.standard_normal((200, 12)) * 4
    order = rng.permutation(300)
    X = np.concatenate([near[:target], np.concatenate([near[target:], far])[order]]).astype(np.float32)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 12)
    table = pa.table({"x": flat, "part": ["target"] * target + ["train"] * 300})
    return Dataset(table, {Role.EMBEDDING: ["x"], Role.SPLIT: ["part"]}), order < 100


@pytest.mark.parametrize("epochs", [0, 5])
def test_rows_like_the_target_are_taken(epochs: int) -> None:
    data, related = pictures()
    found = SimCore(epochs=epochs, centers=10, stop=0.8).run(data, Signals(data))
    assert isinstance(found, Selection)
    assert found.rows.min() >= 60
    assert related[found.rows - 60].mean() > 0.8
    assert len(found) == found.summary["taken"] >= 10


def test_a_count_and_no_threshold() -> None:
    data, _ = pictures()
    found = SimCore(epochs=0, count=37, stop=0.0).run(data, Signals(data))
    assert isinstance(found, Selection)
    assert len(found) == 37


def test_the_order_of_the_rows_does_not_matter() -> None:
    data, _ = pictures()
    order = np.random.default_rng(2).permutation(len(data))
    turned = data.take(order)
    plain = SimCore(epochs=0, centers=100, count=40, stop=0.0).run(data, Signals(data))
    again = SimCore(epochs=0, centers=100, count=40, stop=0.0).run(turned, Signals(turned))
    assert isinstance(plain, Selection)
    assert isinstance(again, Selection)
    assert sorted(plain.rows.tolist()) == sorted(order[again.rows].tolist())


def test_texts_are_read_too() -> None:
    texts = ["red fox", "a red fox", "red foxes run", "fox, red"] + ["red fox runs", "blue sea", "green sea"] * 3
    part = pa.array(["validation"] * 4 + ["train"] * 9)
    data = Dataset(pa.table({"t": texts, "part": part}), {Role.TEXT: ["t"], Role.SPLIT: ["part"]})
    assert aimed(data).target.tolist() == [0, 1, 2, 3]
    found = SimCore(epochs=0, count=3, stop=0.0).run(data, Signals(data))
    assert isinstance(found, Selection)
    assert set(found.rows.tolist()) == {4, 7, 10}


def test_bad_input() -> None:
    data, _ = pictures()
    for name, value in {"stop": 1.5, "count": -1, "centers": 0, "batch_size": 1, "temperature": 0.0}.items():
        with pytest.raises(DrossError, match=name):
            SimCore(**{name: value}).run(data, Signals(data))
    with pytest.raises(DrossError, match="no part") as told:
        SimCore(target="tarjet").run(data, Signals(data))
    assert "target" in str(told.value.fix)
    bare = Dataset(data.table, {Role.EMBEDDING: ["x"]})
    assert isinstance(SimCore().run(bare, Signals(bare)), NotApplicable)
    few, _ = pictures(2)
    assert isinstance(SimCore().run(few, Signals(few)), NotApplicable)
    assert textures(np.random.default_rng(0), 3, 8).max() <= 1
