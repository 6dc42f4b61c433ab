"""Robust active distillation: the closed form against the game solved as a linear program, the drawing, bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.robust_active_distillation import RobustActiveDistillation, draw, equilibrium, gains
from dross.testing import check_method
from dross.testing.planted import blobs


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 12), st.integers(0, 11), st.integers(0, 10_000))
def test_closed_form_solves_the_game(n: int, mistakes: int, seed: int) -> None:
    """max over q of sum(q g) minus its largest ``mistakes`` terms, whose dual form is linear."""
    mistakes = min(mistakes, n - 1)
    gain = np.random.default_rng(seed).uniform(0.05, 1, n)
    q, value, k = equilibrium(gain, mistakes)
    worst = np.sort(q * gain)[: n - mistakes].sum()
    cost = np.concatenate([-gain, [mistakes], np.ones(n)])  # variables: q, the threshold t, the excesses over it
    over = np.hstack([np.diag(gain), -np.ones((n, 1)), -np.eye(n)])
    total = np.concatenate([np.ones(n), np.zeros(n + 1)])[None]
    best = linprog(cost, over, np.zeros(n), total, [1.0], bounds=[(0, None)] * (2 * n + 1))
    assert q.sum() == pytest.approx(1)
    assert (q > 0).sum() == k
    assert worst == pytest.approx(value, abs=1e-9)
    assert value == pytest.approx(-best.fun, abs=1e-7)


def test_more_mistakes_spread_the_draws() -> None:
    gain = np.linspace(0.01, 1, 200)
    sizes = [equilibrium(gain, m)[2] for m in (0, 20, 60, 120)]
    assert sizes[0] == 1
    assert sizes == sorted(sizes)
    assert equilibrium(gain, 200)[2] == 200


def test_drawing_follows_the_probabilities() -> None:
    rng = np.random.default_rng(0)
    probs = np.array([0.5, 0.3, 0.2, 0.0])
    first = np.bincount([draw(probs, 1, rng)[0] for _ in range(4000)], minlength=4) / 4000
    assert np.allclose(first, probs, atol=0.03)
    assert sorted(draw(probs, 9, rng)) == [0, 1, 2]


def partly_labelled(share: float = 0.5) -> Dataset:
    plain = blobs(200, k=3, flipped=0.0, seed=1).data
    label = plain.table.column("label").to_pylist()
    shown = np.random.default_rng(0).random(200) < share
    column = pa.array([v if s else None for v, s in zip(label, shown, strict=True)])
    return Dataset(plain.table.set_column(1, "label", column), plain.roles)


def test_chooses_unlabelled_rows_deterministically() -> None:
    data = partly_labelled()
    signals = Signals(data)
    found = RobustActiveDistillation(count=20).run(data, signals)
    again = RobustActiveDistillation(count=20).run(data, signals)
    assert isinstance(found, Selection)
    assert isinstance(again, Selection)
    assert np.array_equal(found.rows, again.rows)
    assert len(found) == 20
    assert (data.codes[found.rows] < 0).all()


def test_what_does_not_apply_says_why() -> None:
    data = partly_labelled(1.1)
    assert isinstance(RobustActiveDistillation().run(data, Signals(data)), NotApplicable)
    bare = Dataset(data.table, {Role.EMBEDDING: ["x"]})
    assert isinstance(RobustActiveDistillation().run(bare, Signals(bare)), NotApplicable)
    with pytest.raises(DrossError, match="teacher_accuracy"):
        RobustActiveDistillation(teacher_accuracy=2.0).run(data, Signals(data))
    assert gains(np.ones((3, 1))).tolist() == [0, 0, 0]


def test_keeps_the_contract() -> None:
    check_method(RobustActiveDistillation)
