from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.tabular_encoding import (
    TabularEncoding,
    columns_for_trees,
    encode,
    fit_code,
    kind_of,
    numbers_of,
    robust_scale,
    soften,
)


def table(**columns: object) -> Dataset:
    return Dataset(pa.table(columns), {Role.FEATURES: list(columns)})


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_any_numbers_become_finite_and_keep_their_order(values: np.ndarray) -> None:
    data = table(x=values)
    encoded = encode(data, fit_code(data))
    assert np.isfinite(encoded).all()
    known = np.isfinite(values)
    order = np.argsort(values[known], kind="stable")
    assert (np.diff(encoded[known][order, 0]) >= 0).all()
    assert encoded.shape[1] == 1 + (not known.all())


def test_every_type_of_column() -> None:
    day = dt.date(2024, 2, 29)
    data = table(
        whole=pa.array([1, 2, 2**62], pa.int64()),
        money=pa.array([Decimal("1.50"), None, Decimal("3.00")]),
        truth=[True, None, False],
        day=[day, day, None],
        moment=[dt.datetime(2024, 1, 1, 6), dt.datetime(2024, 1, 1, 18), dt.datetime(2024, 1, 2, 6)],
        clock=pa.array([dt.time(1), dt.time(2), None]),
        span=pa.array([dt.timedelta(1), None, dt.timedelta(2)]),
        nothing=pa.nulls(3),
        words=pa.array(["a", "b", None]).dictionary_encode(),
        vector=pa.array([[1.0, 2.0], None, [3.0, np.inf]], pa.list_(pa.float32(), 2)),
        ragged=[[1], [1, 2], None],
        record=[{"a": 1}, {"a": 2}, None],
    )
    code = fit_code(data)
    encoded = encode(data, code)
    assert np.isfinite(encoded).all()
    assert {c["name"]: c["kind"] for c in code.columns}["ragged"] == "category"
    X, category = columns_for_trees(data, code)
    assert X.shape[1] == len(category)
    assert np.isnan(X).any()


def test_scale_is_robust_and_extremes_are_drawn_in() -> None:
    rng = np.random.default_rng(0)
    values = np.append(rng.normal(50, 2, 999), 1e9)[:, None]
    centre, scale = robust_scale(values)
    assert centre[0] == pytest.approx(50, abs=0.3)
    assert scale[0] == pytest.approx(2, abs=0.3)
    assert robust_scale(np.array([[0.0]] * 99 + [[5.0]]))[1][0] == pytest.approx(0.497, abs=0.01)
    assert robust_scale(np.full((4, 1), np.nan))[1][0] == 1.0
    z = np.linspace(-50, 50, 1001)
    assert (np.diff(soften(z)) > 0).all()
    assert np.abs(soften(z)).max() < 12


def test_many_categories_share_coordinates() -> None:
    names = [f"v{i}" for i in range(60) for _ in range(60 - i)]
    data = table(c=names)
    encoded = encode(data, fit_code(data))
    assert encoded.shape[1] == 32 + 16 + 1
    assert (encoded[0] == encoded[59]).all()
    assert encoded[-1, -1] > encoded[0, -1]
    unseen = encode(table(c=["never seen"]), fit_code(data))
    assert np.isfinite(unseen).all()
    assert unseen[0, :32].sum() == 0


def test_time_of_day_and_of_year_go_round() -> None:
    times = [dt.datetime(2023, 12, 31, 23, 59), dt.datetime(2024, 1, 1, 0, 1), dt.datetime(2024, 7, 1, 12)]
    encoded = encode(table(t=times), fit_code(table(t=times)))[:, 1:]
    assert np.linalg.norm(encoded[0] - encoded[1]) < 1.0 < np.linalg.norm(encoded[0] - encoded[2])


def test_vectors_are_scaled_coordinate_by_coordinate() -> None:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(300, 4)) * [1, 10, 100, 1000]).astype(np.float32)
    data = table(x=pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 4))
    encoded = encode(data, fit_code(data))
    assert np.allclose(encoded.std(axis=0), 1, atol=0.15)
    assert kind_of(data.table.column("x")) == "vector"
    assert numbers_of(data.table.column("x"), "vector", 4) == pytest.approx(X)


def test_batches_and_signal_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    data = table(x=rng.normal(size=100), c=rng.choice(["a", "b"], 100))
    code = Signals(data)[TabularEncoding()]
    whole = encode(data, code)
    monkeypatch.setattr("dross.signals.tabular_encoding.TOGETHER", 7)
    assert np.array_equal(encode(data, code), whole)
    assert code.size == pytest.approx(np.sqrt(np.square(whole).sum(axis=1).mean()), rel=1e-5)


def test_no_column_that_tells_anything_still_gives_coordinates() -> None:
    data = Dataset(pa.table({"x": pa.array([], pa.float64())}), {Role.FEATURES: ["x"]})
    assert encode(data, fit_code(data)).shape[0] == 0
