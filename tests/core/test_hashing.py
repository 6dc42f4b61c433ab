from __future__ import annotations

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.core.hashing import NULL, combine, hash_column, occurrences

VALUES = [
    pa.array(["", "a", "ab", "abcdefgh", "abcdefghi", "日本", None]),
    pa.array([b"", b"\x00", b"\x00\x00", None]),
    pa.array([0, 1, -1, 2**40, None]),
    pa.array([0.0, 1.5, float("nan"), None]),
    pa.array([True, False, None]),
    pa.array([[1, 2], [2, 1], [], [1], None]),
    pa.array([["a"], ["b", "c"], ["bc"], None]),
    pa.array([{"p": 1, "q": "x"}, {"p": 2, "q": "x"}, None]),
    pa.array([datetime.date(2020, 1, 1), datetime.date(2020, 1, 2), None]),
    pa.array([datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 2), None]),
    pa.array([decimal.Decimal("1.5"), decimal.Decimal("2.5"), None]),
    pa.array([[1.0, 2.0], [2.0, 1.0], None], pa.list_(pa.float32(), 2)),
    pa.array([None, None]),
]


@pytest.mark.parametrize("array", VALUES, ids=lambda a: str(a.type))
def test_distinct_values_differ_and_layout_does_not_show(array: pa.Array) -> None:
    hashes = hash_column(array)
    n = len(array)
    assert len(set(hashes.tolist())) == (n if array.null_count < 2 else 1)
    assert all(h == NULL for h, v in zip(hashes, array.is_valid().to_pylist(), strict=True) if not v)
    chunks = pa.chunked_array([array.slice(i, 1) for i in range(n)])
    assert hash_column(chunks).tolist() == hashes.tolist()
    assert hash_column(array.slice(1)).tolist() == hashes[1:].tolist()


def test_encodings_of_the_same_value_agree() -> None:
    texts = pa.array(["x", "y", "x", None])
    expected = hash_column(texts).tolist()
    assert hash_column(texts.dictionary_encode()).tolist() == expected
    assert hash_column(texts.cast(pa.large_string())).tolist() == expected
    assert hash_column(texts.cast(pa.string_view())).tolist() == expected
    ints = pa.array([3, 250])
    assert hash_column(ints).tolist() == hash_column(ints.cast(pa.uint8())).tolist()
    halves = pa.array([0.5, -0.0])
    assert hash_column(halves).tolist() == hash_column(pa.array([0.5, 0.0], pa.float32())).tolist()


@given(st.lists(st.text(max_size=30), max_size=60))
def test_equal_texts_and_only_those_have_equal_hashes(texts: list[str]) -> None:
    hashes = hash_column(pa.array(texts, pa.string()))
    assert len(set(hashes.tolist())) == len(set(texts))


@given(st.lists(st.integers(0, 6), max_size=50))
def test_occurrences_count_the_equal_ones_before(values: list[int]) -> None:
    expected = [values[:i].count(v) for i, v in enumerate(values)]
    assert occurrences(np.array(values, np.uint64)).tolist() == expected


def test_combine_sees_the_order_of_columns() -> None:
    a, b = hash_column(pa.array(["x", "y"])), hash_column(pa.array(["y", "x"]))
    assert not np.array_equal(combine([a, b], 2), combine([b, a], 2))
    assert combine([], 3).tolist() == [0, 0, 0]
