"""TAS-Balanced: the batches, the bins, the losses against their definition, the candidates, and a small training."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.testing import check_method
from dross.train.tas_balanced import (
    TASBalanced,
    balanced_draw,
    bins_of,
    candidates,
    dual_supervision,
    topic_batches,
)


def pairs(n: int, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    words = [f"w{i}" for i in range(60)]
    passages = [" ".join(rng.choice(words, 12)) for _ in range(n)]
    queries = [" ".join(passage.split()[:4]) for passage in passages]
    return Dataset(pa.table({"q": queries, "p": passages}), {Role.QUERY: ["q"], Role.PASSAGE: ["p"]})


def test_contract() -> None:
    check_method(TASBalanced)


def test_batches_hold_one_topic_where_it_has_enough() -> None:
    rng = np.random.default_rng(0)
    topics = np.repeat([0, 1, 2], [40, 40, 5])
    for rows in topic_batches(topics, 20, 50, rng):
        assert len(rows) == len(set(rows.tolist())) == 20
        kinds = np.bincount(topics[rows], minlength=3)
        assert kinds.max() == 20 or kinds[2] == 5
    small = list(topic_batches(topics, 200, 1, rng))
    assert sorted(small[0].tolist()) == list(range(85))


def test_negatives_are_drawn_evenly_over_the_bins() -> None:
    margins = np.concatenate([np.linspace(0, 0.09, 90), np.linspace(0.1, 1, 10)]).astype(np.float32)[None]
    binned = bins_of(margins, 10)
    assert binned.min() == 0
    assert binned.max() == 9
    rng = np.random.default_rng(1)
    drawn = [int(binned[0, balanced_draw(binned, 10, rng)[0]]) for _ in range(4000)]
    shares = np.bincount(drawn, minlength=10)[np.unique(binned)] / 4000
    assert np.allclose(shares, 1 / len(np.unique(binned)), atol=0.03)


def test_the_losses_are_margin_errors() -> None:
    import torch

    g = torch.Generator().manual_seed(0)
    student, one, other = ((torch.randn(4, 4, generator=g), torch.randn(4, 4, generator=g)) for _ in range(3))
    pair, batch = dual_supervision(student, one, other, 0.75)
    expected = np.mean(
        [float((student[0][i, i] - student[1][i, i] - one[0][i, i] + one[1][i, i]) ** 2) for i in range(4)]
    )
    assert float(pair) == pytest.approx(expected, rel=1e-5)
    errors = [
        [
            float((student[0][i, i] - student[s][i, j] - other[0][i, i] + other[s][i, j]) ** 2)
            for i in range(4)
            for j in range(4)
        ]
        for s in (0, 1)
    ]
    assert float(batch) == pytest.approx(0.75 * np.mean(errors), rel=1e-5)


def test_candidates_are_the_nearest_that_do_not_answer() -> None:
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((30, 2, 5)).astype(np.float32)
    queries, passages = rng.integers(0, 12, 30), np.arange(30)
    found = candidates(vectors, queries, passages, 6)
    for i in range(30):
        allowed = [j for j in range(30) if queries[j] != queries[i]]
        expected = sorted(allowed, key=lambda j: -float(vectors[i, 0] @ vectors[j, 1]))[:6]
        assert found.negatives[i].tolist() == expected
    assert (np.diff(found.margins, axis=1) >= 0).all()


def test_a_small_training_and_bad_input() -> None:
    data = pairs(120)
    model = TASBalanced(epochs=2, candidates=20, topics=4).run(data, Signals(data))
    vectors = model.embed(data, Role.QUERY)  # type: ignore[union-attr,call-arg]
    assert vectors.shape[0] == 120
    assert np.isfinite(vectors).all()
    with pytest.raises(DrossError, match="bins is 0"):
        TASBalanced(bins=0, epochs=1).run(data, Signals(data))
