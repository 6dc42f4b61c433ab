"""Noisy model tuning: the three terms, the frozen extractor, what it applies to."""

from __future__ import annotations

import pyarrow as pa
import torch

from dross.core.dataset import Dataset
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.networks import Maker
from dross.models.trained import Trained
from dross.testing import check_method
from dross.testing.planted import blobs
from dross.train.noisy_model_tuning import NoisyModelTuning, correlation, dominance, inconsistency


def test_contract() -> None:
    check_method(NoisyModelTuning)


def test_consistency_is_two_minus_twice_the_cosine_over_the_dimensions() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(7, 5), torch.randn(7, 5)
    cosine = torch.nn.functional.cosine_similarity(a, b)
    assert torch.allclose(inconsistency(a, b), (2 - 2 * cosine).mean() / 5, atol=1e-6)
    assert float(inconsistency(3 * a, a)) < 1e-12  # only the direction counts


def test_correlation_is_that_of_the_covariance_matrix() -> None:
    torch.manual_seed(0)
    z = torch.randn(20, 4)
    covariance = torch.cov(z.T)
    off = sum(float(covariance[i, j]) ** 2 for i in range(4) for j in range(4) if i != j) / 4
    assert abs(float(correlation(z)) - off) < 1e-5


def test_dominance_rises_when_it_is_ascended_and_is_one_for_one_direction() -> None:
    torch.manual_seed(0)
    z = torch.randn(8, 3, requires_grad=True)
    before = dominance(z)
    before.backward()
    assert float(dominance(z.detach() + 0.1 * z.grad)) > before.item()
    assert abs(float(dominance(torch.ones(8, 1) @ torch.randn(1, 3))) - 1) < 1e-5


def test_a_frozen_body_does_not_move_and_the_network_behind_it_does() -> None:
    method = NoisyModelTuning(network="mlp")
    made = method.build(Maker("mlp", "vector", (4,), 2))["net"]
    asked = {name: p.requires_grad for name, p in made.named_parameters()}
    assert not any(moves for name, moves in asked.items() if name.startswith("body.0"))
    assert all(moves for name, moves in asked.items() if not name.startswith("body.0"))


def test_strong_consistency_keeps_the_vectors_where_they_were() -> None:
    data = blobs(150, k=3, seed=2).data
    away = []
    for weight in (0.0, 1000.0):
        model = NoisyModelTuning(epochs=15, consistency=weight, learning_rate=5e-3).run(data, Signals(data))
        assert isinstance(model, Trained)
        vectors = torch.from_numpy(model.encoder(data))
        away.append(float(inconsistency(torch.from_numpy(model.embed(data)), vectors)))
    assert away[1] < away[0] / 2


def test_texts_have_no_extractor() -> None:
    table = pa.table({"text": ["a", "b", "c", "d"], "label": ["x", "y", "x", "y"]})
    data = Dataset(table, {Role.TEXT: ["text"], Role.LABEL: ["label"]})
    assert isinstance(NoisyModelTuning().run(data, Signals(data)), NotApplicable)
