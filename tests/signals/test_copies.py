from __future__ import annotations

import numpy as np
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.copies import KINDS, Copies
from dross.testing.planted import table_dataset


def test_near_texts_join_the_contents_of_equal_ones():
    one = "please tell me how long it takes until the money arrives in my account"
    other = one.replace("arrives", "arrive")
    table = pa.table({"t": [one, "something else altogether, of other words", one.upper(), other, other + " "]})
    found = Signals(Dataset(table, {Role.TEXT: ["t"]}))[Copies()]
    assert found.content.tolist() == [0, 1, 0, 3, 3]
    assert list(zip(found.source.tolist(), found.target.tolist(), strict=True)) == [(0, 3), (3, 0)]
    assert [KINDS[kind] for kind in found.kind] == ["near", "near"]
    assert (found.closeness >= 0.5).all()


def test_vectors_are_compared_only_when_asked_for():
    X = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    X = np.concatenate([X, X[:3] * np.float32(1 + 1e-4) + np.float32(1e-4)])
    signals = Signals(table_dataset(X, ["a"] * 203))
    assert len(signals[Copies()].source) == 0
    found = signals[Copies(semantic=True)]
    assert sorted(found.target.tolist()) == [0, 1, 2, 200, 201, 202]
    assert {KINDS[kind] for kind in found.kind} == {"semantic"}
