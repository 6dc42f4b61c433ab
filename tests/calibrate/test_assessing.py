from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.calibrate import Assessment, assess
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Detector
from dross.core.results import Findings, Issue
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.exact_duplicates import ExactDuplicates
from dross.job.table import tabulate
from dross.testing.planted import blobs, digits, table_dataset, texts_with_copies
from tests.calibrate.standins import Disagreement, Doubt, Fragile, Noise, found_by, overlapping


def label_assessment(data: Dataset, *methods: Detector, fdr: float = 0.1, seed: int = 0) -> Assessment:
    signals = Signals(data)
    [one] = assess(data, signals, found_by(data, signals, *methods), fdr, seed)
    return one


def false_share(one: Assessment, wrong: np.ndarray) -> float:
    flagged = one.findings.rows[one.flagged]
    return float((~np.isin(flagged, wrong)).mean()) if len(flagged) else 0.0


@pytest.mark.parametrize("methods", [(Doubt(),), (Doubt(), Disagreement())])
def test_promise_is_kept_and_defects_are_found(methods: tuple[Detector, ...]) -> None:
    false, recall, shares = [], [], []
    for seed in range(6):
        data, wrong = overlapping(2500, noise=0.1, seed=seed)
        one = label_assessment(data, *methods, fdr=0.1)
        false.append(false_share(one, wrong))
        recall.append(np.isin(wrong, one.findings.rows[one.flagged]).mean())
        assert one.share is not None
        shares.append(one.share[0])
    assert np.mean(false) <= 0.12
    assert np.mean(recall) > 0.4
    assert np.mean(shares) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("spread", [0.7, 1.5])
def test_clean_labels_are_left_alone(spread: float) -> None:
    """However much the classes overlap."""
    flagged = 0
    for seed in range(4):
        data, _ = overlapping(2000, noise=0.0, seed=seed, spread=spread)
        flagged += int(label_assessment(data, Doubt(), Disagreement(), fdr=0.2).flagged.sum())
    assert flagged <= 4


def test_clean_digits_are_left_alone() -> None:
    assert label_assessment(digits(0.0).data, Doubt(), Disagreement(), fdr=0.2).flagged.sum() <= 1


@pytest.mark.parametrize("seed", [0, 1])
def test_labels_that_mean_nothing_are_left_alone(seed: int) -> None:
    data = blobs(800, flipped=0.0, seed=seed).data
    labels = data.table.column("label").to_numpy(zero_copy_only=False)
    shuffled = np.random.default_rng(seed).permutation(labels)
    one = label_assessment(table_dataset(data.matrix(Role.EMBEDDING), shuffled), Doubt(), Disagreement())
    assert not one.flagged.any()
    assert "nothing" in one.note


def test_a_useless_method_alone_flags_nothing() -> None:
    one = label_assessment(blobs(500).data, Noise())
    assert not one.flagged.any()
    assert np.isnan(one.expected_precision).all()


def test_expected_precision_follows_the_score() -> None:
    one = label_assessment(overlapping(1500, noise=0.15, seed=0)[0], Doubt(), Disagreement())
    order = np.argsort(one.findings.scores, kind="stable")
    assert (np.diff(one.expected_precision[order]) >= -1e-6).all()
    assert one.findings.scores[one.flagged].min() >= one.findings.scores[~one.flagged].max() - 1e-6
    assert one.expected_precision.dtype == np.float32
    assert one.method.dtype == np.int8
    assert set(one.method.tolist()) <= {0, 1}
    assert {"score_doubt_0", "score_disagreement_1", "near"} <= set(one.findings.evidence)


def test_curve() -> None:
    one = label_assessment(overlapping(1500, noise=0.15, seed=0)[0], Doubt(), Disagreement())
    assert one.curve is not None
    assert (np.diff(one.curve.thresholds) > 0).all()
    assert one.curve.thresholds.min() >= 0
    assert one.curve.thresholds.max() <= 1
    assert (np.diff(one.curve.recall[:, 0]) <= 1e-9).all()
    assert (np.diff(one.curve.precision[:, 0]) >= -1e-9).all()
    for values in (one.curve.precision, one.curve.recall):
        assert (values[:, 1] <= values[:, 0] + 1e-9).all()
        assert (values[:, 0] <= values[:, 2] + 1e-9).all()
    for estimate in (one.share, one.precision, one.recall):
        assert estimate is not None
        assert 0 <= estimate[1] <= estimate[0] <= estimate[2] <= 1


