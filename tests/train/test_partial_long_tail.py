"""COMIC: thresholds, the multi-focal loss, the balancing term, missing labels as edits."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from dross.core.signal import Signals
from dross.models.trained import Trained
from dross.testing import check_method
from dross.testing.composites import composites
from dross.train.partial_long_tail import (
    PartialLongTail,
    along,
    balance,
    class_bars,
    corrected,
    multi_focal,
    rarity,
)


def test_contract() -> None:
    check_method(PartialLongTail)


def test_without_focus_clip_and_rarity_the_loss_is_binary_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, y = torch.randn(6, 4), (torch.rand(6, 4) > 0.5).float()
    plain = functional.binary_cross_entropy_with_logits(logits, y, reduction="none").sum(dim=1)
    found = multi_focal(logits, y, torch.ones(4), 0.0, -1.0, 0.0)  # the weight 1 is added to the exponent
    assert torch.allclose(found, plain, atol=1e-5)


def test_the_loss_is_the_equation() -> None:
    torch.manual_seed(1)
    logits, y, w = torch.randn(3, 2), torch.tensor([[1.0, 0], [0, 1], [0, 0]]), torch.tensor([1.0, 1.5])
    p = logits.sigmoid().double()
    for i in range(3):
        total = 0.0
        for c in range(2):
            q = max(0.0, float(p[i, c]) - 0.05)
            if y[i, c]:
                total -= float(w[c] * (1 - p[i, c]) * torch.log(p[i, c]))
            else:
                total -= float(w[c]) * q ** (2 + float(w[c])) * np.log(1 - q)
        assert abs(float(multi_focal(logits, y, w, 1.0, 2.0, 0.05)[i]) - total) < 1e-5


def test_rare_classes_weigh_more() -> None:
    weights = rarity(torch.tensor([100.0, 10.0, 1.0, 0.0]))
    assert weights[0] == 1
    assert (weights.diff() >= 0).all()
    assert torch.isfinite(weights).all()


def test_given_labels_are_never_taken_away_and_bars_are_per_class() -> None:
    y = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    probs = torch.tensor([[0.99, 0.85], [0.9, 0.1], [0.95, 0.82]])
    bars = class_bars(y, probs, 0.8)
    assert torch.allclose(bars, torch.tensor([0.97, 0.82]))
    assert corrected(y, probs, bars).tolist() == [[1, 1], [0, 0], [1, 1]]


def test_all_of_the_direction_can_be_taken_away() -> None:
    torch.manual_seed(0)
    vectors, direction = torch.randn(5, 4), torch.randn(4)
    assert torch.allclose(along(vectors, direction, -1.0) @ direction, torch.zeros(5), atol=1e-5)
    assert torch.equal(along(vectors, torch.zeros(4), 2.0), vectors)


def test_the_balanced_classifier_is_drawn_to_the_better_teacher() -> None:
    logits = torch.zeros(1, 1, requires_grad=True)
    yes, no = torch.tensor([[4.0]]), torch.tensor([[-4.0]])
    balance(logits, yes, no, torch.tensor([0.1]), torch.tensor([1.0])).sum().backward()
    assert float(logits.grad) < 0  # descends towards yes


def test_missing_labels_become_edits() -> None:
    rng = np.random.default_rng(0)
    train = composites(np.arange(1200), 500, rng)
    given = train.truth & (rng.random(train.truth.shape) >= 0.4)
    data = train.dataset(given)
    model = PartialLongTail(epochs=20).run(data, Signals(data))
    assert isinstance(model, Trained)
    assert model.edits is not None
    assert len(model.edits) > 10
    added = [(row, j) for row, b, a in zip(model.edits.rows, model.edits.before, model.edits.after, strict=True)
             for j in set(a) - set(b)]  # fmt: skip
    assert np.mean([train.truth[row, j] for row, j in added]) > 0.8
    assert all(set(b) < set(a) for b, a in zip(model.edits.before, model.edits.after, strict=True))
