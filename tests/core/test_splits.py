from __future__ import annotations

import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.splits import splits_of


def data(values: list[object], kind: pa.DataType | None = None) -> Dataset:
    table = pa.table({"x": list(range(len(values))), "part": pa.array(values, kind)})
    return Dataset(table, {Role.FEATURES: ["x"], Role.SPLIT: ["part"]})


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["test", "train", "val"], ["train", "test", "val"]),
        (["Test", "Training"], ["Training", "Test"]),
        (["a", "b", "b"], ["b", "a"]),
        ([1, 0, 0, 2], ["0", "1", "2"]),
        ([True, False, False], ["false", "true"]),
    ],
)
def test_the_training_part_is_first(values: list[object], names: list[str]) -> None:
    assert splits_of(data(values)).names == names


def test_missing_parts_belong_to_none() -> None:
    splits = splits_of(data(["train", None, "test"]))
    assert splits.codes.tolist() == [0, -1, 1]
    assert splits.training.tolist() == [True, False, False]


def test_without_parts_all_rows_are_for_training() -> None:
    bare = Dataset(pa.table({"x": [1, 2]}), {Role.FEATURES: ["x"]})
    assert splits_of(bare).training.tolist() == [True, True]
    assert splits_of(data([None, None], pa.string())).training.tolist() == [True, True]


def test_dictionaries_and_chunks_do_not_show() -> None:
    table = pa.table({"x": [1, 2, 3], "part": pa.chunked_array([["test"], ["train", "test"]]).dictionary_encode()})
    splits = splits_of(Dataset(table, {Role.FEATURES: ["x"], Role.SPLIT: ["part"]}))
    assert (splits.names, splits.codes.tolist()) == (["train", "test"], [1, 0, 1])