def test_a_higher_rate_flags_more() -> None:
    data, _ = overlapping(1500, noise=0.1, seed=0)
    sizes = [int(label_assessment(data, Doubt(), fdr=fdr).flagged.sum()) for fdr in (0.05, 0.2, 0.5)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_same_seed_same_answer() -> None:
    data, _ = overlapping(600, noise=0.1, seed=0)
    one, two = (label_assessment(data, Doubt(), Disagreement(), seed=3) for _ in range(2))
    assert np.array_equal(one.expected_precision, two.expected_precision)
    assert np.array_equal(one.findings.scores, two.findings.scores)
    assert not np.array_equal(
        one.expected_precision, label_assessment(data, Doubt(), Disagreement(), seed=4).expected_precision
    )


def test_missing_labels_are_never_scored() -> None:
    data, _ = overlapping(500, noise=0.1, seed=0)
    gaps = pa.array([None if i % 3 == 0 else f"c{c}" for i, c in enumerate(data.codes)])
    one = label_assessment(data.with_column("label", gaps), Doubt(), Disagreement())
    assert (one.findings.rows % 3 != 0).all()


def test_a_method_that_fails_on_planted_data_is_left_out() -> None:
    data, _ = overlapping(500, noise=0.1, seed=0)
    signals = Signals(data)
    found = found_by(data, signals, Doubt())
    broken = Findings(Issue.LABEL, np.arange(500), np.full(500, 0.9, np.float32))
    [one] = assess(data, signals, {**found, "fragile": (Fragile(), broken)})
    assert one.methods == ("doubt-0",)
    assert "fragile could not score" in one.note
    assert one.share is not None
    [alone] = assess(data, signals, {"fragile": (Fragile(), broken)})
    assert np.isnan(alone.expected_precision).all()
    assert alone.flagged.all()
    assert "not on planted data" in alone.note


def test_issues_that_cannot_be_planted_keep_the_methods_verdict() -> None:
    data = blobs(50).data
    found = Findings(Issue.FORM, np.array([3, 9]), np.array([0.9, 0.2], np.float32))
    [one] = assess(data, Signals(data), {"x": (Doubt(), found)})
    assert one.issue is Issue.FORM
    assert one.flagged.tolist() == [True, False]
    assert np.isnan(one.expected_precision).all()
    assert one.share is None
    assert one.curve is None
    assert "cannot be planted" in one.note


@pytest.mark.parametrize("n", range(11))
def test_few_rows(n: int) -> None:
    data = blobs(40).data.slice(0, n)
    found = Findings(Issue.LABEL, np.arange(n), np.linspace(0, 1, n).astype(np.float32))
    copies = Findings(Issue.DUPLICATE, np.arange(n), np.ones(n, np.float32), suggestion=np.zeros(n, np.int64))
    for one in assess(data, Signals(data), {"x": (Doubt(), found), "y": (ExactDuplicates(), copies)}):
        assert len(one.findings) == n
        assert len(one.flagged) == n
        assert tabulate(data, one).num_rows == n


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_equal_scores_flag_nothing(value: float) -> None:
    class Constant(Doubt):
        def run(self, data: Dataset, signals: Signals) -> Findings:
            return Findings(Issue.LABEL, np.arange(len(data)), np.full(len(data), value, np.float32))

    assert not label_assessment(blobs(200).data, Constant()).flagged.any()


def test_copies_are_flagged_and_accidents_are_not() -> None:
    planted = texts_with_copies(600, copies=30)
    signals = Signals(planted.data)
    [one] = assess(planted.data, signals, found_by(planted.data, signals, ExactDuplicates()))
    assert one.findings.rows[one.flagged].tolist() == planted.rows.tolist()
    assert one.precision == (1.0, 1.0, 1.0)
    assert one.recall is not None
    assert one.recall[0] > 0.95

    few = pa.table({"a": ["x", "y", "z"] * 100, "b": [str(i % 2) for i in range(300)]})
    table = Dataset(few, {Role.FEATURES: ["a", "b"]})
    signals = Signals(table)
    [accident] = assess(table, signals, found_by(table, signals, ExactDuplicates()))
    assert len(accident.findings) > 280
    assert not accident.flagged.any()


def test_nothing_found_is_assessed_too() -> None:
    data = texts_with_copies(100, copies=0).data
    signals = Signals(data)
    [one] = assess(data, signals, found_by(data, signals, ExactDuplicates()))
    assert len(one.findings) == 0
    assert one.share is not None
    assert one.share[0] == 0
    assert assess(data, signals, {}) == []


def test_issues_come_in_their_order_and_progress_is_told() -> None:
    data, _ = overlapping(100, noise=0.1, seed=0)
    signals = Signals(data)
    told: list[tuple[str, int, int]] = []
    found = found_by(data, signals, ExactDuplicates(), Doubt())
    issues = [a.issue for a in assess(data, signals, found, progress=lambda *now: told.append(now))]
    assert issues == [Issue.LABEL, Issue.DUPLICATE]
    assert told[-1] == ("calibration", 2, 2)


def test_a_rate_out_of_range_is_refused() -> None:
    data = blobs(30).data
    with pytest.raises(DrossError, match="fdr must be"):
        assess(data, Signals(data), {}, fdr=1.0)
