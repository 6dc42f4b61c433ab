from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role, Task

TABLE = pa.table({"text": ["a", "b", "a", None], "y": ["x", None, "z", "x"], "n": [1, 2, 1, 4]})
ROLES = {Role.TEXT: ["text"], Role.LABEL: ["y"]}


def test_codes_follow_sorted_classes_and_missing_is_minus_one() -> None:
    data = Dataset(TABLE, ROLES)
    assert data.classes == ["x", "z"]
    assert data.codes.tolist() == [0, -1, 1, 0]


def test_numeric_classes_sort_as_numbers() -> None:
    data = Dataset(pa.table({"y": [10, 9, 2]}), {Role.LABEL: ["y"]})
    assert data.classes == [2, 9, 10]


def test_codes_do_not_depend_on_chunks() -> None:
    pieces = pa.concat_tables([TABLE.slice(2), TABLE.slice(0, 2)])
    assert Dataset(pieces, ROLES).codes.tolist() == [1, 0, 0, -1]


@given(st.permutations(range(40)))
def test_row_ids_survive_shuffling(order: list[int]) -> None:
    table = pa.table({"a": [i % 7 for i in range(40)], "b": [str(i % 5) for i in range(40)]})
    ids = Dataset(table, {}).row_ids
    shuffled = Dataset(table.take(pa.array(order)), {}).row_ids
    assert sorted(ids.tolist()) == sorted(shuffled.tolist())
    assert len(set(ids.tolist())) == 40
    distinct = Dataset(table.append_column("c", pa.array(range(40))), {})
    again = Dataset(distinct.table.take(pa.array(order)), {})
    assert again.row_ids.tolist() == distinct.row_ids[list(order)].tolist()


def test_row_ids_of_a_subset_are_kept() -> None:
    data = Dataset(TABLE, ROLES)
    rows = np.array([3, 0])
    assert data.take(rows).row_ids.tolist() == data.row_ids[rows].tolist()
    assert data.slice(1, 3).row_ids.tolist() == data.row_ids[1:3].tolist()


def test_key_column_gives_the_ids_and_must_be_unique() -> None:
    data = Dataset(pa.table({"k": ["p", "q"], "y": [0, 1]}), {Role.ID: ["k"]})
    assert data.key(1) == "q"
    assert data.keys(np.array([1, 0])).to_pylist() == ["q", "p"]
    with pytest.raises(DrossError, match="more than one row"):
        _ = Dataset(pa.table({"k": ["p", "p"]}), {Role.ID: ["k"]}).row_ids


def test_fingerprint_ignores_layout_and_sees_content_order_and_roles() -> None:
    data = Dataset(TABLE, ROLES)
    chunked = Dataset(pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)]), ROLES)
    narrow = Dataset(TABLE.set_column(2, "n", TABLE["n"].cast(pa.int16())), ROLES)
    assert data.fingerprint() == chunked.fingerprint() == narrow.fingerprint()
    assert data.fingerprint() != Dataset(TABLE.take(pa.array([1, 0, 2, 3])), ROLES).fingerprint()
    edited = data.with_column("y", pa.array(["x", None, "x", "x"]))
    assert data.fingerprint() != edited.fingerprint()
    assert data.fingerprint(Role.TEXT) == edited.fingerprint(Role.TEXT)
    assert edited.row_ids.tolist() == data.row_ids.tolist()


def test_append_keeps_the_old_ids_and_makes_new_ones() -> None:
    data = Dataset(TABLE, ROLES)
    longer = data.append(TABLE.slice(0, 2))
    assert longer.row_ids[:4].tolist() == data.row_ids.tolist()
    assert len(set(longer.row_ids.tolist())) == 6


def test_missing_columns_and_crowded_roles_are_refused() -> None:
    with pytest.raises(DrossError, match="did you mean 'text'"):
        Dataset(TABLE, {Role.TEXT: ["texte"]})
    with pytest.raises(DrossError, match="takes one column"):
        Dataset(TABLE, {Role.LABEL: ["y", "n"]})
    with pytest.raises(DrossError, match="no column has the role image"):
        Dataset(TABLE, ROLES).column(Role.IMAGE)


def test_task_follows_from_roles() -> None:
    assert Dataset(TABLE, ROLES).task is Task.CLASSIFICATION
    assert Dataset(TABLE, {Role.TARGET: ["n"]}).task is Task.REGRESSION
    assert Dataset(TABLE, {}).task is Task.UNLABELLED


def test_matrix_is_a_view_and_survives_slicing() -> None:
    flat = np.arange(12, dtype=np.float32)
    table = pa.table({"e": pa.FixedSizeListArray.from_arrays(pa.array(flat), 3)})
    data = Dataset(table, {Role.EMBEDDING: ["e"]})
    assert np.shares_memory(data.matrix(Role.EMBEDDING), flat) or data.matrix(Role.EMBEDDING).tolist()
    assert data.slice(1, 3).matrix(Role.EMBEDDING).tolist() == flat.reshape(4, 3)[1:3].tolist()


def test_empty_dataset() -> None:
    data = Dataset(TABLE.slice(0, 0), ROLES)
    assert len(data) == 0
    assert data.codes.tolist() == []
    assert data.classes == []
    assert data.row_ids.tolist() == []
    assert list(data.batches()) == []


@pytest.mark.parametrize("n", [0, 2])
def test_labels_that_are_all_missing(n: int) -> None:
    data = Dataset(pa.table({"y": pa.nulls(n)}), {Role.LABEL: ["y"]})
    assert data.codes.tolist() == [-1] * n
    assert data.classes == []
