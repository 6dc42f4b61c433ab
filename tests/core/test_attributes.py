from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dross.core.attributes import MOST_VALUES, attributes_of, categories, cut
from dross.core.dataset import Dataset
from dross.core.roles import Role


@given(st.lists(st.one_of(st.floats(-5, 5), st.just(float("nan")), st.just(float("inf"))), min_size=1, max_size=40))
def test_every_number_lands_in_the_piece_whose_words_hold_it(numbers: list[float]) -> None:
    values = np.array(numbers)
    found = cut("x", values)
    if found is None:
        return
    assert len(found.values) > 1
    assert found.codes.min() >= 0
    assert found.codes.max() < len(found.values)
    for number, code in zip(numbers, found.codes.tolist(), strict=True):
        assert (found.values[code] == "x missing") == (not np.isfinite(number))
    for a in np.flatnonzero(np.isfinite(values)):
        for b in np.flatnonzero(np.isfinite(values)):
            assert values[a] > values[b] or found.codes[a] <= found.codes[b]


def test_zeros_and_a_few_others_make_two_pieces() -> None:
    found = cut("tags", np.array([0.0] * 95 + [1, 2, 3, 4, 5]))
    assert found is not None
    assert found.values == ("tags ≤ 0", "tags > 0")
    assert np.bincount(found.codes).tolist() == [95, 5]


def test_constants_keys_and_free_text_make_none() -> None:
    assert cut("x", np.ones(9)) is None
    assert cut("x", np.full(9, np.nan)) is None
    assert categories("x", pa.chunked_array([["a"] * 9])) is None
    assert categories("x", pa.chunked_array([[f"row {i}" for i in range(500)]])) is None


def test_only_the_commonest_values_are_told_apart() -> None:
    common = [f"v{i}" for i in range(MOST_VALUES) for _ in range(5)]
    found = categories("x", pa.chunked_array([[*common, "rare 1", "rare 2"]]))
    assert found is not None
    assert len(found.values) == MOST_VALUES
    assert found.codes[-2:].tolist() == [-1, -1]


def test_kinds_of_columns() -> None:
    table = pa.table(
        {
            "number": [float(i) for i in range(40)],
            "grade": [i % 3 for i in range(40)],
            "sex": pa.chunked_array([["m", "f"] * 20]).dictionary_encode(),
            "flag": [True, False, None, False] * 10,
            "vector": pa.array([[0.0, 1.0]] * 40, pa.list_(pa.float32(), 2)),
        }
    )
    data = Dataset(table, {Role.FEATURES: table.column_names})
    found = {a.name: a.values for a in attributes_of(data, table.column_names)}
    assert found["grade"] == ("grade = 0", "grade = 1", "grade = 2")
    assert found["flag"] == ("flag = false", "flag = true", "flag missing")
    assert found["sex"] == ("sex = m", "sex = f")
    assert len(found["number"]) == 4
    assert "vector" not in found
