"""Quality-quantity tradeoff: the law against a loop, its fit, unions, pools by score, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dross.claims.select.qqt_scaling import task
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.qqt_scaling import Laws, QqtScaling, best_unions, fit_laws, predicted
from dross.testing import check_method

SHORT: dict[str, Any] = {"network": "linear", "passes": (1, 2, 4, 8), "repeats": 1, "batch_size": 8}


def test_contract() -> None:
    check_method(QqtScaling)


def test_the_law_is_the_product_over_passes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        size, seen = int(rng.integers(10, 100)), int(rng.integers(5, 2000))
        b, tau, a, d = -rng.random(), 1 + 9 * rng.random(), rng.random(), rng.random() / 5
        error, at, k = (a * min(size, seen)) ** b, min(size, seen), 1
        while at < seen:
            after = min(at + size, seen)
            error *= (after / at) ** (b * 0.5 ** (k / tau))
            at, k = after, k + 1
        assert predicted(seen, size, np.ones(1), np.array([b]), np.array([tau]), a, d) == pytest.approx(error + d)


def test_equal_pools_together_are_one_of_twice_the_half_life() -> None:
    """Theorem 1: p pools alike are one pool of p times the size that wears out p times as slowly."""
    laws = Laws(np.array([-0.4, -0.4, -0.4]), np.array([3.0, 3.0, 9.0]), 0.1, 0.05)
    seen = np.array([50, 500, 5000])
    alone = [predicted(n, 200, np.ones(1), np.array([-0.4]), np.array([6.0]), 0.1, 0.05) for n in seen]
    assert laws.error(seen, [100, 100, 200], [0, 1]) == pytest.approx(alone)


def test_laws_are_found_again_through_noise() -> None:
    rng = np.random.default_rng(1)
    truth = Laws(np.array([-0.6, -0.4, -0.2]), np.array([3.0, 6.0, 12.0]), 0.08, 0.05)
    seen = [50.0 * 2 ** np.arange(8)] * 3
    errors = [truth.error(seen[i], [50] * 3, [i]) + 0.003 * rng.standard_normal(8) for i in range(3)]
    found = fit_laws(seen, errors, [50] * 3)
    far = np.array([300.0, 3000.0, 9000.0])
    for pools in ([0, 1], [0, 1, 2]):
        assert found.error(far, [50] * 3, pools) == pytest.approx(truth.error(far, [50] * 3, pools), abs=0.02)
    assert best_unions(found, [50] * 3, 50)[0] == [0, 1, 2]
    assert [int(best_unions(found, [50] * 3, n)[1].argmin()) for n in (50, 20_000)] == [0, 1]


def test_a_small_budget_takes_the_clean_pool() -> None:
    data = task(0)
    found = QqtScaling(budget=40, learning_rate=1.5e-2, **SHORT).run(data, Signals(data))
    assert isinstance(found, Selection)
    assert found.summary["chosen"][0] == "noise 0.0"
    assert len(found) == 40 * len(found.summary["chosen"])
    domains = data.column(Role.DOMAIN).to_pylist()
    assert {domains[i] for i in found.rows.tolist()} == set(found.summary["chosen"])
    utilities = [pool["utility"] for pool in found.summary["pools"]]
    assert utilities == sorted(utilities)


def test_pools_by_score_are_equal_parts_from_the_best_down() -> None:
    data = task(1)
    score = pa.array(np.linspace(0, 1, len(data)))
    data = Dataset(data.table.append_column("score", score), data.roles)
    names, pools = QqtScaling(score="score", pools=3).pools_of(data)
    assert [len(rows) for rows in pools] == [40, 40, 40]
    assert names[0] == "score 1/3"
    assert pools[0].min() > pools[1].max() > pools[2].max()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"passes": (1, 2, 4)}, "passes"),
        ({"passes": (4, 2, 1, 8)}, "passes"),
        ({"pools": 1}, "pools"),
        ({"score": "poool"}, "did you mean 'pool'"),
        ({"target": "nope"}, "nope"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_bad_input(wrong: dict[str, Any], told: str) -> None:
    data = task(2)
    with pytest.raises(DrossError, match=told):
        QqtScaling(**wrong).run(data, Signals(data))


def test_without_pools_or_a_part_to_measure_on_it_does_not_apply() -> None:
    data = task(3)
    for gone in (Role.DOMAIN, Role.SPLIT, Role.LABEL):
        bare = Dataset(data.table, {role: names for role, names in data.roles.items() if role is not gone})
        assert isinstance(QqtScaling().run(bare, Signals(bare)), NotApplicable)
