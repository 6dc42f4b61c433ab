"""DFN: purity of what is kept, filters ranked by what they induce, pairs of texts, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dross.claims.select.data_filtering_network import task
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.data_filtering_network import DataFilteringNetwork, top_share
from dross.testing import check_method
from dross.testing.planted import blobs


def test_contract() -> None:
    check_method(DataFilteringNetwork)


def test_the_top_share_is_that_of_sorting() -> None:
    scores = np.random.default_rng(0).standard_normal(101).astype(np.float32)
    assert top_share(scores, 0.3).tolist() == sorted(range(101), key=lambda i: -scores[i])[:30]
    assert len(top_share(scores, 1.0)) == 101


def test_right_pairs_of_the_pool_are_kept_and_trusted_rows_are_not_chosen() -> None:
    data, truth, _ = task(0)
    found = DataFilteringNetwork(share=0.4).run(data, Signals(data))
    assert isinstance(found, Selection)
    assert len(found) == 400
    assert found.rows.max() < 1000
    assert (np.asarray(data.codes) == truth)[found.rows].mean() > 0.95


def test_the_order_of_the_rows_does_not_change_the_choice() -> None:
    data, _, _ = task(1)
    turned = data.take(np.random.default_rng(0).permutation(len(data)))
    method = DataFilteringNetwork(share=0.2, epochs=5)
    ids = [each.row_ids[method.run(each, Signals(each)).rows].tolist() for each in (data, turned)]  # type: ignore[union-attr]
    assert ids[0] == ids[1]


def test_filters_are_ranked_by_the_models_they_make() -> None:
    data, _, _ = task(2)
    method = DataFilteringNetwork(share=0.4, filters=("pool", "linear"), folds=2, epochs=20, pool_epochs=2)
    found = method.run(data, Signals(data))
    assert isinstance(found, Selection)
    ranked = found.summary["filters"]
    induced = [entry["induced_accuracy"] for entry in ranked.values()]
    assert induced == sorted(induced, reverse=True)
    assert found.summary["filter"] == next(iter(ranked))
    assert all(0 <= entry["own_accuracy"] <= 1 for entry in ranked.values())


def test_pairs_of_vectors() -> None:
    """The second side is a rotation of the first; half of the pool's are swapped."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 6)).astype(np.float32)
    Y = X @ np.linalg.qr(rng.standard_normal((6, 6)))[0].astype(np.float32)
    wrong = np.zeros(400, bool)
    wrong[rng.permutation(300)[:150]] = True
    Y[np.flatnonzero(wrong)] = Y[np.roll(np.flatnonzero(wrong), 1)]
    sides = [pa.FixedSizeListArray.from_arrays(pa.array(side.ravel()), 6) for side in (X, Y)]
    table = pa.table({"a": sides[0], "b": sides[1], "part": ["train"] * 300 + ["gold"] * 100})
    data = Dataset(table, {Role.SPLIT: ["part"]})
    found = DataFilteringNetwork(share=0.4, first="a", second="b").run(data, Signals(data))
    assert isinstance(found, Selection)
    assert (~wrong)[found.rows].mean() > 0.95


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"share": 0.0}, "share"),
        ({"filters": ("linnear",)}, "did you mean 'linear'"),
        ({"filters": ()}, "named"),
        ({"folds": 1}, "folds"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"trusted": "nope"}, "nope"),
        ({"first": "x"}, "only one side"),
    ],
)
def test_bad_input(wrong: dict[str, Any], told: str) -> None:
    data = blobs(60).data
    table = data.table.append_column("s", pa.array(["train"] * 40 + ["gold"] * 20))
    parted = Dataset(table, {**data.roles, Role.SPLIT: ["s"]})
    with pytest.raises(DrossError, match=told):
        DataFilteringNetwork(**wrong).run(parted, Signals(parted))


def test_without_trusted_rows_it_does_not_apply() -> None:
    data = blobs(60).data
    assert isinstance(DataFilteringNetwork().run(data, Signals(data)), NotApplicable)
