from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.class_imbalance import ClassImbalance, rarity
from dross.testing import check_method


def labelled(labels: list[str | None]) -> Dataset:
    table = pa.table({"x": np.arange(len(labels), dtype=float), "y": pa.array(labels, pa.string())})
    return Dataset(table, {Role.FEATURES: ["x"], Role.LABEL: ["y"]})


def run(labels: list[str | None]) -> Findings:
    data = labelled(labels)
    found = ClassImbalance().run(data, Signals(data))
    assert isinstance(found, Findings)
    return found


def test_half_is_reached_at_a_tenth_of_the_even_share() -> None:
    assert rarity(np.array([190, 10]))[1] == pytest.approx(0.5)
    assert (np.diff(rarity(np.array([1, 5, 50, 500]))) < 0).all()


def test_rows_of_the_rare_class_and_no_others() -> None:
    labels = ["a"] * 500 + [None] * 10 + ["b"] * 480 + ["c"] * 9
    found = run(labels)
    assert found.rows.tolist() == [i for i, y in enumerate(labels) if y == "c"]
    assert (found.scores >= 0.5).all()
    assert found.summary["rare_classes"] == 1
    assert found.summary["smallest"][0] == {"class": "c", "rows": 9, "share": pytest.approx(9 / 989)}
    assert found.evidence["class_rows"].tolist() == [9] * 9


def test_balanced_labels_have_none() -> None:
    found = run(["a", "b", "c"] * 40)
    assert len(found) == 0
    assert found.summary["effective_classes"] == pytest.approx(3)


def test_a_binary_label_of_one_percent() -> None:
    found = run(["no"] * 990 + ["yes"] * 10)
    assert len(found) == 10
    assert found.summary["largest_to_smallest"] == 99


def test_one_class_is_not_imbalance() -> None:
    data = labelled(["a"] * 20)
    assert isinstance(ClassImbalance().run(data, Signals(data)), NotApplicable)


def test_contract() -> None:
    check_method(ClassImbalance)
