from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from tests.realdata import real

from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.table_form import (
    TableForm,
    broken_dependencies,
    encode,
    missing_marks,
    misspellings,
    patterns,
    rare_shapes,
    suspicious_cells,
    wrong_kind,
)
from dross.testing import check_method


def column(values: list[str | None]):
    return encode("c", pa.chunked_array([pa.array(values, pa.large_string())]))


def named(values: list[str | None], check) -> set[str]:
    made = column(values)
    return {made.values[i] for i in check(made).at.tolist()}


def test_contract() -> None:
    check_method(TableForm)


def test_missing_marks_need_real_values_beside_them() -> None:
    assert named(["a", "?", "N/A", "b", ""], missing_marks) == {"?", "N/A", ""}
    assert named(["?", "?"], missing_marks) == set()
    assert named([str(v) for v in range(50)] + ["-999", "-999"], missing_marks) == {"-999"}
    assert named([str(v) for v in range(950, 1050)], missing_marks) == set()


def test_texts_among_numbers_are_named_and_numbers_among_texts_are_not() -> None:
    assert named([str(v) for v in range(30)] + ["twelve", "1e3"], wrong_kind) == {"twelve"}
    assert named(["a"] * 30 + ["12"], wrong_kind) == set()


def test_shapes() -> None:
    assert patterns(["", "Ärger 12", "ABC-1"]) == ["", "Aa 0", "A-0"]
    codes = [f"{i:03d}-{i % 7}" for i in range(100)]
    assert named([*codes, "12/3"], rare_shapes) == {"12/3"}
    assert named(["Anna", "Berta", "Carla"] * 40 + ["McMahon", "VAN DYK"], rare_shapes) == set()


def test_misspellings_suggest_the_frequent_value() -> None:
    made = column(["Berlin"] * 30 + ["Berlni", "Brlin", "berlin ", "Bern"] + ["Bern"] * 30)
    cells = misspellings(made)
    assert {made.values[i]: r for i, r in zip(cells.at.tolist(), cells.repair, strict=True)} == {
        "Berlni": "Berlin",
        "Brlin": "Berlin",
        "berlin ": "Berlin",
    }
    assert named([f"item {i % 9}" for i in range(90)] + ["item 77"], misspellings) == set()


def test_dependencies_are_learnt_and_their_breaches_repaired() -> None:
    left = [f"k{i % 10}" for i in range(200)]
    right = [f"v{i % 10 % 4}" for i in range(200)]
    right[7] = "v0"
    cells = broken_dependencies(column(left), column(right))
    assert cells.at.tolist() == [7]
    assert cells.repair == ["v3"]
    rng = np.random.default_rng(0)
    unrelated = [f"v{i}" for i in rng.integers(0, 4, 200)]
    assert broken_dependencies(column(left), column(unrelated)).at.tolist() == []
    constant = ["v0"] * 199 + ["v1"]
    assert broken_dependencies(column(left), column(constant)).at.tolist() == []


@given(st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=40))
def test_any_table_is_read(values: list[str | None]) -> None:
    table = pa.table({"a": pa.array(values, pa.string()), "b": pa.array(list(range(len(values))), pa.int64())})
    for _, rows, cells in suspicious_cells(table):
        assert len(rows) == len(cells.score) == len(cells.repair)
        assert ((cells.score >= 0) & (cells.score <= 1)).all()


def test_rows_of_nothing_and_constant_columns() -> None:
    table = pa.table({"a": [1.0, None, 3.0], "b": ["x", None, "x"]})
    data = Dataset(table, {Role.FEATURES: ["a", "b"]})
    found = TableForm().run(data, Signals(data))
    assert isinstance(found, Findings)
    assert found.rows.tolist() == [1]
    assert found.evidence["reason"].tolist() == ["every feature is missing"]
    assert found.summary["constant columns"] == ["b"]


def test_hospital_errors_are_found() -> None:
    folder = real("tables_dirty_clean")
    dirty, clean = (pq.read_table(folder / f"hospital_{kind}.parquet") for kind in ("dirty", "clean"))
    wrong = {
        (name, row)
        for name in dirty.column_names
        for row, (a, b) in enumerate(zip(dirty[name].to_pylist(), clean[name].to_pylist(), strict=True))
        if a != b
    }
    found = {
        (name, row)
        for name, rows, cells in suspicious_cells(dirty)
        for row, score in zip(rows.tolist(), cells.score, strict=True)
        if score >= 0.5 and cells.reason != "stands for a missing value"  # the set does not count those as errors
    }
    assert len(found & wrong) / len(wrong) > 0.8
    assert len(found & wrong) / len(found) > 0.8
