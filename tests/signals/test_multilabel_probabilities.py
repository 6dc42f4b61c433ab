from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.multilabel_probabilities import MultilabelProbabilities, given_labels

TOPICS = {"sport": "goal match team", "food": "bread soup oven", "law": "court judge trial"}


def tagged(n: int = 200, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    has = rng.random((n, 3)) < 0.4
    labels = [[name for name, there in zip(TOPICS, row, strict=True) if there] for row in has]
    texts = []
    for i, row in enumerate(labels):
        words = [w for name in row for w in rng.choice(TOPICS[name].split(), 2)]
        texts.append(" ".join([*words, *rng.choice("we went home that day".split(), 4), str(i)]))
    return Dataset(pa.table({"t": texts, "y": labels}), {Role.TEXT: ["t"], Role.LABELS: ["y"]})


def test_finds_each_label() -> None:
    data = tagged()
    P = Signals(data)[MultilabelProbabilities()]
    given = given_labels(data)
    assert given.names == sorted(TOPICS)
    assert P.shape == (200, 3)
    assert P.dtype == np.float32
    assert 0 < P.min() <= P.max() < 1
    assert roc_auc_score(given.matrix, P) > 0.97
    assert P.mean(axis=0) == pytest.approx(given.matrix.mean(axis=0), abs=0.06)
    assert np.array_equal(P, Signals(data)[MultilabelProbabilities()])


def test_rows_without_a_list_and_a_label_that_stands_once() -> None:
    data = tagged(120)
    labels: list[list[str] | None] = data.table.column("y").to_pylist()
    labels[:30] = [None] * 30
    labels[-1] = ["seldom"]
    changed = data.with_column("y", pa.array(labels))
    P = Signals(changed)[MultilabelProbabilities()]
    assert P.shape == (120, 4)
    assert np.isfinite(P).all()
    truth = given_labels(data).matrix[:30]
    assert roc_auc_score(truth, P[:30][:, [0, 1, 3]]) > 0.9


def test_labels_are_read_whatever_their_layout() -> None:
    table = pa.table({"y": pa.array([[2, 10], [], None, [10, 10, None]])})
    data = Dataset(table, {Role.LABELS: ["y"]})
    found = given_labels(data)
    assert found.names == [2, 10]
    assert found.matrix.tolist() == [[True, True], [False, False], [False, False], [False, True]]
    assert found.known.tolist() == [True, True, False, True]
    pieces = Dataset(pa.concat_tables([table.slice(0, 1), table.slice(1)]), data.roles)
    assert np.array_equal(given_labels(pieces).matrix, found.matrix)
    plain = Dataset(pa.table({"y": ["a"]}), {Role.LABELS: ["y"]})
    with pytest.raises(DrossError, match="not lists"):
        given_labels(plain)
    empty = Dataset(pa.table({"t": ["a"], "y": pa.array([[]], pa.list_(pa.string()))}), {Role.LABELS: ["y"]})
    with pytest.raises(DrossError, match="no row has a label"):
        Signals(empty)[MultilabelProbabilities()]


def test_added_rows_are_predicted_and_the_first_stay() -> None:
    whole = tagged()
    signals = Signals(Dataset(whole.table.slice(0, 170), whole.roles))
    before = signals[MultilabelProbabilities()]
    after = signals.derive(signals.data.append(whole.table.slice(170)))[MultilabelProbabilities()]
    assert np.array_equal(after[:170], before)
    assert roc_auc_score(given_labels(whole).matrix[170:], after[170:]) > 0.9
