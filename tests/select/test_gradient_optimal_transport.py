"""GOT-D: the transport against a linear program, the gradient against finite differences, and what is chosen."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.gradient_optimal_transport import GradientOptimalTransport, calibrated, dual_potentials
from dross.testing import check_method


def test_contract() -> None:
    check_method(GradientOptimalTransport)


def cloud(seed: int, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, 3)).astype(np.float32), (rng.standard_normal((n, 3)) + 0.5).astype(np.float32)


def test_the_plan_has_the_weights_it_must_have() -> None:
    target, pool = cloud(0, 40, 25)
    f, g, rounds = dual_potentials(target, pool, 0.1, rounds=2000, tolerance=1e-9)
    c = np.square(target[:, None] - pool[None]).sum(axis=2)
    plan = np.exp((f[:, None] + g - c / c.mean()) / 0.1) / (25 * 40)
    assert rounds < 2000
    assert np.allclose(plan.sum(axis=0), 1 / 40, atol=1e-6)
    assert np.allclose(plan.sum(axis=1), 1 / 25, atol=1e-6)


def test_small_epsilon_is_the_linear_program() -> None:
    from scipy.optimize import linprog

    target, pool = cloud(1, 8, 6)
    c = np.square(target[:, None] - pool[None]).sum(axis=2)
    c /= c.mean()
    sums = [np.kron(np.eye(6), np.ones(8)), np.kron(np.ones(6), np.eye(8))]
    exact = linprog(c.ravel(), A_eq=np.concatenate(sums), b_eq=np.r_[np.full(6, 1 / 6), np.full(8, 1 / 8)]).fun
    f, g, _ = dual_potentials(target, pool, 0.005, rounds=20_000, tolerance=1e-10)
    assert f.mean() + g.mean() == pytest.approx(exact, rel=0.03)


def test_the_gradient_is_that_of_the_distance() -> None:
    """Doubling a row of the pool changes the distance as its calibrated potential says."""
    target, pool = cloud(2, 60, 50)

    def distance(rows: np.ndarray) -> float:
        f, g, _ = dual_potentials(target, rows, 0.1, rounds=3000, tolerance=1e-10)
        c = np.square(target[:, None] - rows[None]).sum(axis=2)
        return float((f.mean() + g.mean()) * c.mean())

    before = distance(pool)
    _, g, _ = dual_potentials(target, pool, 0.1, rounds=3000, tolerance=1e-10)
    said = calibrated(g)
    changes = [distance(np.concatenate([pool, pool[i : i + 1]])) - before for i in range(0, 60, 6)]
    assert np.corrcoef(changes, said[::6])[0, 1] > 0.95


def test_what_is_missing_is_chosen_first() -> None:
    rng = np.random.default_rng(3)
    near, new = rng.normal(0, 1, (190, 4)), rng.normal(8, 1, (10, 4))
    target = np.concatenate([rng.normal(0, 1, (20, 4)), rng.normal(8, 1, (20, 4))])
    rows = np.concatenate([near, new, target]).astype(np.float32)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 4)
    part = pa.array(["train"] * 200 + ["target"] * 40)
    data = Dataset(pa.table({"x": flat, "part": part}), {Role.FEATURES: ["x"], Role.SPLIT: ["part"]})
    found = GradientOptimalTransport(count=10).run(data, Signals(data))
    assert isinstance(found, Selection)
    assert sorted(found.rows.tolist()) == list(range(190, 200))
    bare = Dataset(data.table, {Role.FEATURES: ["x"]})
    assert isinstance(GradientOptimalTransport().run(bare, Signals(bare)), NotApplicable)
    with pytest.raises(DrossError, match="epsilon 0"):
        GradientOptimalTransport(epsilon=0.0).run(data, Signals(data))
