"""DATM: windows, soft labels, what the new rows hold, and that they teach."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import torch

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import HOW, PARENTS
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.io.images import decode, encode
from dross.models.distiller import PROBS, STEP
from dross.signals.probabilities import Probabilities
from dross.synthesize.difficulty_aligned_trajectory_matching import (
    DifficultyAlignedTrajectoryMatching,
    aligned_window,
    correct_mean,
    widening,
)
from dross.testing import check_method
from dross.testing.images import digits_exam

QUICK = DifficultyAlignedTrajectoryMatching(per_class=1, iterations=4, experts=2, expert_epochs=4, network="mlp")


def made_of(data: Dataset, method: DifficultyAlignedTrajectoryMatching = QUICK) -> Dataset:
    made = method.run(data, Signals(data))
    assert isinstance(made, Dataset), made
    return made


def test_contract() -> None:
    check_method(DifficultyAlignedTrajectoryMatching)


def test_more_rows_mean_later_windows() -> None:
    found = [aligned_window(share, 1000) for share in np.geomspace(1e-4, 0.5, 30)]
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(found))
    assert all(0 <= low < high <= 1000 for low, high in found)


def test_the_window_widens_to_the_whole() -> None:
    ends = [widening((10, 20), i, 50, 0.5)[1] for i in range(50)]
    assert ends == sorted(ends)
    assert ends[0] == 15
    assert ends[25:] == [20] * 25


def test_soft_labels_are_those_of_the_experts_that_are_right() -> None:
    said = torch.tensor([[[2.0, 0.0], [0.0, 1.0]], [[0.0, 4.0], [0.0, 3.0]]])
    assert correct_mean(said, torch.tensor([0, 0])).tolist() == [[2.0, 0.0], [0.0, 2.0]]


def test_new_rows_are_told_of_and_have_soft_labels() -> None:
    data = digits_exam(0, train=300).data
    made = made_of(data)
    parents = [one for (one,) in made.table.column(PARENTS).to_pylist()]
    assert len(made) == len(set(parents)) == 10
    assert made.codes.tolist() == np.asarray(data.codes)[parents].tolist() == list(range(10))
    assert set(made.table.column(HOW).to_pylist()) == {"trajectory matching from epochs 1 to 1 of 2 experts"}
    assert made.name_of(Role.PROBS) == PROBS
    probs = Signals(made)[Probabilities()]
    assert probs.shape == (10, 10)
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-5)
    assert len(set(made.table.column(STEP).to_pylist())) == 1
    before, after = data.matrix(Role.EMBEDDING), made.matrix(Role.EMBEDDING)
    assert not np.array_equal(before[parents], after)
    never = np.ptp(before, axis=0) == 0
    assert np.allclose(after[:, never], before[0, never])


def test_hard_labels_where_none_are_learnt() -> None:
    made = made_of(digits_exam(0, train=300).data, replace(QUICK, label_rate=0))
    assert not made.has(Role.PROBS)


def test_only_training_rows_are_distilled_and_other_columns_are_null() -> None:
    data = digits_exam(0, train=300).data
    split = pa.array(["test" if i < 150 else "train" for i in range(300)])
    table = data.table.append_column("part", split).append_column("key", pa.array(np.arange(300)))
    table = table.append_column("note", pa.array(["x"] * 300))
    made = made_of(Dataset(table, {**data.roles, Role.SPLIT: ["part"], Role.ID: ["key"]}))
    assert min(min(one) for one in made.table.column(PARENTS).to_pylist()) >= 150
    assert set(made.table.column("part").to_pylist()) == {"train"}
    assert made.table.column("key").to_pylist() == list(range(300, 310))
    assert len(set(made.row_ids.tolist())) == 10
    assert made.table.column("note").null_count == 10


def test_images_come_back_as_images() -> None:
    data = digits_exam(0, train=200).data
    pixels = (255 * data.matrix(Role.EMBEDDING)).astype(np.uint8).reshape(-1, 8, 8)
    table = pa.table({"image": encode(pixels), "label": data.column(Role.LABEL)})
    method = replace(QUICK, network="pixel-mlp")
    made = made_of(Dataset(table, {Role.IMAGE: ["image"], Role.LABEL: ["label"]}), method)
    shown = decode(made.table.column("image")[0].as_py())
    assert shown is not None
    assert shown.shape == (8, 8)
    paths = table.set_column(0, "image", pa.array(["a.png"] * 200))
    named = Dataset(paths, {Role.IMAGE: ["image"], Role.LABEL: ["label"]})
    assert "files" in str(QUICK.run(named, Signals(named)))


def test_what_cannot_be_done_is_said() -> None:
    data = digits_exam(0, train=200).data
    with pytest.raises(DrossError, match="network 'bag'"):
        made_of(data, replace(QUICK, network="bag"))
    with pytest.raises(DrossError, match="per_class is 0"):
        made_of(data, replace(QUICK, per_class=0))
    with pytest.raises(DrossError, match="window_of_epochs is"):
        made_of(data, replace(QUICK, window_of_epochs=(2, 9)))
    one = data.take(np.flatnonzero(data.codes == 3))
    assert isinstance(QUICK.run(one, Signals(one)), NotApplicable)
