"""Latent label shift: the factorisation and the unmixing against known mixtures, hidden classes found, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.claims.label.latent_label_shift import digits_in_domains, matched
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.latent_label_shift import LatentLabelShift, adapt, factorise, how_many, unmix
from dross.testing import check_method


def test_factorisation_recovers_topics_with_anchors() -> None:
    rng = np.random.default_rng(0)
    W = np.array([[0.6, 0, 0], [0, 0.7, 0], [0, 0, 0.5], [0.2, 0.1, 0.3], [0.2, 0.2, 0.2]])
    H = rng.dirichlet(np.full(3, 0.4), 12).T
    found, mix, _ = factorise(1e5 * W @ H, 3, rng, 5)
    order = found[:3].argmax(axis=1)
    assert sorted(order) == [0, 1, 2]
    assert np.allclose(found[:, order], W, atol=0.05)
    assert np.allclose(mix[order], H, atol=0.05)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 4), st.integers(4, 7), st.integers(0, 10_000))
def test_unmixing_is_as_near_as_any_other_mixture(k: int, r: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    by_class = rng.dirichlet(np.ones(r), k).T
    said = rng.dirichlet(np.ones(r), 3)
    found = unmix(said, by_class)
    assert np.allclose(found.sum(axis=1), 1)

    def loss(q: np.ndarray) -> np.ndarray:
        return -(said * np.log(q @ by_class.T)).sum(axis=1)

    for _ in range(50):
        assert (loss(found) <= loss(rng.dirichlet(np.ones(k), 3)) + 1e-3).all()


def test_adapting_is_bayes_rule() -> None:
    rng = np.random.default_rng(1)
    chances, domains = rng.dirichlet(np.ones(3), 40), rng.integers(0, 4, 40)
    adapted, within = adapt(chances, domains, 4)
    for i in (0, 7, 39):
        prior = chances[domains == domains[i]].mean(axis=0)
        slow = chances[i] * prior / chances.mean(axis=0)
        assert np.allclose(adapted[i], slow / slow.sum())
        assert np.allclose(within[domains[i]], prior)


def test_held_out_rows_name_the_number_of_classes() -> None:
    rng = np.random.default_rng(2)
    H = rng.dirichlet(np.full(3, 0.3), 8)
    domains = rng.integers(0, 8, 3000)
    y = (rng.random(3000)[:, None] > H[domains].cumsum(axis=1)).sum(axis=1).clip(0, 2)
    clusters = (3 * y + rng.integers(0, 3, 3000)).astype(np.int32)
    assert int(np.argmax(how_many(clusters, domains.astype(np.int32), (9, 8), rng))) + 1 == 3
    shuffled = rng.permutation(domains).astype(np.int32)
    assert int(np.argmax(how_many(clusters, shuffled, (9, 8), rng))) + 1 == 1


def test_finds_classes_that_pixels_hide() -> None:
    data, truth = digits_in_domains(0, strength=1.0, alpha=0.3)
    found = LatentLabelShift(classes=5, starts=8).run(data, Signals(data))
    assert isinstance(found, Labels)
    assert matched(found.codes, truth) > 85
    assert found.summary["domain_accuracy"] > found.summary["domain_accuracy_by_chance"]


def test_same_seed_same_answer() -> None:
    data = digits_in_domains(0, strength=1.0, alpha=0.3)[0].slice(0, 200)
    method = LatentLabelShift(classes=3, clusters=6, starts=2)
    found, again = method.run(data, Signals(data)), method.run(data, Signals(data))
    assert isinstance(found, Labels)
    assert isinstance(again, Labels)
    assert np.array_equal(found.probs, again.probs)


def test_what_does_not_apply_says_why() -> None:
    data, _ = digits_in_domains(0, strength=1.0, alpha=0.3)
    assert isinstance(LatentLabelShift().applies(Dataset(data.table, {Role.EMBEDDING: ["x"]})), NotApplicable)
    few = data.slice(0, 40)
    assert isinstance(LatentLabelShift().run(few, Signals(few)), NotApplicable)
    assert isinstance(LatentLabelShift(classes=11).run(data, Signals(data)), NotApplicable)
    none = data.slice(0, 0)
    assert isinstance(LatentLabelShift().run(none, Signals(none)), NotApplicable)
    with pytest.raises(DrossError, match="starts"):
        LatentLabelShift(starts=0).run(data, Signals(data))


def test_keeps_the_contract() -> None:
    check_method(LatentLabelShift)
