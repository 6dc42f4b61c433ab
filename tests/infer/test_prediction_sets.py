"""Prediction sets: the promise kept for unlabelled rows, parts and brought probabilities respected, honest refusals."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Predictions
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.infer.prediction_sets import PredictionSets
from dross.testing.planted import blobs


def brought(n: int, seed: int = 0, k: int = 3, part: list[str] | None = None) -> tuple[Dataset, np.ndarray]:
    """Rows with the probabilities of a perfect model, two thirds unlabelled; and their classes."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.full(k, 0.3), n).astype(np.float32)
    y = (rng.random((n, 1)) > P.cumsum(axis=1)).sum(axis=1).clip(max=k - 1)
    columns = {
        "p": pa.FixedSizeListArray.from_arrays(pa.array(P.ravel()), k),
        "y": pa.array([None if i % 3 else f"c{v}" for i, v in enumerate(y.tolist())]),
    }
    roles = {Role.PROBS: ["p"], Role.LABEL: ["y"]}
    if part is not None:
        columns["part"] = pa.array(part)
        roles[Role.SPLIT] = ["part"]
    return Dataset(pa.table(columns), roles), y


def run(data: Dataset, **fields: object) -> Predictions:
    found = PredictionSets(**fields).run(data, Signals(data))
    assert isinstance(found, Predictions)
    return found


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
@pytest.mark.parametrize("kind", ["marginal", "class-conditional"])
def test_unlabelled_rows_are_covered_as_promised(score: str, kind: str) -> None:
    misses = []
    for seed in range(12):
        data, y = brought(1500, seed)
        new = data.codes < 0
        found = run(data, alpha=0.1, score=score, kind=kind)
        assert found.sets is not None
        misses.append(1 - found.sets[new, y[new]].mean())
    assert abs(np.mean(misses) - 0.1) < 0.015


def test_automatic_labels_are_wrong_no_more_often_than_promised() -> None:
    wrong, automatic, singles = [], [], []
    for seed in range(20):
        data, y = brought(1200, seed, k=4)
        new = data.codes < 0
        found = run(data, alpha=0.1)
        assert found.sets is not None
        chosen = new & (found.probs.max(axis=1) >= (found.summary["automatic_from"] or np.inf))
        assert found.summary["automatic"] == chosen.sum()
        assert found.summary["automatic"] + found.summary["review"] == new.sum() == found.summary["rows"]
        wrong.append((found.probs.argmax(axis=1) != y)[chosen].mean())
        automatic.append(chosen.sum())
        single = new & (found.sets.sum(axis=1) == 1)
        singles.append(1 - found.sets[single, y[single]].mean())
    assert np.mean(wrong) < 0.1 + 3 * np.std(wrong) / np.sqrt(20)
    assert np.mean(automatic) > 100
    assert np.mean(singles) > np.mean(wrong)  # which is why sets of one are not what is counted


def test_what_is_promised_is_measured() -> None:
    data, y = brought(1500, k=4)
    found = run(data, alpha=0.2)
    assert found.sets is not None
    assert found.summary["calibration_rows"] == 500
    new = data.codes < 0
    single = new & (found.sets.sum(axis=1) == 1)
    assert found.summary["sets_of_one"] == single.sum()
    _, low, high = found.summary["measured_accuracy_of_sets_of_one"]
    assert low - 0.05 <= found.sets[single, y[single]].mean() <= high + 0.05
    for name in ("measured_coverage", "measured_accuracy_of_automatic"):
        share, low, high = found.summary[name]
        assert low <= share <= high
        assert high > 0.8


def test_calibration_rows_are_hidden_from_the_model() -> None:
    planted = blobs(500, flipped=0.0, seed=4)
    part = pa.array(["calibration" if i % 4 == 0 else "train" for i in range(500)])
    table = planted.data.table.append_column("part", part)
    data = Dataset(table, {**planted.data.roles, Role.SPLIT: ["part"]})
    found = run(data)
    rows = np.arange(0, 500, 4)
    assert np.array_equal(PredictionSets().calibration_rows(data), rows)
    # whatever the calibration rows are labelled, their probabilities stay the same
    names = np.array(data.table.column("label").to_pylist())
    names[rows] = np.roll(names[rows], 1)
    other = data.with_column("label", pa.array(names))
    assert np.array_equal(run(other).probs, found.probs)
    assert run(other).summary["automatic"] < found.summary["automatic"]


def test_part_is_chosen_by_name_and_checked() -> None:
    data, _ = brought(300, part=["dev" if i % 2 else "train" for i in range(300)])
    assert run(data, part="dev").summary["calibration_rows"] == 50
    with pytest.raises(DrossError, match="no part is called 'deb'"):
        run(data, part="deb")
    plain, _ = brought(300)
    with pytest.raises(DrossError, match="no column has the role split"):
        run(plain, part="dev")
    with pytest.raises(DrossError, match="share is 2"):
        run(plain, share=2.0)


def test_row_order_does_not_change_the_sets() -> None:
    data, _ = brought(400)
    order = np.random.default_rng(0).permutation(400)
    turned = data.take(order)
    one, two = run(data, score="aps"), run(turned, score="aps")
    assert one.sets is not None
    assert two.sets is not None
    assert np.array_equal(one.sets[order], two.sets)


def test_a_class_that_only_calibration_rows_have_keeps_its_column() -> None:
    planted = blobs(200, k=3, flipped=0.0, seed=1)
    names = planted.data.table.column("label").to_pylist()
    names[:20] = ["rare"] * 20
    table = planted.data.table.set_column(1, "label", pa.array(names))
    part = pa.array(["calibration" if i < 60 else "train" for i in range(200)])
    data = Dataset(table.append_column("part", part), {**planted.data.roles, Role.SPLIT: ["part"]})
    found = run(data, kind="class-conditional")
    assert found.classes[-1] == "rare"
    assert not found.probs[:, -1].any()
    assert found.sets is not None
    assert found.sets[:, -1].all()


def test_few_labels_do_not_apply() -> None:
    data, _ = brought(24)
    assert isinstance(PredictionSets().run(data, Signals(data)), NotApplicable)
