"""AST: damped losses, balanced losses, representatives, and that each part reaches the experts and the student."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import HOW, PARENTS
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.trajectories import said_at, step_norms
from dross.synthesize.smooth_expert_trajectories import (
    SmoothExpertTrajectories,
    balanced_factor,
    clipped_shares,
    representatives,
)
from dross.testing import check_method
from dross.testing.images import digits_exam

QUICK = SmoothExpertTrajectories(
    per_class=1, iterations=4, experts=2, expert_epochs=5, network="mlp", seed=3, device="cpu"
)


def test_contract() -> None:
    check_method(SmoothExpertTrajectories)


def test_the_paper_s_ten_epochs_of_fifty() -> None:
    assert np.allclose(clipped_shares(50), np.arange(0.5, 1.0, 0.05))


def test_late_starts_weigh_more_than_early_ones() -> None:
    factors = [balanced_factor(epoch, 20) for epoch in range(20)]
    assert factors == sorted(factors)
    assert factors[10 - 4] * factors[10 + 4] == pytest.approx(1)


def test_representatives_are_one_of_each_group() -> None:
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(5), 20))
    x = (10 * np.eye(5)[groups] + rng.normal(0, 0.5, (100, 5))).astype(np.float32)
    rows = representatives(x, 5, 0)
    assert sorted(groups[rows]) == [0, 1, 2, 3, 4]
    for row in rows:
        own = x[groups == groups[row]]
        away = np.square(own - own.mean(axis=0)).sum(axis=1)
        assert np.square(x[row] - own.mean(axis=0)).sum() == pytest.approx(away.min(), rel=1e-5)


def test_copies_do_not_take_the_place_of_rows() -> None:
    rows = representatives(np.ones((6, 2), np.float32), 4, 0)
    assert len(set(rows.tolist())) == 4
    assert representatives(np.ones((3, 2), np.float32), 4, 0).tolist() == [0, 1, 2]


def test_experts_start_more_slowly_when_their_loss_is_damped() -> None:
    data = digits_exam(0, train=300).data
    plain = replace(QUICK, clip=False, penalty=0.0).prepared(data, Signals(data))
    damped = replace(QUICK, clip=True, penalty=0.0).prepared(data, Signals(data))
    assert (step_norms(damped.paths)[:, 0] < 0.9 * step_norms(plain.paths)[:, 0]).all()


def test_new_rows_begin_as_those_an_expert_finds_most_typical() -> None:
    data = digits_exam(0, train=300).data
    stage = QUICK.prepared(data, Signals(data))
    said = said_at(stage.net, stage.paths[0, -1], stage.examples.x).numpy()
    rows = QUICK.chosen(stage)
    for c, row in enumerate(rows):
        own = np.flatnonzero(stage.codes == c)
        away = np.square(said[own] - said[own].mean(axis=0)).sum(axis=1)
        assert row == own[away.argmin()]
    drawn = replace(QUICK, representative=False).chosen(stage)
    assert drawn.tolist() != rows.tolist()
    assert stage.codes[drawn].tolist() == list(range(10))


def test_new_rows_are_told_of() -> None:
    data = digits_exam(0, train=300).data
    made = QUICK.run(data, Signals(data))
    assert isinstance(made, Dataset)
    assert made.roles == data.roles
    parents = [one for (one,) in made.table.column(PARENTS).to_pylist()]
    assert np.asarray(data.codes)[parents].tolist() == list(range(10))
    assert set(made.table.column(HOW).to_pylist()) == {"trajectory matching from epochs 0 to 1 of 2 smooth experts"}
    assert np.isfinite(made.matrix(Role.EMBEDDING)).all()


def test_each_part_changes_the_student() -> None:
    data = digits_exam(0, train=300).data
    stage = QUICK.prepared(data, Signals(data))
    begun = QUICK.distil(stage, Signals(data))[0].losses[0]
    for change in ({"balanced": False}, {"intermediate": False}, {"perturbation": 0.0}, {"momentum": 0.0}):
        assert replace(QUICK, **change).distil(stage, Signals(data))[0].losses[0] != begun  # type: ignore[arg-type]


def test_what_cannot_be_done_is_said() -> None:
    data = digits_exam(0, train=200).data
    with pytest.raises(DrossError, match="penalty is -1"):
        replace(QUICK, penalty=-1.0).run(data, Signals(data))
    with pytest.raises(DrossError, match="momentum is 1"):
        replace(QUICK, momentum=1.0).run(data, Signals(data))
