from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.realdata import real

from dross.core.dataset import Dataset
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.exact_duplicates import ExactDuplicates
from dross.io.load import load
from dross.testing.check_method import check_method
from dross.testing.planted import table_dataset, texts_with_copies


def found_in(data):
    found = ExactDuplicates().run(data, Signals(data))
    assert isinstance(found, Findings)
    return found


def test_contract():
    check_method(ExactDuplicates)


def test_copies_are_found_with_their_first_row_as_twin():
    planted = texts_with_copies(300, copies=20, seed=3)
    found = found_in(planted.data)
    assert np.array_equal(found.rows, planted.rows)
    texts = planted.data.table["text"].to_pylist()
    for row, twin in zip(found.rows, found.suggestion, strict=True):
        assert texts[row].lower().split() == texts[twin].lower().split()
        assert twin < row


def test_equal_vectors_are_copies_whatever_their_labels():
    X = np.random.default_rng(0).normal(size=(50, 4))
    X[30] = X[4]
    found = found_in(table_dataset(X, [f"c{i % 3}" for i in range(50)]))
    assert (found.rows.tolist(), found.suggestion.tolist()) == ([30], [4])


def test_nothing_to_compare_is_said():
    data = Dataset(pa.table({"y": ["a", "b"]}), {Role.LABEL: ["y"]})
    assert isinstance(ExactDuplicates().run(data, Signals(data)), NotApplicable)


@pytest.mark.data
def test_the_known_copies_of_adult():
    data = load(real("bias_tabular") / "adult.parquet", label="income-per-year")
    whole = data.table.to_pandas().duplicated().sum()
    assert whole == 24
    assert len(found_in(data)) >= whole  # one more pair differs in its label only
