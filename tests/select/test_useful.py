"""USEFUL: the clusters, the weights, rows without a label, bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.claims.select.useful import task
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.useful import Useful, learnt_late, two_clusters
from dross.testing import check_method
from dross.testing.planted import blobs


def test_contract() -> None:
    check_method(Useful)


def test_clusters_minimise_the_spread_within() -> None:
    """Against every division of few numbers in two; the best one divides them in order."""
    outputs = np.random.default_rng(0).standard_normal((12, 1)).astype(np.float32)
    ordered = np.sort(outputs[:, 0])

    def spread(second: np.ndarray) -> float:
        return sum(len(part) * part.var() for part in (outputs[second, 0], outputs[~second, 0]))

    best = min(spread(outputs[:, 0] > cut) for cut in ordered[:-1])
    assert spread(two_clusters(outputs, 0)) == pytest.approx(best, rel=1e-5)


def test_the_late_cluster_is_the_one_of_higher_loss_in_each_class() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 50)
    slow = rng.random(100) < 0.3
    outputs = np.where(slow[:, None], 0.0, 5.0) * np.eye(2)[labels] + 0.3 * rng.standard_normal((100, 2))
    losses = np.log(np.exp(outputs).sum(axis=1)) - outputs[np.arange(100), labels]
    assert np.array_equal(learnt_late(outputs.astype(np.float32), losses.astype(np.float32), labels, 0), slow)


def test_rows_without_the_easy_feature_weigh_twice_and_come_first() -> None:
    exam, easy, _ = task(0)
    found = Useful(early_epochs=4).run(exam.data, Signals(exam.data))
    assert isinstance(found, Selection)
    assert found.weights is not None
    late = found.weights > 1
    assert set(found.weights.tolist()) == {1.0, 2.0}
    assert (~easy)[found.rows[late]].mean() > 0.9
    assert not (np.diff(late.astype(int)) > 0).any()
    assert sorted(found.rows.tolist()) == list(range(len(exam.data)))
    assert found.summary["learnt_late"] == late.sum()


def test_rows_without_a_label_are_left_out() -> None:
    data = blobs(90, k=3, seed=0).data
    labels = [None if i % 3 == 0 else v for i, v in enumerate(data.table.column("label").to_pylist())]
    data = Dataset(data.table.set_column(1, "label", pa.array(labels)), data.roles)
    found = Useful(early_epochs=2).run(data, Signals(data))
    assert isinstance(found, Selection)
    assert sorted(found.rows.tolist()) == [i for i in range(90) if i % 3]


def test_alike_rows_and_bad_input() -> None:
    assert not two_clusters(np.ones((5, 2), np.float32), 0).any()
    data = blobs(60).data
    with pytest.raises(DrossError, match="factor"):
        Useful(factor=1.0).run(data, Signals(data))
    bare = Dataset(data.table, {Role.LABEL: ["label"]})
    assert isinstance(Useful().run(bare, Signals(bare)), NotApplicable)
