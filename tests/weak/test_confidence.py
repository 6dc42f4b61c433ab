from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.models.votes import from_matrix, majority
from dross.weak import label
from dross.weak.confidence import FLOOR, fit_power, temper
from tests.realdata import real


def test_the_power_is_the_likeliest() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3) * 0.3, 500)
    truth = np.array([rng.choice(3, p=temper(p[None], 0.4)[0]) for p in probs])
    found = fit_power(probs, truth)
    assert found == pytest.approx(0.4, abs=0.08)

    def loss(power: float) -> float:
        chances = temper(probs, power)
        logs = np.log(chances)
        return float(-logs[np.arange(500), truth].sum() - logs.sum(axis=1).mean())

    grid = np.linspace(0.02, 5, 2000)
    assert found == pytest.approx(grid[np.argmin([loss(power) for power in grid])], abs=5e-3)


def test_few_known_labels_do_not_make_certain() -> None:
    sure = np.tile([1.0, 0.0], (30, 1))
    best = temper(sure[:1], fit_power(sure, np.zeros(30, np.int64)))[0, 0]
    assert best == pytest.approx(31 / 32, abs=1e-3)


def test_the_likeliest_class_stays() -> None:
    probs = np.random.default_rng(1).dirichlet(np.ones(4), 200)
    np.testing.assert_array_equal(temper(probs, 0.1).argmax(axis=1), probs.argmax(axis=1))
    assert temper(np.array([[1.0, 0.0]]), 1.0)[0, 1] == pytest.approx(FLOOR, rel=1e-2)


def test_labels_are_calibrated_where_thirty_are_given() -> None:
    n, rng = 400, np.random.default_rng(0)
    truth = rng.integers(0, 2, n)
    one = np.where(rng.random(n) < 0.75, truth, 1 - truth)
    for known, calibrated in ((29, 0), (30, 30), (200, 200)):
        given = np.where(np.arange(n) < known, truth, -1)
        table = pa.table({"a": one, "y": pa.array(given, mask=given < 0)})
        done = label(Dataset(table, {Role.VOTES: ["a"], Role.LABEL: ["y"]}), model="majority")
        assert done.labels.summary["calibrated_on"] == calibrated
        if calibrated:
            right = (one == truth)[:known].sum()
            assert done.labels.confidence.mean() == pytest.approx((right + 1) / (known + 2), abs=2e-3)
        else:
            assert (done.labels.confidence == 1).all()


@pytest.mark.data
@pytest.mark.parametrize("name", ["ws_sms_rules", "ws_youtube", "ws_hausa"])
def test_a_hundred_known_labels_help_on_the_other_rows(name: str) -> None:
    folder = real(name)
    codes = np.load(folder / "votes.npz")["votes"].astype(np.int64)
    truth = pq.read_table(folder / "texts.parquet").column("label").to_numpy()
    votes = from_matrix(codes, int(max(codes.max(), truth.max())) + 1)
    probs, covered = majority(votes), np.flatnonzero(np.diff(votes.starts) > 0)
    gains = []
    for seed in range(5):
        rows = np.random.default_rng(seed).permutation(covered)
        own, other = rows[:100], rows[100:]
        tempered = temper(probs, fit_power(probs[own], truth[own]))
        before, after = (-np.log(np.maximum(p[other, truth[other]], FLOOR)).mean() for p in (probs, tempered))
        gains.append(before - after)
    assert min(gains) > 0
