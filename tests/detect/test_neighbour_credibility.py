"""Neighbour credibility: the soft labels by hand, the fitted noise, planted flips found and rewritten."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.neighbour_credibility import (
    SHARPNESS,
    NeighbourCredibility,
    belief_in_given,
    credibility,
    fit_noise,
    soft_labels,
)
from dross.signals.neighbours import Neighbours
from dross.signals.probabilities import Probabilities
from dross.testing import check_method
from dross.testing.planted import blobs, digits


@settings(max_examples=50)
@given(st.integers(1, 30), st.integers(2, 5), st.integers(1, 6), st.integers(0, 10_000))
def test_soft_labels_equal_a_loop(n: int, k: int, j: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, k, n).astype(np.int32)
    near = rng.integers(-1, n, (n, j))
    weights = rng.random((n, j)).astype(np.float32)
    prior = rng.dirichlet(np.ones(k))
    slow = np.tile(prior, (n, 1))
    for i in range(n):
        for a in range(j):
            if near[i, a] >= 0 and labels[near[i, a]] >= 0:
                slow[i, labels[near[i, a]]] += weights[i, a]
    slow /= slow.sum(1, keepdims=True)
    assert np.allclose(soft_labels(labels, near, weights, prior), slow, atol=1e-5)


@settings(max_examples=50)
@given(st.integers(2, 6), st.integers(0, 10_000))
def test_powers_of_the_belief(k: int, seed: int) -> None:
    belief = np.random.default_rng(seed).dirichlet(np.ones(k), 8).astype(np.float32) + np.float32(1e-5)
    labels = np.arange(8, dtype=np.int32) % k
    powers = np.stack([belief.astype(float) ** b for b in SHARPNESS], axis=1)
    slow = powers[np.arange(8), :, labels] / powers.sum(2)
    assert np.allclose(belief_in_given(labels, belief), slow, atol=1e-4)


@pytest.mark.parametrize(("rate", "power"), [(0.0, 1.0), (0.02, 1.0), (0.15, 2.0), (0.4, 0.5)])
def test_noise_and_sharpness_are_recovered(rate: float, power: float) -> None:
    """The labels are drawn from belief ** power, and a share of them replaced."""
    rng = np.random.default_rng(0)
    n, k = 20_000, 5
    belief = rng.dirichlet(np.full(k, 0.3), n) + 1e-4
    true = belief**power
    true /= true.sum(1, keepdims=True)
    labels = (rng.random((n, 1)) > np.cumsum(true, 1)).sum(1).clip(0, k - 1)
    wrong = rng.random(n) < rate
    labels[wrong] = (labels[wrong] + rng.integers(1, k, wrong.sum())) % k
    chosen, fitted = fit_noise(belief_in_given(labels.astype(np.int32), belief.astype(np.float32)), k)
    assert power / 1.5 < SHARPNESS[chosen] < power * 1.5
    assert fitted == pytest.approx(rate, abs=0.03)


def test_credibility_is_a_chance() -> None:
    share = np.linspace(0, 1, 11)
    right = credibility(share, 0.2, 4)
    assert right[0] == 0
    assert right[-1] == 1
    assert (np.diff(right) > 0).all()
    assert credibility(np.array([0.25]), 0.75, 4)[0] == pytest.approx(0.25)


@pytest.mark.parametrize("rate", [0.02, 0.35])
def test_flips_are_found_and_rewritten(rate: float) -> None:
    planted = digits(flipped=rate, seed=1)
    found = NeighbourCredibility().run(planted.data, Signals(planted.data))
    assert isinstance(found, Findings)
    assert found.suggestion is not None
    assert planted.truth is not None
    flagged = found.rows[found.scores >= 0.5]
    hits = np.isin(flagged, planted.rows).sum()
    assert 2 * hits / (len(flagged) + len(planted.rows)) > (0.8 if rate < 0.1 else 0.93)
    assert (found.suggestion[planted.rows] == planted.truth[planted.rows]).mean() > 0.93
    assert found.summary["estimated_error_rate"] == pytest.approx(rate, abs=0.03)


@pytest.mark.parametrize("k", [2, 10])
def test_labels_that_content_cannot_tell_are_not_called_errors(k: int) -> None:
    data = blobs(500, k=k, spread=40.0, flipped=0.0).data
    found = NeighbourCredibility().run(data, Signals(data))
    assert isinstance(found, Findings)
    assert (found.scores >= 0.5).mean() < 0.05


def test_clean_labels_stay() -> None:
    planted = digits(flipped=0.0)
    found = NeighbourCredibility().run(planted.data, Signals(planted.data))
    assert isinstance(found, Findings)
    assert (found.scores >= 0.5).mean() < 0.01


def test_reads_labels_from_the_data_not_from_a_signal() -> None:
    planted = blobs(300, flipped=0.0, spread=0.5)
    signals = Signals(planted.data)
    NeighbourCredibility().run(planted.data, signals)
    codes = planted.data.codes.copy()
    codes[:12] = (codes[:12] + 1) % 4
    names = np.array(planted.data.classes)[codes]
    changed = planted.data.with_column("label", pa.array(names))
    found = NeighbourCredibility().run(changed, signals.derive(changed, carry=(Probabilities, Neighbours)))
    assert isinstance(found, Findings)
    assert found.scores[:12].min() > np.quantile(found.scores[12:], 0.95)


def test_needs_content_and_neighbours() -> None:
    data = blobs(40).data
    bare = Dataset(data.table.select(["label"]), {Role.LABEL: ["label"]})
    assert isinstance(NeighbourCredibility().run(bare, Signals(bare)), NotApplicable)


def test_keeps_the_contract() -> None:
    check_method(NeighbourCredibility)
