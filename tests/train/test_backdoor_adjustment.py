"""Backdoor adjustment: the loss, the average over strata, encoders from columns and by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.trained import Trained, load
from dross.testing import check_method
from dross.testing.planted import blobs
from dross.train.backdoor_adjustment import BackdoorAdjustment, adjusted_loss, stratified


def _columns(seed: int = 0, gap: bool = False) -> Dataset:
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=150)
    first = [[float(v) for v in row] for row in rng.normal(size=(150, 4)) + y[:, None]]
    second = [[float(v) for v in row] for row in rng.normal(size=(150, 6)) - y[:, None]]
    if gap:
        second[3] = None  # type: ignore[call-overload]
    table = pa.table(
        {"a": pa.array(first, pa.list_(pa.float32(), 4)), "b": pa.array(second, pa.list_(pa.float32(), 6)), "y": y}
    )
    return Dataset(table, {Role.FEATURES: ["a", "b"], Role.LABEL: ["y"]})


def _fitted(method: BackdoorAdjustment, data: Dataset) -> Trained:
    model = method.run(data, Signals(data))
    assert isinstance(model, Trained), model
    return model


def test_contract() -> None:
    check_method(BackdoorAdjustment)


def test_the_adjusted_loss_is_least_for_the_balanced_posterior() -> None:
    """With chances p(y) = counts and no information in x, equal logits are best."""
    counts = torch.tensor([6.0, 2.0])
    y = torch.tensor([0] * 6 + [1] * 2)
    logits = torch.zeros(1, 2, requires_grad=True)
    adjusted_loss(logits.expand(8, 2), y, counts, 1.0).backward()
    assert torch.allclose(logits.grad, torch.zeros(1, 2), atol=1e-6)


def test_strata_are_averaged_by_chances() -> None:
    torch.manual_seed(0)
    logits = [torch.randn(5, 3) for _ in range(4)]
    assert torch.allclose(stratified(logits), sum(one.softmax(dim=1) for one in logits) / 4, atol=1e-6)


@pytest.mark.parametrize("gap", [False, True])
def test_each_column_of_vectors_is_a_stratum(gap: bool) -> None:
    data = _columns(gap=gap)
    model = _fitted(BackdoorAdjustment(epochs=10), data)
    assert model.summary["strata"] == 2
    assert model.method.widths == (4, 7 if gap else 6)  # type: ignore[attr-defined]
    assert model.score(data) > 0.8


def test_a_stratum_is_trained_as_if_alone() -> None:
    data = _columns()
    both = _fitted(BackdoorAdjustment(epochs=3, network="linear"), data)
    x = torch.from_numpy(both.encoder(data))
    first = both.nets["net"].networks[0]
    changed = data.with_column("b", pa.array(data.table.column("b").to_pylist()[::-1], pa.list_(pa.float32(), 6)))
    other = _fitted(BackdoorAdjustment(epochs=3, network="linear"), changed).nets["net"].networks[0]
    assert torch.allclose(first(x[:, :4]), other(x[:, :4]), atol=1e-6)


def test_encoders_by_name_and_what_is_kept(tmp_path: Path) -> None:
    data = blobs(120, k=3, seed=1).data
    model = _fitted(BackdoorAdjustment(epochs=3, encoders=("mlp", "wide-mlp", "linear")), data)
    assert model.summary["strata"] == 3
    model.save(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").predict_proba(data), model.predict_proba(data))
    columns = _columns()
    kept = _fitted(BackdoorAdjustment(epochs=3), columns)
    kept.save(tmp_path / "other")
    assert np.array_equal(load(tmp_path / "other").predict_proba(columns), kept.predict_proba(columns))


def test_widths_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(DrossError, match="do not add up"):
        _fitted(BackdoorAdjustment(widths=(3, 3)), _columns())
    with pytest.raises(DrossError, match="both given"):
        _fitted(BackdoorAdjustment(widths=(4, 6), encoders=("mlp",)), _columns())
