"""LaSO: set operations, pairs, what new rows hold."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import HOW, PARENTS
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.synthesize.label_set_operations import OPERATIONS, LabelSetOperations, combined, partners
from dross.testing import check_method
from dross.testing.composites import composites, sets_dataset


def test_contract() -> None:
    check_method(LabelSetOperations)


@pytest.mark.parametrize(("name", "of"), [("union", set.union), ("intersection", set.intersection),
                                          ("difference", set.difference)])  # fmt: skip
def test_operations_are_those_of_sets(name: str, of: object) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 40, 6)) < 0.4
    found = combined(name, a.astype(int), b.astype(int))
    for i in range(40):
        expected = of(set(np.flatnonzero(a[i]).tolist()), set(np.flatnonzero(b[i]).tolist()))  # type: ignore[operator]
        assert set(np.flatnonzero(found[i]).tolist()) == expected


def test_half_of_the_partners_share_a_label() -> None:
    sets = np.zeros((4000, 200), bool)
    sets[np.arange(4000), np.arange(4000) % 200] = True
    other = partners(sets, np.random.default_rng(0))
    shared = (sets & sets[other]).any(axis=1).mean()
    assert 0.45 < shared < 0.55


def test_new_rows_are_what_they_say() -> None:
    made_of = composites(np.arange(1000), 200, np.random.default_rng(0))
    data = made_of.dataset()
    made = LabelSetOperations(epochs=10, count=90).run(data, Signals(data))
    assert isinstance(made, Dataset)
    assert len(made) == 90
    lists = data.table.column("digits").to_pylist()
    of = dict(zip(OPERATIONS, (set.union, set.intersection, set.difference), strict=True))
    rows = zip(*(made.table.column(c).to_pylist() for c in ("digits", PARENTS, HOW)), strict=True)
    for labels, (a, b), how in rows:
        assert labels
        assert set(labels) == of[how.split()[0]](set(lists[a]), set(lists[b]))
    assert len(set(made.table.column(HOW).to_pylist())) == 3


def test_rare_labels_have_parents_that_list_them() -> None:
    many, few = (composites(np.arange(1000), n, np.random.default_rng(n), c) for n, c in
                 ((100, np.arange(10) < 5), (6, np.arange(10) >= 5)))  # fmt: skip
    data = sets_dataset(np.concatenate([many.x, few.x]), np.concatenate([many.truth, few.truth]))
    made = LabelSetOperations(epochs=1, count=20, rare=12).run(data, Signals(data))
    assert isinstance(made, Dataset)
    assert all(min(parents) >= 100 for parents in made.table.column(PARENTS).to_pylist())


def test_other_columns_are_null_and_vectors_stay_on_their_scale() -> None:
    made_of = composites(np.arange(1000), 60, np.random.default_rng(1))
    data = sets_dataset(1000 * made_of.x + 5000, made_of.truth)
    table = data.table.append_column("note", pa.array(["x"] * 60))
    made = LabelSetOperations(epochs=3).run(Dataset(table, data.roles), Signals(data))
    assert isinstance(made, Dataset)
    assert made.table.column("note").null_count == len(made)
    assert abs(made.matrix(Role.EMBEDDING).mean() - data.matrix(Role.EMBEDDING).mean()) < 300


def test_a_dimension_that_never_varies_does_not_vary_in_new_rows() -> None:
    made_of = composites(np.arange(1000), 60, np.random.default_rng(1))
    x = np.concatenate([made_of.x, np.full((60, 1), 7, np.float32)], axis=1)
    data = sets_dataset(x, made_of.truth)
    made = LabelSetOperations(epochs=3).run(data, Signals(data))
    assert isinstance(made, Dataset)
    assert np.ptp(made.matrix(Role.EMBEDDING)[:, -1]) == 0
    assert made.matrix(Role.EMBEDDING)[0, -1] == 7


def test_what_cannot_be_done_is_said() -> None:
    made_of = composites(np.arange(100), 5, np.random.default_rng(0))
    data = made_of.dataset()
    with pytest.raises(DrossError, match="no operation is called 'xor'"):
        LabelSetOperations(operations=("xor",)).run(data, Signals(data))
    empty = sets_dataset(made_of.x, np.zeros((5, 10), bool))
    assert isinstance(LabelSetOperations().run(empty, Signals(empty)), NotApplicable)
