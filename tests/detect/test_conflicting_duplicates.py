from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.realdata import real

from dross.core.dataset import Dataset
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.conflicting_duplicates import ConflictingDuplicates, conflicts, votes
from dross.signals.copies import Contents
from dross.testing.check_method import check_method
from dross.testing.planted import table_dataset


def found_in(data):
    found = ConflictingDuplicates().run(data, Signals(data))
    assert isinstance(found, Findings)
    return found


def test_contract():
    check_method(ConflictingDuplicates)


def test_the_minority_is_suspicious_and_told_the_majority():
    X = np.random.default_rng(0).normal(size=(40, 4))
    X[30:33] = X[0]  # four copies, one of them labelled otherwise
    X[33] = X[1]  # two copies, one of either label
    X[34:36] = X[2]  # three copies, all of one label
    labels = np.array(["a"] * 40)
    labels[[31, 33]] = "b"
    found = found_in(table_dataset(X, labels))
    scores = found.dense(40)
    assert found.rows.tolist() == [0, 1, 30, 31, 32, 33]
    assert scores[31] > scores[1] == scores[33] >= 0.5 > scores[0] == scores[30] == scores[32]
    assert found.suggestion.tolist() == [-1, -1, -1, 0, -1, -1]
    assert found.evidence["twin"].tolist() == [31, 33, 31, 0, 31, 1]


def test_near_copies_conflict_less_than_equal_ones():
    rng = np.random.default_rng(1)
    words = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in "lmnrst"]
    texts = [" ".join(rng.choice(words, 40)) for _ in range(60)]
    texts += [texts[0].upper(), " ".join(["other", *texts[1].split()[1:]]), texts[2].upper()]
    labels = ["a"] * 60 + ["b", "b", "a"]
    data = Dataset(pa.table({"t": texts, "y": labels}), {Role.TEXT: ["t"], Role.LABEL: ["y"]})
    found = found_in(data)
    scores = found.dense(63)
    assert found.rows.tolist() == [0, 1, 60, 61]
    assert scores[60] > scores[61] >= 0.5


def contents(names, pairs):
    content = np.array([names.index(c) for c in names], np.int64)
    source = np.array([a for a, b in pairs] + [b for a, b in pairs], np.int64)
    target = np.array([b for a, b in pairs] + [a for a, b in pairs], np.int64)
    return Contents(content, source, target, np.full(len(source), 0.75, np.float32), np.ones(len(source), np.int8))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 2)), min_size=1, max_size=20), st.data())
def test_votes_and_conflicts_equal_a_count_over_all_rows(rows, draw):
    names = [c for c, _ in rows]
    codes = np.array([y for _, y in rows], np.int32)
    distinct = sorted({names.index(c) for c in names})
    pairs = draw.draw(st.lists(st.tuples(st.sampled_from(distinct), st.sampled_from(distinct)), max_size=5))
    pairs = sorted({(a, b) for a, b in pairs if a < b})
    found = contents(names, pairs)
    counted = votes(found, codes)
    rows_, twins, closeness = conflicts(found, codes)
    expected = []
    for i, content in enumerate(found.content):
        near = {content} | {b for a, b in pairs if a == content} | {a for a, b in pairs if b == content}
        labels = Counter(codes[j] for j, c in enumerate(found.content) if c in near and codes[j] >= 0)
        ranked = [*sorted(labels.values(), reverse=True), 0, 0]
        assert counted.own[i] == (labels[codes[i]] if codes[i] >= 0 else 0)
        assert (counted.top[i], counted.second[i]) == tuple(ranked[:2])
        assert counted.label[i] == (-1 if not labels else min(y for y in labels if labels[y] == ranked[0]))
        if codes[i] >= 0 and set(labels) - {codes[i]}:
            expected.append(i)
    assert rows_.tolist() == expected
    for i, j, close in zip(rows_, twins, closeness, strict=True):
        assert codes[j] not in {codes[i], -1}
        equal = any(c == found.content[i] and codes[m] not in {codes[i], -1} for m, c in enumerate(found.content))
        assert close == (1.0 if equal else 0.75)
        assert (found.content[j] == found.content[i]) == equal


def test_one_class_cannot_conflict():
    data = table_dataset(np.eye(6), ["a"] * 6)
    assert isinstance(ConflictingDuplicates().run(data, Signals(data)), NotApplicable)


@pytest.mark.data
def test_known_inconsistencies_of_banking77():
    table = pq.read_table(real("intent_banking77") / "banking77.parquet")
    data = Dataset(table, {Role.TEXT: ["text"], Role.LABEL: ["category"]})
    found = found_in(data)
    assert found.summary["of them equal"] == 4
    assert 200 < len(found) < 500
    texts = table["text"].to_pylist()
    assert "Has my top-up gone through?" in {texts[i] for i in found.rows[found.scores > 0.8]}
