from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.split_leakage import SplitLeakage, leaks
from dross.signals.copies import Contents
from dross.testing.check_method import check_method
from dross.testing.planted import table_dataset


def split_dataset(X, splits):
    plain = table_dataset(X, ["a"] * len(X))
    return Dataset(plain.table.append_column("part", pa.array(splits)), {**plain.roles, Role.SPLIT: ["part"]})


def found_in(data):
    found = SplitLeakage().run(data, Signals(data))
    assert isinstance(found, Findings)
    return found


def test_contract():
    check_method(SplitLeakage)


def test_copies_in_training_are_found_by_kind_and_the_rest_are_not():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 8)).astype(np.float32)
    X[300:310] = X[:10]  # equal
    X[310:320] = X[10:20] + np.float32(1e-3)  # near
    X[100:110] = X[:10]  # copies within training
    X[390:395] = X[380:385]  # copies within test
    found = found_in(split_dataset(X, ["train"] * 300 + ["test"] * 100))
    assert found.rows.tolist() == list(range(300, 320))
    assert found.suggestion.tolist() == list(range(20))
    assert found.evidence["kind"].tolist() == ["exact"] * 10 + ["semantic"] * 10
    assert (found.scores[:10] == 1).all()
    assert found.summary["splits"]["test"] == {"rows": 100, "with a copy in an earlier split": 20}


def test_between_validation_and_test_the_later_one_is_found_and_missing_splits_do_not_count():
    X = np.random.default_rng(1).normal(size=(200, 8))
    X[150], X[151], X[199] = X[120], X[0], X[5]
    splits = ["train"] * 100 + ["test"] * 50 + ["validation"] * 49 + [None]
    found = found_in(split_dataset(X, splits))
    assert (found.rows.tolist(), found.suggestion.tolist()) == ([150, 151], [120, 0])


def test_near_texts_leak_too():
    rng = np.random.default_rng(2)
    words = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in "lmnrst"]
    texts = [" ".join(rng.choice(words, 40)) for _ in range(120)]
    texts[110] = texts[4].replace(texts[4].split()[7], "changed", 1)
    data = Dataset(
        pa.table({"t": texts, "part": ["train"] * 100 + ["test"] * 20}), {Role.TEXT: ["t"], Role.SPLIT: ["part"]}
    )
    found = found_in(data)
    assert found.rows.tolist() == [110]
    assert found.suggestion.tolist() == [4]
    assert found.evidence["kind"][0] in {"near", "semantic"}


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(-1, 2)), min_size=1, max_size=25), st.data())
def test_leaks_equal_a_search_over_all_rows(rows, draw):
    names = [c for c, _ in rows]
    content = np.array([names.index(c) for c in names], np.int64)
    splits = np.array([s for _, s in rows], np.int32)
    distinct = sorted(set(content.tolist()))
    pairs = draw.draw(st.lists(st.tuples(st.sampled_from(distinct), st.sampled_from(distinct)), max_size=6))
    pairs = sorted({(a, b) for a, b in pairs if a < b})
    source = np.array([a for a, b in pairs] + [b for a, b in pairs], np.int64)
    target = np.array([b for a, b in pairs] + [a for a, b in pairs], np.int64)
    found = Contents(content, source, target, np.full(len(source), 0.7, np.float32), np.ones(len(source), np.int8))
    got_rows, twins, scores, _ = leaks(found, splits)
    expected = {}
    for i, s in enumerate(splits):
        for j, t in enumerate(splits):
            linked = (content[i], content[j]) in pairs or (content[j], content[i]) in pairs
            if 0 <= t < s and (content[i] == content[j] or linked):
                expected[i] = max(expected.get(i, 0.0), 1.0 if content[i] == content[j] else np.float32(0.7))
    assert dict(zip(got_rows.tolist(), scores.tolist(), strict=True)) == expected
    assert all(0 <= splits[j] < splits[i] for i, j in zip(got_rows, twins, strict=True))


def test_one_split_is_said_to_be_one():
    data = split_dataset(np.eye(10), ["train"] * 10)
    assert isinstance(SplitLeakage().run(data, Signals(data)), NotApplicable)
