"""Fitting, choosing and comparing methods: options, unlabelled rows, splits, tables, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import dross
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.job.training import Comparison, compare, fit, scores, trainer, trainer_names
from dross.models.trained import Trained
from dross.testing.images import digits_exam
from dross.testing.planted import blobs
from dross.train.cross_entropy import CrossEntropy
from dross.train.early_learning_regularization import EarlyLearningRegularization


def test_methods_are_found_by_name_alias_or_given() -> None:
    assert trainer("elr", strength=2.0) == EarlyLearningRegularization(strength=2.0)
    assert trainer(CrossEntropy(epochs=3), seed=4) == CrossEntropy(epochs=3, seed=4)
    with pytest.raises(DrossError, match="did you mean 'strength'"):
        trainer("elr", strenght=2.0)
    with pytest.raises(DrossError, match="trains no model"):
        trainer("confident-learning")
    assert {"cross-entropy", "early-learning-regularization"} <= set(trainer_names())


def test_auto_takes_the_robust_method_under_noise_and_says_what_it_tried() -> None:
    exam = digits_exam(3, noise=0.45, train=900)
    tried = [CrossEntropy(epochs=60), EarlyLearningRegularization(epochs=60)]
    found = compare(exam.data, tried, repeats=3)
    assert found.likely() == "early-learning-regularization"
    assert found.measured.values["cross-entropy"].shape == (3, 4)


def test_auto_tells_what_it_tried() -> None:
    model = dross.train.fit(blobs(80).data, epochs=2)
    told = json.loads(json.dumps(model.summary["auto"]))
    assert told["chosen"] in told["methods"]
    assert told["methods"]["cross-entropy"]["accuracy"]["estimate"] > 0


def test_auto_tries_what_uses_unlabelled_rows_where_most_rows_have_no_label() -> None:
    exam = digits_exam(0, per_class=6, train=200)
    told = fit(exam.data, epochs=2).summary["auto"]["methods"]
    assert "fixmatch" in told
    assert "early-learning-regularization" not in told


def test_comparing_is_fair() -> None:
    """Equal methods get equal scores on equal splits, and no held-out row is trained on."""
    seen: list[set[int]] = []

    class Watched(CrossEntropy):
        def run(self, data, signals):  # type: ignore[no-untyped-def]
            seen.append(set(data.row_ids.tolist()))
            return super().run(data, signals)

    Watched.__module__ = "dross.train.watched"
    found = compare(blobs(120).data, [CrossEntropy(epochs=2), Watched(epochs=2)], repeats=3)
    one, other = (found.measured.values[name] for name in ("cross-entropy", "watched"))
    assert np.array_equal(one, other, equal_nan=True)
    assert found.winner() == "cross-entropy"
    assert "honest choice" in found.verdict()
    assert len({frozenset(rows) for rows in seen}) == 3
    assert all(len(rows) == 90 for rows in seen)


def test_rows_of_a_test_file_judge_and_are_not_learnt() -> None:
    exam = digits_exam(0, noise=0.4, train=400)
    found = compare(exam.data, ["cross-entropy", "elr"], test=exam.test, repeats=2, epochs=80)
    assert found.level("early-learning-regularization").estimate > found.level("cross-entropy").estimate


def test_copies_and_groups_stay_on_one_side() -> None:
    data = blobs(100).data
    double = Dataset(pa.concat_tables([data.table, data.table]), data.roles)
    found = compare(double, [CrossEntropy(epochs=1), EarlyLearningRegularization(epochs=1)], repeats=2)
    assert isinstance(found, Comparison)


def test_numbers_and_label_sets_are_compared_too() -> None:
    x = np.linspace(-1, 1, 80)
    data = dross.load({"x": x, "y": 3 * x}, features=["x"], target="y")
    found = compare(data, [CrossEntropy(epochs=2)], repeats=2)
    assert found.metrics == ("R²", "mean absolute error")
    assert np.isfinite(found.measured.values["cross-entropy"]).all()
    flat = pa.FixedSizeListArray.from_arrays(pa.array(x.astype(np.float32)), 1)
    lists = [["a"] if v > 0 else ["b", "c"] for v in x]
    sets = Dataset(pa.table({"x": flat, "y": lists}), {Role.EMBEDDING: ["x"], Role.LABELS: ["y"]})
    found = compare(sets, [CrossEntropy(epochs=30, learning_rate=0.01)], repeats=2)
    assert found.level("cross-entropy").estimate > 0.9


def test_a_class_that_was_not_learnt_counts_as_wrong() -> None:
    data = blobs(80).data
    known = np.flatnonzero(data.codes > 0)
    model = fit(data.take(known), "cross-entropy", epochs=20)
    found = scores(model, data)
    assert found[0] <= 1 - (data.codes == 0).mean()
    assert np.isfinite(found[:3]).all()
    assert model.score(data) == pytest.approx(found[0])


def test_what_cannot_be_compared_is_refused() -> None:
    data = blobs(40).data
    with pytest.raises(DrossError, match="named twice"):
        compare(data, ["elr", "early-learning-regularization"])
    with pytest.raises(DrossError, match="give no interval"):
        compare(data, ["elr", "cross-entropy"], repeats=1)
    with pytest.raises(DrossError, match="nothing to learn"):
        compare(Dataset(data.table, {Role.EMBEDDING: ["x"]}), ["elr", "cross-entropy"])
    number = Dataset(data.table.append_column("n", pa.array(range(40))), {Role.EMBEDDING: ["x"], Role.TARGET: ["n"]})
    with pytest.raises(DrossError, match="does not apply"):
        fit(number, "elr")


def test_checkpoints_are_kept_in_the_workspace_and_cleared(tmp_path: Path) -> None:
    model = fit(blobs(60).data, "elr", workspace=tmp_path, epochs=3)
    assert isinstance(model, Trained)
    assert not list((tmp_path / "training").glob("*"))
