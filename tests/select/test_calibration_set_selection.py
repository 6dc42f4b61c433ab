"""Calibration sets: each strategy against every subset, groups of several sizes, missing numbers, bad input."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from dross.claims.select.calibration_set_selection import candidates
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.calibration_set_selection import (
    STRATEGIES,
    CalibrationSetSelection,
    margins,
    standing,
    subsets,
    surprises,
)
from dross.testing import check_method


def small(seed: int = 0, sizes: tuple[int, ...] = (6, 6, 4, 7, 2)) -> Dataset:
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    vectors = rng.standard_normal((n, 3)).astype(np.float32)
    table = pa.table({
        "example": np.repeat(np.arange(len(sizes)), sizes),
        "metric": rng.standard_normal(n),
        "likelihood": rng.standard_normal(n),
        "copied": rng.random(n),
        "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 3),
    })  # fmt: skip
    return Dataset(table, {Role.GROUP: ["example"], Role.TARGET: ["metric"], Role.EMBEDDING: ["v"]})


def chosen(data: Dataset, **fields: Any) -> list[list[int]]:
    found = CalibrationSetSelection(per_example=3, **fields).run(data, Signals(data))
    assert isinstance(found, Selection)
    return found.rows.reshape(-1, 3).tolist()


def test_contract() -> None:
    check_method(CalibrationSetSelection)


def test_margin_and_surprise_are_their_definitions() -> None:
    rng = np.random.default_rng(0)
    for k in (2, 3, 5, 9):
        metrics, likely = rng.standard_normal((4, k)), rng.standard_normal((4, k))
        assert margins(metrics) == pytest.approx(np.abs(np.diff(np.sort(metrics, axis=1))).mean(axis=1))
        assert surprises(metrics, likely) == pytest.approx([-spearmanr(a, b)[0] for a, b in zip(metrics, likely)])  # noqa: B905


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s not in ("random", "likely-negatives")])
def test_each_strategy_takes_the_best_subset_of_all(strategy: str) -> None:
    data = small()
    metrics, likely = data.target, data.numbers("likelihood")
    V = data.matrix(Role.EMBEDDING).astype(np.float64)
    V /= np.linalg.norm(V, axis=1, keepdims=True)
    groups = np.asarray(data.table.column("example"))
    found = chosen(data, strategy=strategy)
    assert sorted(int(groups[rows[0]]) for rows in found) == [0, 1, 2, 3]
    for rows in found:
        assert len(set(groups[rows].tolist())) == 1
        assert metrics[rows].tolist() == sorted(metrics[rows], reverse=True)
        sets = list(itertools.combinations(np.flatnonzero(groups == groups[rows[0]]).tolist(), 3))
        margin = np.array([margins(metrics[list(s)]) for s in sets])
        surprise = np.array([-spearmanr(metrics[list(s)], likely[list(s)])[0] for s in sets])
        apart = np.array([np.mean([1 - V[i] @ V[j] for i, j in itertools.combinations(s, 2)]) for s in sets])
        worth = {
            "max-margin": margin, "min-margin": -margin, "min-surprise": -surprise, "max-surprise": surprise,
            "max-diversity": apart, "min-diversity": -apart,
            "max-margin-min-surprise": standing(margin[None])[0] - standing(surprise[None])[0],
        }[strategy]  # fmt: skip
        assert worth[sets.index(tuple(sorted(rows)))] == pytest.approx(worth.max(), abs=1e-6)


def test_likely_negatives_are_likely_and_copied() -> None:
    data = small(1, (8, 8))
    metrics, likely, copied = data.target, data.numbers("likelihood"), data.numbers("copied")
    found = CalibrationSetSelection(per_example=4, strategy="likely-negatives", extractiveness="copied")
    answer = found.run(data, Signals(data))
    assert isinstance(answer, Selection)
    for rows in answer.rows.reshape(-1, 4):
        own = np.arange(8) + 8 * (rows[0] // 8)
        by_metric = own[np.argsort(-metrics[own])]
        pull = standing(likely[by_metric[4:]][None])[0] + standing(copied[by_metric[4:]][None])[0]
        assert set(rows.tolist()) == {*by_metric[:2].tolist(), *by_metric[4:][np.argsort(-pull)[:2]].tolist()}


def test_the_order_of_the_rows_does_not_change_the_choice() -> None:
    data = small(2)
    turned = data.take(np.random.default_rng(0).permutation(len(data)))
    for strategy in STRATEGIES:
        ids = [each.row_ids[np.array(chosen(each, strategy=strategy))].tolist() for each in (data, turned)]
        assert ids[0] == ids[1], strategy


def test_random_sets_are_random_and_other_with_another_seed() -> None:
    data, _, _ = candidates(0)
    one, other = (CalibrationSetSelection(strategy="random", seed=s).run(data, Signals(data)) for s in (0, 1))
    assert isinstance(one, Selection)
    assert isinstance(other, Selection)
    assert len(one) == len(other) == 240
    assert 0.15 < np.isin(one.rows, other.rows).mean() < 0.55
    best = CalibrationSetSelection(seed=0).run(data, Signals(data))
    assert isinstance(best, Selection)
    assert best.summary["mean_margin"] > one.summary["mean_margin"]


def test_many_subsets_are_sampled() -> None:
    sets = subsets(40, 5, 300)
    assert 250 < len(sets) <= 300
    assert (np.diff(sets, axis=1) > 0).all()
    assert sets.max() == 39


def test_candidates_without_a_number_are_left_out() -> None:
    data = small(3, (5,))
    metric = data.table.column("metric").to_pylist()
    metric[0] = None
    metric[1] = float("nan")
    data = data.with_column("metric", pa.array(metric))
    assert sorted(chosen(data)[0]) == [2, 3, 4]
    few = CalibrationSetSelection(per_example=4).run(data, Signals(data))
    assert isinstance(few, NotApplicable)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"strategy": "max-margine"}, "did you mean 'max-margin'"),
        ({"per_example": 1}, "per_example"),
        ({"metric": "metrix"}, "did you mean 'metric'"),
        ({"extractiveness": "copy"}, "copy"),
    ],
)
def test_bad_input(wrong: dict[str, Any], told: str) -> None:
    data = small()
    with pytest.raises(DrossError, match=told):
        CalibrationSetSelection(**wrong).run(data, Signals(data))


def test_what_is_missing_is_named() -> None:
    data = small()
    assert isinstance(CalibrationSetSelection(likelihood="none").run(data, Signals(data)), NotApplicable)
    bare = Dataset(data.table, {Role.GROUP: ["example"]})
    assert isinstance(CalibrationSetSelection().run(bare, Signals(bare)), NotApplicable)
    assert isinstance(CalibrationSetSelection(metric="metric").run(bare, Signals(bare)), Selection)
