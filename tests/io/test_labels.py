from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dross
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.io.labels import as_lists, kind_of_label

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "role"),
    [
        ([0, 1, 1, 0], Role.LABEL),
        ([True, False], Role.LABEL),
        (["a", "b"], Role.LABEL),
        ([1.0, 2.0, None, 1.0], Role.LABEL),
        ([1.5, 2.5, 3.75], Role.TARGET),
        ([0.5, 1.0, 1.5] * 100, Role.LABEL),
        (RNG.normal(size=500), Role.TARGET),
        (RNG.integers(0, 10_000, 500), Role.TARGET),
        (RNG.integers(0, 150, 5000), Role.LABEL),
        (np.arange(30), Role.LABEL),
        ([["a"], []], Role.LABELS),
    ],
)
def test_kinds(values: object, role: Role) -> None:
    assert kind_of_label(pa.chunked_array([pa.array(values)]))[0] is role


@given(st.lists(st.none() | st.lists(st.sampled_from("abc"), min_size=1, max_size=3)))
def test_split_labels(rows: list[list[str] | None]) -> None:
    text = pa.chunked_array([pa.array([None if r is None else " ; ".join(r) for r in rows], pa.large_string())])
    assert as_lists(text, "tags")[0].to_pylist() == rows


def test_json_lists() -> None:
    column = pa.chunked_array([pa.array(["[1, 2]", None, "[]"], pa.large_string())])
    assert as_lists(column, "tags")[0].to_pylist() == [[1, 2], None, []]
    with pytest.raises(DrossError, match="begin like a JSON list"):
        as_lists(pa.chunked_array([pa.array(["[1, 2", "[]"], pa.large_string())]), "tags")


def test_labels_in_one_cell() -> None:
    data = dross.load({"text": ["one", "two", "three"], "tags": ["a|b", None, "c"]}, labels="tags")
    assert data.column(Role.LABELS).to_pylist() == [["a", "b"], None, ["c"]]


def test_ids_are_no_labels() -> None:
    names = [f"name {i}" for i in range(100)]
    with pytest.raises(DrossError, match="an id or a text rather than a class"):
        dross.load({"x": list(range(100)), "y": names}, label="y")
    with pytest.raises(DrossError, match="a label cannot be"):
        dross.load({"x": [1, 2], "y": [{"a": 1}, {"a": 2}]}, label="y")
