"""Cross-entropy: the contract, the three kinds of outcome it teaches, and where it does not apply."""

from __future__ import annotations

import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.testing import check_method
from dross.testing.planted import blobs
from dross.train.cross_entropy import CrossEntropy


def test_contract() -> None:
    check_method(CrossEntropy)


def test_it_does_not_apply_where_there_is_nothing_to_predict_or_to_read() -> None:
    data = blobs(20).data
    bare = Dataset(data.table, {Role.EMBEDDING: ["x"]})
    assert isinstance(CrossEntropy().run(bare, Signals(bare)), NotApplicable)
    blind = Dataset(pa.table({"y": ["a", "b"] * 5}), {Role.LABEL: ["y"]})
    assert isinstance(CrossEntropy().run(blind, Signals(blind)), NotApplicable)
