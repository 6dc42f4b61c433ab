"""Training dynamics: what is seen of each row, against the loop's own numbers; rows that are not learnt from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.training_dynamics import TrainingDynamics
from dross.testing.planted import blobs

pytest.importorskip("torch")


def test_wrong_labels_have_small_margins_and_large_losses() -> None:
    from sklearn.metrics import roc_auc_score

    planted = blobs(400, flipped=0.15, seed=1)
    seen = Signals(planted.data)[TrainingDynamics()]
    wrong = np.isin(np.arange(400), planted.rows)
    assert roc_auc_score(wrong, -seen.area_under_margin) > 0.95
    assert roc_auc_score(wrong, seen.loss.mean(axis=1)) > 0.95
    assert seen.never_learnt[wrong].mean() > seen.never_learnt[~wrong].mean()


def test_the_first_epoch_is_that_of_an_untrained_network() -> None:
    seen = Signals(blobs(200).data)[TrainingDynamics(epochs=2)]
    assert abs(seen.loss[:, 0].mean() - np.log(4)) < 0.5
    assert seen.loss[:, 1].mean() < seen.loss[:, 0].mean()


def test_rows_that_are_not_learnt_from_are_left_open() -> None:
    data = blobs(100).data
    label = pa.array([None if i < 10 else v for i, v in enumerate(data.table["label"].to_pylist())])
    table = data.table.set_column(1, "label", label).append_column("part", pa.array(["train"] * 80 + ["test"] * 20))
    seen = Signals(Dataset(table, {**data.roles, Role.SPLIT: ["part"]}))[TrainingDynamics(epochs=2)]
    out = np.r_[:10, 80:100]
    assert np.isnan(seen.margin[out]).all()
    assert (seen.forgotten[out] == -1).all()
    assert not np.isnan(seen.margin[10:80]).any()


def test_it_is_stored_and_read_back(tmp_path: object) -> None:
    data = blobs(60).data
    first = Signals(data, tmp_path)[TrainingDynamics(epochs=2)]  # type: ignore[arg-type]
    again = Signals(data, tmp_path)[TrainingDynamics(epochs=2)]  # type: ignore[arg-type]
    assert np.array_equal(first.margin, again.margin)
    assert np.array_equal(first.forgotten, again.forgotten)
