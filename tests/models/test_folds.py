from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.models.folds import components, deal, folds_of


def frame(x: list[float], label: list[str], **groups: list[str | None]) -> Dataset:
    roles = {Role.FEATURES: ["x"], Role.LABEL: ["y"], Role.GROUP: list(groups)}
    return Dataset(pa.table({"x": x, "y": label, **groups}), roles)


def cut(data: Dataset, count: int = 5, seed: int = 0):  # type: ignore[no-untyped-def]
    return folds_of(data, data.hashes("x"), data.codes, count, seed)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(2, 6))
def test_classes_are_spread_evenly(labels: list[int], count: int) -> None:
    codes = np.array(labels, np.int32)
    keys = np.random.default_rng(0).integers(0, 2**63, len(codes)).astype(np.uint64)
    of, made = deal(np.arange(len(codes)), codes, keys, count)
    assert made == min(count, len(codes))
    for c in np.unique(codes):
        sizes = np.bincount(of[codes == c], minlength=made)
        assert sizes.max() - sizes.min() <= 1


def test_copies_and_units_stay_together() -> None:
    n = 400
    x = [float(i if i % 10 else i + 1) for i in range(n)]  # every tenth row equals the next
    patients = [f"p{i % 100}" for i in range(n)]
    data = frame(x, ["a", "b"] * (n // 2), patient=patients, sex=["f", "m"] * (n // 2))
    folds = cut(data)
    assert folds.kept_together == ("copies", "patient")
    for i in range(0, n, 10):
        assert folds.of[i] == folds.of[i + 1]
    for p in range(100):
        assert len(np.unique(folds.of[p::100])) == 1
    assert np.bincount(folds.of).min() > n / 10


def test_a_trait_a_missing_group_and_a_giant_group_do_not_bind() -> None:
    n = 200
    x = [float(i) for i in range(n)]
    assert cut(frame(x, ["a"] * n, sex=["f", "m"] * 100)).kept_together == ()
    giant = cut(frame(x, ["a"] * n, unit=["big"] * 120 + [f"u{i}" for i in range(80)]))
    assert giant.kept_together == ()
    alone: list[str | None] = [None] * 100 + [f"u{i // 2}" for i in range(100)]
    folds = cut(frame(x, ["a"] * n, unit=alone), count=5)
    assert folds.kept_together == ("unit",)
    assert len(np.unique(folds.of[:100])) == 5


def test_few_values_are_no_copies() -> None:
    folds = cut(frame([0.0, 1.0] * 50, ["a", "b"] * 50))
    assert folds.kept_together == ()
    assert folds.count == 5


def test_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    rng = np.random.default_rng(0)
    data = frame(rng.normal(size=90).tolist(), [f"c{i % 3}" for i in range(90)])
    order = rng.permutation(90)
    assert np.array_equal(cut(data).of[order], cut(data.take(order)).of)
    assert not np.array_equal(cut(data).of, cut(data, seed=1).of)


def test_one_row_and_none() -> None:
    assert cut(frame([1.0], ["a"])).count == 1
    assert len(cut(frame([1.0], ["a"]).slice(0, 0)).of) == 0
    assert components([np.array([0, 0, 2]), np.array([0, 1, 1])]).tolist() == [0, 0, 0]
