from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.realdata import real

from dross.core.dataset import Dataset
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.near_duplicates import NearDuplicates
from dross.testing.check_method import check_method
from dross.testing.planted import blobs

VOCABULARY = [f"{a}{b}{c}" for a in "bcdfglmnprst" for b in "aeiou" for c in "dklmnrstvz"]


def texts(n, words, seed):
    rng = np.random.default_rng(seed)
    return [[str(w) for w in rng.choice(VOCABULARY, words)] for _ in range(n)], rng


def dataset(documents):
    return Dataset(pa.table({"t": [" ".join(words) for words in documents]}), {Role.TEXT: ["t"]})


def found_in(data, signals=None):
    found = NearDuplicates().run(data, signals or Signals(data))
    assert isinstance(found, Findings)
    return found


def test_contract():
    check_method(NearDuplicates)


@pytest.mark.parametrize(("words", "edits"), [(150, 7), (60, 3), (12, 1)])
def test_edited_copies_are_found_and_named(words, edits):
    documents, rng = texts(800, words, seed=words)
    for i in range(80):
        copy = list(documents[i])
        for at in rng.choice(words, edits, replace=False):
            copy[at] = str(rng.choice(VOCABULARY))
        documents.append(copy)
    found = found_in(dataset(documents))
    hits = found.rows >= 800
    assert hits.sum() >= 78
    assert hits.mean() >= 0.99
    assert (found.suggestion[hits] == found.rows[hits] - 800).mean() >= 0.99
    assert (found.scores >= 0.5).all()
    assert np.array_equal(found.evidence["twin"], found.suggestion)


@pytest.mark.parametrize("words", [150, 40, 12, 5])
def test_random_texts_raise_no_alarm(words):
    assert len(found_in(dataset(texts(1500, words, seed=words)[0]))) == 0


def test_closer_copies_score_higher():
    documents, rng = texts(200, 100, seed=9)
    for edits in (1, 4, 9):
        copy = list(documents[edits])
        for at in rng.choice(100, edits, replace=False):
            copy[at] = "changed"
        documents.append(copy)
    found = found_in(dataset(documents))
    assert found.rows.tolist() == [200, 201, 202]
    assert found.scores[0] > found.scores[1] > found.scores[2]


def test_an_appended_copy_is_the_finding_not_its_source():
    documents, _ = texts(300, 50, seed=4)
    data = dataset(documents)
    signals = Signals(data)
    assert len(found_in(data, signals)) == 0
    edited = [" ".join([*documents[i][:-1], "new"]) for i in (5, 250)]
    grown = data.append(pa.table({"t": edited}))
    found = found_in(grown, signals.derive(grown))
    assert (found.rows.tolist(), found.suggestion.tolist()) == ([300, 301], [5, 250])


def test_a_group_keeps_its_first_row():
    documents, _ = texts(100, 40, seed=5)
    documents += [[*documents[3][:-1], f"end{i}"] for i in range(50)]
    found = found_in(dataset(documents))
    assert found.rows.tolist() == list(range(100, 150))
    assert found.summary["groups"] == 1


def test_vectors_and_categories_are_not_compared():
    data = blobs(50).data
    assert isinstance(NearDuplicates().run(data, Signals(data)), NotApplicable)
    classes = Dataset(pa.table({"a": ["x", "y"] * 40, "b": ["u", "v"] * 40}), {Role.FEATURES: ["a", "b"]})
    assert isinstance(NearDuplicates().run(classes, Signals(classes)), NotApplicable)


@pytest.mark.data
@pytest.mark.parametrize(("name", "recall"), [("febrl1", 0.98), ("febrl2", 0.97), ("febrl3", 0.97)])
def test_person_records_of_febrl(name, recall):
    table = pq.read_table(real("febrl_duplicates") / f"{name}.parquet")
    fields = [c for c in table.column_names if c not in {"rec_id", "entity"}]
    found = found_in(Dataset(table, {Role.FEATURES: fields}))
    entity = table["entity"].to_numpy()
    assert (entity[found.rows] == entity[found.suggestion]).mean() >= 0.999
    assert len(found) >= recall * (len(entity) - len(np.unique(entity)))
