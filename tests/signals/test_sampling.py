from __future__ import annotations

import numpy as np
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.signals.sampling import row_keys, smallest


def test_keys_follow_the_content_and_not_the_order() -> None:
    rng = np.random.default_rng(0)
    data = Dataset(pa.table({"x": rng.integers(0, 50, 200), "y": rng.random(200)}), {Role.FEATURES: ["x"]})
    order = rng.permutation(200)
    keys = row_keys(data, [Role.FEATURES])
    assert len(np.unique(keys)) == 200
    assert sorted(keys) == sorted(row_keys(data.take(order), [Role.FEATURES]))
    assert not np.array_equal(keys, row_keys(data, [Role.FEATURES], seed=1))
    other = data.with_column("y", pa.array(rng.random(200)))
    assert np.array_equal(keys, row_keys(other, [Role.FEATURES]))


def test_a_sample_is_of_the_size_asked_for_and_hardly_changes() -> None:
    keys = np.random.default_rng(0).integers(0, 2**63, 1000).astype(np.uint64)
    chosen = smallest(keys, 100)
    assert len(chosen) == 100
    assert (np.diff(chosen) > 0).all()
    assert keys[chosen].max() <= np.delete(keys, chosen).min()
    assert np.intersect1d(chosen, smallest(keys[:990], 100)).size >= 95
    assert smallest(keys[:3], 100).tolist() == [0, 1, 2]
    assert smallest(keys[:0], 5).tolist() == []
