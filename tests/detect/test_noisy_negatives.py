"""Noisy negatives: the strategies by hand, and hidden positives found among a dominant class."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.noisy_negatives import (
    NoisyNegatives,
    nearest_trusted,
    negative_class,
    positive_share,
)
from dross.testing import check_method
from dross.testing.planted import blobs, table_dataset


def hidden_positives(n: int = 1500, seed: int = 0) -> tuple[Dataset, np.ndarray, np.ndarray]:
    """Three quarters negatives of seven sorts, three positive classes of which a fifth is labelled negative."""
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(n) < 0.75, 3, rng.integers(0, 3, n))
    sort = np.where(truth == 3, rng.integers(3, 10, n), truth)
    X = np.eye(10)[sort] * 4 + rng.normal(size=(n, 10))
    positives = np.flatnonzero(truth != 3)
    hidden = np.sort(rng.choice(positives, len(positives) // 5, replace=False))
    labels = truth.copy()
    labels[hidden] = 3
    names = np.array(["born in", "lives in", "works for", "no_relation"])
    return table_dataset(X, names[labels]), hidden, names[truth]


@pytest.mark.parametrize(
    ("classes", "counts", "expected"),
    [
        (["a", "no_relation"], [10, 90], 1),
        (["No-Relation", "b"], [90, 10], 0),
        ([0, 1], [60, 40], 0),
        (["O", "PER"], [80, 20], 0),
        (["N/A", "x"], [80, 20], 0),
        (["none", "x", "y"], [40, 30, 30], -1),
        (["cat", "dog"], [90, 10], -1),
        (["0", "1"], [10, 90], -1),
        ([False, True], [70, 30], 0),
        ([-1, 1], [70, 30], 0),
    ],
)
def test_the_negative_class_is_named_and_dominant(classes: list[object], counts: list[int], expected: int) -> None:
    assert negative_class(classes, np.array(counts)) == expected


def test_shares_by_hand() -> None:
    labels = np.array([0, 1, 2, 0, -1], np.int32)
    missed = np.array([False, False, True, False, False])
    near, weights = np.array([[1, 2, 3], [3, 4, -1]]), np.array([[1.0, 0.5, 0.5], [1.0, 1.0, 0.0]], np.float32)
    assert positive_share(labels, missed, 0, near, weights).tolist() == pytest.approx([2 / 2.5, 0.0])


def test_nearest_trusted_equals_all_distances() -> None:
    rng = np.random.default_rng(0)
    X, trusted = rng.normal(size=(2500, 4)).astype(np.float32), rng.normal(size=(40, 4)).astype(np.float32)
    indices, distances = nearest_trusted(X, trusted, 5)
    every = np.linalg.norm(X[:, None] - trusted[None], axis=2)
    assert np.array_equal(indices, np.argsort(every, axis=1, kind="stable")[:, :5])
    assert np.allclose(distances, np.sort(every, axis=1)[:, :5], atol=1e-3)


def test_intrinsic_strategy_finds_hidden_positives_and_their_class() -> None:
    data, hidden, names = hidden_positives()
    found = NoisyNegatives().run(data, Signals(data))
    assert isinstance(found, Findings)
    assert found.suggestion is not None
    flagged = found.rows[found.scores >= 0.5]
    assert np.isin(flagged, hidden).mean() >= 0.7
    assert np.isin(hidden, flagged).mean() >= 0.5
    suggested = np.array(data.classes)[found.suggestion]
    place = np.searchsorted(found.rows, hidden)
    assert (suggested[place] == names[hidden]).mean() > 0.9
    assert (suggested != "no_relation").all()
    assert (data.codes[found.rows] == data.classes.index("no_relation")).all()


def test_extrinsic_strategy_compares_with_the_trusted_split_only() -> None:
    data, hidden, names = hidden_positives(2000)
    rng = np.random.default_rng(1)
    clean = rng.random(2000) < 0.2
    labels = np.where(clean, names, np.array(data.classes)[data.codes])
    wrong = np.setdiff1d(hidden, np.flatnonzero(clean))
    table = pa.table(
        {"x": data.table["x"], "label": labels, "split": np.where(clean, "gold", "train")},
    )
    split = Dataset(table, {Role.EMBEDDING: ["x"], Role.LABEL: ["label"], Role.SPLIT: ["split"]})
    found = NoisyNegatives(trusted="gold").run(split, Signals(split))
    assert isinstance(found, Findings)
    assert not np.isin(found.rows, np.flatnonzero(clean)).any()
    assert len(found) == (~clean & (labels == "no_relation")).sum()
    flagged = found.rows[found.scores >= 0.5]
    assert np.isin(flagged, wrong).mean() >= 0.6
    assert np.isin(wrong, flagged).mean() >= 0.6


def test_missing_labels_are_not_scored_and_do_not_vote() -> None:
    data, *_ = hidden_positives(300)
    labels = data.table["label"].to_pylist()
    labels[::5] = [None] * 60
    holed = data.with_column("label", pa.array(labels))
    found = NoisyNegatives().run(holed, Signals(holed))
    assert isinstance(found, Findings)
    assert len(found)
    assert (found.rows % 5 > 0).all()


def test_equal_rows_are_no_evidence() -> None:
    data = table_dataset(np.ones((60, 3)), ["none"] * 45 + ["a"] * 10 + ["b"] * 5)
    found = NoisyNegatives().run(data, Signals(data))
    assert isinstance(found, Findings)
    assert (found.scores < 0.5).all()


def test_without_a_negative_class_it_does_not_apply() -> None:
    data = blobs(200).data
    assert isinstance(NoisyNegatives().run(data, Signals(data)), NotApplicable)


def test_a_named_class_is_taken_at_its_word() -> None:
    data = blobs(200).data
    found = NoisyNegatives(negative="class 2").run(data, Signals(data))
    assert isinstance(found, Findings)
    assert (data.codes[found.rows] == 2).all()
    with pytest.raises(DrossError, match="class 9"):
        NoisyNegatives(negative="class 9").run(data, Signals(data))


def test_an_unknown_split_is_named() -> None:
    data, *_ = hidden_positives(100)
    table = data.table.append_column("split", pa.array(["train"] * 100))
    split = Dataset(table, {**data.roles, Role.SPLIT: ["split"]})
    with pytest.raises(DrossError, match="gold"):
        NoisyNegatives(trusted="gold").run(split, Signals(split))


def test_keeps_the_contract() -> None:
    check_method(NoisyNegatives)
