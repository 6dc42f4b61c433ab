from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.predictions import Predictions, RegressorChoice


def curve(n: int = 400, seed: int = 0) -> tuple[Dataset, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, c = rng.uniform(-3, 3, n), rng.choice(["p", "q"], n)
    truth = 1000 + 100 * np.sin(x) + 50 * (c == "p")
    table = pa.table({"x": x, "c": c, "y": truth + rng.normal(size=n)})
    return Dataset(table, {Role.FEATURES: ["x", "c"], Role.TARGET: ["y"]}), truth


def test_predicts_in_the_unit_of_the_target() -> None:
    data, truth = curve()
    found = Signals(data)[Predictions()]
    assert found.shape == (400,)
    assert found.dtype == np.float32
    assert np.abs(found - truth).mean() < 15
    assert np.array_equal(found, Signals(data)[Predictions()])
    assert set(Signals(data)[RegressorChoice()].losses) == {"kernel ridge", "boosted trees"}


def test_a_wild_target_does_not_spoil_the_others() -> None:
    data, truth = curve()
    wild = truth.copy()
    wild[7] = 1e12
    found = Signals(data.with_column("y", pa.array(wild)))[Predictions()]
    assert np.abs(np.delete(found - truth, 7)).mean() < 25
    assert abs(found[7] - wild[7]) > 1e11


def test_missing_targets_constant_targets_and_none() -> None:
    data, truth = curve()
    some: list[float | None] = [None if i % 4 == 0 else float(v) for i, v in enumerate(truth)]
    found = Signals(data.with_column("y", pa.array(some)))[Predictions()]
    assert np.abs(found - truth)[::4].mean() < 25
    flat = Signals(data.with_column("y", pa.array([5.0] * 400)))[Predictions()]
    assert np.allclose(flat, 5, atol=1e-3)
    for n in (1, 2, 4):
        assert np.isfinite(Signals(data.slice(0, n))[Predictions()]).all()
    with pytest.raises(DrossError, match="no row has a target"):
        Signals(data.with_column("y", pa.nulls(400, pa.float64())))[Predictions()]


def test_added_rows_are_predicted_and_the_first_stay() -> None:
    data, truth = curve()
    signals = Signals(Dataset(data.table.slice(0, 360), data.roles))
    before = signals[Predictions()]
    after = signals.derive(signals.data.append(data.table.slice(360)))[Predictions()]
    assert np.array_equal(after[:360], before)
    assert np.abs(after - truth)[360:].mean() < 20
