"""The embedding turned onto its main directions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.principal import DIMENSIONS, Principal, principal


def test_long_embeddings_keep_their_main_directions() -> None:
    rng = np.random.default_rng(3)
    X = (rng.normal(size=(400, 5)) @ rng.normal(size=(5, 300))).astype(np.float32)
    short = principal(X)
    assert short.shape == (400, DIMENSIONS)
    assert np.allclose(short.mean(0), 0, atol=1e-2)
    assert np.square(short).sum() == pytest.approx(np.square(X - X.mean(0)).sum(), rel=1e-3)


def test_short_embeddings_are_only_centred() -> None:
    X = np.random.default_rng(4).normal(size=(50, 3)).astype(np.float32)
    assert np.allclose(principal(X), X - X.mean(0), atol=1e-6)


def test_the_directions_do_not_depend_on_the_labels() -> None:
    table = pa.table({"x": np.random.default_rng(5).normal(size=40), "y": ["a", "b"] * 20})
    data = Dataset(table, {Role.FEATURES: ["x"], Role.LABEL: ["y"]})
    signals = Signals(data)
    flipped = data.with_column("y", pa.array(["b", "a"] * 20))
    assert np.array_equal(signals.derive(flipped)[Principal()], signals[Principal()])
