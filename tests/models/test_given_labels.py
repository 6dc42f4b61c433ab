"""What the searches for wrong labels share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.given_labels import checked, kernel_weights, labels_and_probs, likeliest_other, row_chunks
from dross.signals.probabilities import Probabilities
from dross.testing.planted import blobs, table_dataset


def test_arrays_come_in_one_form_and_the_caller_keeps_his() -> None:
    labels, probs = np.array([0, 1], np.int64), np.asfortranarray(np.full((2, 2), 0.5))
    given_labels, P = checked(labels, probs)
    assert (given_labels.dtype, P.dtype) == (np.int32, np.float64)
    assert P.flags.c_contiguous
    assert not P.flags.writeable
    assert not given_labels.flags.writeable
    assert labels.flags.writeable
    assert probs.flags.writeable
    assert checked(labels, probs.astype(np.float16))[1].dtype == np.float32


@settings(max_examples=50)
@given(st.integers(1, 30), st.integers(2, 5), st.integers(0, 1000))
def test_likeliest_other_equals_a_loop(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, probs = rng.integers(-1, k, n).astype(np.int32), rng.dirichlet(np.ones(k), n)
    slow = [max((c for c in range(k) if c != y), key=lambda c, p=p: p[c]) for y, p in zip(labels, probs, strict=True)]
    assert likeliest_other(labels, probs).tolist() == slow


@settings(max_examples=50)
@given(st.integers(1, 20), st.integers(1, 8), st.integers(0, 1000))
def test_kernel_weights_fall_with_distance(n: int, j: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    distances = np.sort(rng.gamma(1.0, 1.0, (n, j)).astype(np.float32), axis=1)
    distances[rng.random(n) < 0.2, j // 2 :] = np.inf
    weights = kernel_weights(distances)
    assert np.isfinite(weights).all()
    assert (weights[np.isinf(distances)] == 0).all()
    there = np.isfinite(distances[:, 0])
    assert np.allclose(weights[there, 0], 1)
    assert (np.diff(weights, axis=1) <= 1e-6).all()


def test_no_neighbours_and_equal_rows_weigh_sensibly() -> None:
    assert kernel_weights(np.full((2, 3), np.inf)).tolist() == [[0, 0, 0]] * 2
    assert kernel_weights(np.zeros((1, 3))).tolist() == [[1, 1, 1]]
    assert kernel_weights(np.empty((2, 0))).shape == (2, 0)


@pytest.mark.parametrize("n", [0, 1, 4096, 9000])
def test_chunks_cover_the_rows_once(n: int) -> None:
    assert np.concatenate([np.arange(n)[rows] for rows in row_chunks(n)] or [np.arange(0)]).tolist() == list(range(n))


def test_data_without_content_or_classes_does_not_apply() -> None:
    data = blobs(30).data
    bare = Dataset(data.table.select(["label"]), {Role.LABEL: ["label"]})
    assert isinstance(labels_and_probs(bare, Signals(bare)), NotApplicable)
    one = table_dataset(np.zeros((4, 2)), ["a"] * 4)
    assert isinstance(labels_and_probs(one, Signals(one)), NotApplicable)


def test_probabilities_of_other_classes_are_refused() -> None:
    data = table_dataset(np.zeros((6, 2)), ["a", "b", "a", "b", "c", "c"])
    signals = Signals(data)
    signals._values[Probabilities()] = np.full((6, 2), 0.5, np.float32)
    with pytest.raises(DrossError, match="3"):
        labels_and_probs(data, signals)
