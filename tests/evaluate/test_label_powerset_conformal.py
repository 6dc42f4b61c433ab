"""Label-powerset conformal prediction: the pruned answer is that of all label-sets; error rates keep their promise."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.realdata import real

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Metrics, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.evaluate import label_powerset_conformal as lp
from dross.evaluate.label_powerset_conformal import LabelPowersetConformal
from dross.models.conformal import p_values
from dross.testing import check_method


def brute_force(probs: np.ndarray, calibration: np.ndarray, epsilon: float, power: float) -> dict[tuple, float]:
    """The p-value of every label-set, those above epsilon kept."""
    every = np.array(list(itertools.product([False, True], repeat=len(probs))))
    scores = (np.abs(every - probs) ** power).sum(axis=1)
    p = (1 + (calibration[None] >= scores[:, None] - 1e-9).sum(axis=1)) / (len(calibration) + 1)
    return {tuple(s): v for s, v in zip(every.tolist(), p.tolist(), strict=True) if v > epsilon}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 7), st.integers(1, 40), st.sampled_from([0.01, 0.1, 0.2, 0.5]), st.booleans(), st.integers(0, 9999)
)
def test_pruned_equals_brute_force(k: int, n: int, epsilon: float, ties: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probs, calibration = rng.random(k), k * rng.random(n) ** 2
    if ties:
        probs = probs.round(1)
        calibration = (np.abs((rng.random((n, k)) > 0.5) - rng.random((n, k)).round(1)) ** 2).sum(axis=1)
    sets, p = lp.label_sets(probs, calibration, epsilon, 2.0)
    assert {tuple(s): v for s, v in zip(sets.tolist(), p.tolist(), strict=True)} == pytest.approx(
        brute_force(probs, calibration, epsilon, 2.0)
    )
    assert (np.diff(p) <= 0).all()
    assert lp.numbers_of_sets(probs[None], calibration, epsilon, 2.0).tolist() == [len(sets)]


@pytest.mark.parametrize("power", [1.0, 2.0, 4.0])
def test_pruned_equals_brute_force_for_ten_labels(power: float) -> None:
    rng = np.random.default_rng(1)
    outputs = rng.beta(0.3, 0.5, (300, 10))
    truth = rng.random((300, 10)) < outputs
    calibration = lp.nonconformity(outputs[:200], truth[:200], power)
    for epsilon in (0.01, 0.05, 0.1, 0.2, 0.4):
        for probs in outputs[200:210]:
            sets, p = lp.label_sets(probs, calibration, epsilon, power)
            found = {tuple(s): v for s, v in zip(sets.tolist(), p.tolist(), strict=True)}
            assert found == pytest.approx(brute_force(probs, calibration, epsilon, power))


def test_error_rates_keep_their_promise_for_24_labels() -> None:
    rng = np.random.default_rng(2)
    outputs = rng.beta(0.15, 0.6, (4000, 24))
    truth = rng.random((4000, 24)) < outputs**1.5  # the outputs are not calibrated
    scores = lp.nonconformity(outputs, truth, 2.0)
    p = p_values(scores[:2000], scores[2000:])
    for epsilon in (0.01, 0.05, 0.1, 0.15, 0.2):
        assert abs((p <= epsilon).mean() - epsilon) < 4 * np.sqrt(epsilon * (1 - epsilon) / 1000)


def tagged(n: int, k: int, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    outputs = rng.beta(0.2, 0.6, (n, k)).astype(np.float32)
    truth = rng.random((n, k)) < outputs
    lists = [[f"tag {c:02d}" for c in np.flatnonzero(row)] for row in truth]
    flat = pa.FixedSizeListArray.from_arrays(pa.array(outputs.ravel()), k)
    table = pa.table({"p": flat, "tags": pa.array(lists, pa.list_(pa.string()))})
    return Dataset(table, {Role.PROBS: ["p"], Role.LABELS: ["tags"]})


def test_reports_errors_and_sizes_at_each_level() -> None:
    data = tagged(1500, 8)
    found = LabelPowersetConformal(significance=(0.1, 0.3)).run(data, Signals(data))
    assert isinstance(found, Metrics)
    for epsilon in (0.1, 0.3):
        error, low, high = found.values[f"error rate at {epsilon}"]
        assert low <= error <= high
        assert abs(error - epsilon) < 0.05
    assert found.values["label-sets at 0.1"][0] > found.values["label-sets at 0.3"][0] >= 0
    assert found.summary["possible_label_sets"] == 256
    assert found.summary["judged_rows"] == 750
    again = LabelPowersetConformal(significance=(0.1, 0.3)).run(data, Signals(data))
    assert isinstance(again, Metrics)
    assert again.values == found.values


def test_too_many_sets_are_refused_and_counts_are_capped() -> None:
    outputs, calibration = np.full(30, 0.5), np.full(50, 30.0)
    with pytest.raises(DrossError, match="more than 1,000 label-sets"):
        lp.label_sets(outputs, calibration, 0.1, 2.0, most=1000)
    assert lp.numbers_of_sets(outputs[None], calibration, 0.1, 2.0).tolist() == [lp.MOST_SETS]
    assert len(lp.label_sets(outputs[:3], calibration, 0.001, 2.0)[0]) == 8  # too few rows to rule any out


def test_degenerate_data() -> None:
    few = tagged(12, 4)
    assert isinstance(LabelPowersetConformal().run(few, Signals(few)), NotApplicable)
    with pytest.raises(DrossError, match="between 0 and 1"):
        LabelPowersetConformal(significance=(0.0,)).run(few, Signals(few))


@pytest.mark.data
def test_error_rates_keep_their_promise_on_real_texts_of_24_labels() -> None:
    folder = real("redocred_missing_labels")
    triples = pq.read_table(folder / "triples.parquet", columns=["split", "doc", "relation"]).to_pylist()
    found: dict[tuple, set[str]] = {}
    for one in triples:
        found.setdefault((one["split"], one["doc"]), set()).add(one["relation"])
    every = [name for names in found.values() for name in names]
    frequent = set(sorted(set(every), key=lambda name: -every.count(name))[:24])
    documents = pq.read_table(folder / "docs.parquet", columns=["split", "doc", "sents"]).to_pylist()
    lists = [sorted(found.get((d["split"], d["doc"]), set()) & frequent) for d in documents]
    texts = [str(d["sents"])[:1500] for d in documents]
    table = pa.table({"text": texts, "labels": pa.array(lists, pa.list_(pa.string()))})
    data = Dataset(table, {Role.TEXT: ["text"], Role.LABELS: ["labels"]})
    levels = (0.1, 0.15, 0.2, 0.3, 0.4)
    signals = Signals(data)
    errors = []
    for seed in range(3):
        metrics = LabelPowersetConformal(significance=levels, seed=seed).run(data, signals)
        assert isinstance(metrics, Metrics)
        errors.append([metrics.values[f"error rate at {level:g}"][0] for level in levels])
    assert (np.mean(errors, axis=0) <= np.array(levels) + 0.05).all()


def test_keeps_the_contract() -> None:
    check_method(LabelPowersetConformal)
