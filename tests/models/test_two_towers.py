"""Two towers: the loss against the formula written out, and towers that find partners."""

from __future__ import annotations

import numpy as np
import pytest

from dross.models.loop import Settings
from dross.models.two_sides import Sides, unit
from dross.models.two_towers import contrast, train_towers

torch = pytest.importorskip("torch")


def test_the_loss_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    a, b = (unit(rng.standard_normal((6, 3)).astype(np.float32)) for _ in range(2))
    content, scale = np.array([0, 1, 2, 0, 3, 1]), 5.0
    total = 0.0
    for one, other in ((a, b), (b, a)):
        for i in range(6):
            rivals = [j for j in range(6) if j == i or content[j] != content[i]]
            total -= scale * one[i] @ other[i] - np.log(sum(np.exp(scale * one[i] @ other[j]) for j in rivals))
    found = contrast(*(torch.from_numpy(x) for x in (a, b, content)), torch.tensor(scale))
    assert float(found) == pytest.approx(total / 12, rel=1e-5)


def test_partners_are_found() -> None:
    rng = np.random.default_rng(0)
    X = unit(rng.standard_normal((300, 8)).astype(np.float32))
    Y = unit(X @ rng.standard_normal((8, 5)).astype(np.float32))
    sides = Sides(X, Y, ("a", "b"), False, np.arange(300, dtype=np.uint64), np.ones(300, bool))
    towers = train_towers(sides.take(np.arange(200)), Settings(60, 32, 1e-2), width=8, hidden=32)
    held = sides.take(np.arange(200, 300))
    assert towers.found(held).mean() > 0.5  # by chance one in a hundred
    a, b = towers.embed(held)
    assert np.allclose(np.linalg.norm(a, axis=1), 1, atol=1e-5)
    assert np.allclose(towers.alignment(held), (a * b).sum(axis=1), atol=1e-6)
