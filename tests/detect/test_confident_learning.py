"""Confident learning against a direct transcription of the paper, and against what may go wrong."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.realdata import real

from dross.core.errors import DrossError
from dross.core.results import Findings, NotApplicable
from dross.core.signal import Signals
from dross.detect import confident_learning as cl
from dross.detect.confident_learning import ConfidentLearning, find_label_issues
from dross.signals.probabilities import Probabilities
from dross.testing import check_method
from dross.testing.planted import blobs, digits, table_dataset


def problem(n: int, k: int, seed: int, sharp: float = 2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, float32 probabilities of a fair model, and true classes."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    labels = np.where(rng.random(n) < 0.2, rng.integers(0, k, n), truth)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), truth] += sharp
    probs = np.exp(logits)
    return labels, (probs / probs.sum(1, keepdims=True)).astype(np.float32), truth


# ---- the paper, line by line and slowly --------------------------------------------------------------------------


def slow_thresholds(labels: np.ndarray, probs: np.ndarray) -> np.ndarray:
    k = probs.shape[1]
    return np.array([probs[labels == j, j].mean() if (labels == j).any() else np.inf for j in range(k)])


def slow_joint(labels: np.ndarray, probs: np.ndarray) -> np.ndarray:
    k = probs.shape[1]
    reached = (slow_thresholds(labels, probs) - 1e-6).astype(probs.dtype)
    joint = np.zeros((k, k), int)
    for y, p in zip(labels, probs, strict=True):
        candidates = [j for j in range(k) if p[j] >= reached[j]]
        if y >= 0 and candidates:
            best = max(p[j] for j in candidates)
            top = y if p[y] == p.max() and y in candidates else next(j for j in candidates if p[j] == best)
            joint[y, top] += 1
    return joint


def slow_mask(labels: np.ndarray, probs: np.ndarray) -> np.ndarray:
    k = probs.shape[1]
    counts = np.bincount(labels[labels >= 0], minlength=k)
    pruned = cl.prune_counts(cl.calibrated_joint(slow_joint(labels, probs), counts), counts)
    mask = np.zeros(len(labels), bool)
    for i in range(k):
        rows = np.flatnonzero(labels == i)
        for j in range(k):
            margin = probs[rows, j] - probs[rows, i]
            positive = np.sort(margin[margin > 0])[::-1]
            if pruned[i, j] and len(positive):
                mask[rows[margin >= positive[: pruned[i, j]][-1]]] = True
    return mask


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 80), st.integers(2, 6), st.integers(0, 10_000), st.booleans(), st.booleans())
def test_equals_the_paper_transcribed(n: int, k: int, seed: int, coarse: bool, gaps: bool) -> None:
    labels, probs, _ = problem(n, k, seed, sharp=1.0)
    if coarse:  # ties between rows and between classes
        probs = np.round(probs * 4) + 1
        probs = (probs / probs.sum(1, keepdims=True)).astype(np.float32)
    if gaps:
        labels[:: 1 + seed % 5] = -1
    assert np.allclose(cl.class_thresholds(labels, probs), slow_thresholds(labels, probs), atol=1e-6)
    assert np.array_equal(cl.confident_joint(labels, probs), slow_joint(labels, probs))
    mask, scores = find_label_issues(labels, probs)
    assert np.array_equal(mask, slow_mask(labels, probs))
    ranked = cl.pruned_first(mask, scores)
    assert np.array_equal(ranked >= 0.5, mask)
    assert not scores[labels < 0].any()
    assert 0 <= min(scores.min(), ranked.min()) <= max(scores.max(), ranked.max()) <= 1
    known = labels >= 0
    assert np.allclose(scores[known], 1 - probs[known, labels[known]])


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 6), st.integers(0, 10_000))
def test_pruned_and_kept_rows_add_up_to_the_rows_of_the_label(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 50, k)
    joint = cl.calibrated_joint(rng.integers(0, 20, (k, k)), counts)
    assert joint.sum() == pytest.approx(1.0 if counts.sum() else 0.0)
    assert np.allclose(joint.sum(1) * max(counts.sum(), 1), counts)
    pruned = cl.prune_counts(joint, counts)
    assert (pruned >= 0).all()
    assert not pruned.diagonal().any()
    assert (pruned.sum(1) <= counts).all()
    assert np.abs(pruned - (joint * counts.sum() * (1 - np.eye(k)))).max() <= 1
    assert np.allclose(cl.noise_matrix(joint).sum(0), 1)


# ---- collisions --------------------------------------------------------------------------------------------------


def collision() -> tuple[np.ndarray, np.ndarray]:
    """The last row reaches the thresholds of its own class 1 and of class 2; class 0 is likelier but far below its."""
    sure = [[0.95, 0.03, 0.02]] * 4 + [[0.34, 0.36, 0.30]] * 4 + [[0.65, 0.15, 0.20]] * 4
    probs = np.array([*sure, [0.42, 0.38, 0.20]], np.float32)
    return np.array([0] * 4 + [1] * 4 + [2] * 4 + [1]), probs


def test_a_collision_goes_to_the_best_class_above_its_own_threshold() -> None:
    labels, probs = collision()
    thresholds = cl.class_thresholds(labels, probs)
    assert probs[-1].argmax() == 0
    assert probs[-1, 0] < thresholds[0]
    assert (probs[-1, 1:] >= thresholds[1:] - 1e-6).all()
    assert cl.confident_joint(labels, probs)[1].tolist() == [0, 1, 4]
    assert not find_label_issues(labels, probs)[0][-1]


def test_the_peer_flags_the_correct_row_of_a_collision() -> None:
    count = pytest.importorskip("cleanlab.count")
    labels, probs = collision()
    assert count.compute_confident_joint(labels, probs, calibrate=False)[1, 0] == 1


# ---- what must not matter ----------------------------------------------------------------------------------------


def test_row_order_and_number_of_threads_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, probs, _ = problem(20_000, 5, 3)
    mask, scores = find_label_issues(labels, probs)
    order = np.random.default_rng(0).permutation(len(labels))
    monkeypatch.setattr("dross.core.compiled.threads", lambda: 3)
    again, rescored = find_label_issues(labels[order], probs[order])
    assert np.array_equal(again, mask[order])
    assert np.array_equal(rescored, scores[order])


def test_float64_and_fortran_order_give_the_same_rows() -> None:
    labels, probs, _ = problem(3000, 4, 1)
    mask, _ = find_label_issues(labels, probs)
    assert np.array_equal(find_label_issues(labels, np.asfortranarray(probs))[0], mask)
    assert (find_label_issues(labels, probs.astype(np.float64))[0] == mask).mean() > 0.999


def test_class_numbers_are_only_names() -> None:
    labels, probs, _ = problem(4000, 4, 2)
    swap = np.array([2, 0, 3, 1])
    moved = np.empty_like(probs)
    moved[:, swap] = probs
    mask, again = find_label_issues(labels, probs)[0], find_label_issues(swap[labels], moved)[0]
    assert (mask == again).mean() > 0.999  # rounding may give a tie between classes to another class


def test_inputs_are_left_as_they_were() -> None:
    labels, probs, _ = problem(100, 3, 0)
    before = probs.copy()
    find_label_issues(labels, probs)
    assert probs.flags.writeable
    assert np.array_equal(probs, before)


# ---- bad and small input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "probs", "says"),
    [
        ([0, 1], [[0.5, 0.5], [np.nan, 0.5]], "row 1"),
        ([0, 1], [[0.5, 0.5], [np.inf, -np.inf]], "row 1"),
        ([0, 1], [[1.4, -0.4], [0.5, 0.5]], "row 0"),
        ([0, 1], [[0.5, 0.5], [0.9, 0.9]], "add up to 1"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "2 classes"),
        ([0, -2], [[0.5, 0.5], [0.5, 0.5]], "from -2"),
        ([0.5, 1.0], [[0.5, 0.5], [0.5, 0.5]], "class numbers"),
        ([0], [[0.5, 0.5], [0.5, 0.5]], "belong together"),
    ],
)
def test_bad_input_is_named(labels: list[float], probs: list[list[float]], says: str) -> None:
    with pytest.raises(DrossError, match=says):
        find_label_issues(labels, np.array(probs))


@pytest.mark.parametrize("labels", [[], [0], [-1, -1], [0, 0, 0]])
def test_little_input_flags_nothing(labels: list[int]) -> None:
    mask, scores = find_label_issues(np.array(labels, int), np.full((len(labels), 2), 0.5, np.float32))
    assert not mask.any()
    assert (cl.pruned_first(mask, scores) < 0.5).all()


def test_a_row_certain_of_another_class_but_not_pruned_stays_below_half() -> None:
    ranked = cl.pruned_first(np.array([True, False, False]), np.array([0.3, 1.0, 0.2], np.float32))
    assert ranked[0] == pytest.approx(0.65)
    assert ranked[2] < ranked[1] < 0.5


# ---- the detector ------------------------------------------------------------------------------------------------


def test_keeps_the_contract() -> None:
    check_method(ConfidentLearning)


def test_finds_planted_flips_and_their_true_class() -> None:
    planted = digits(flipped=0.2, seed=0)
    found = ConfidentLearning().run(planted.data, Signals(planted.data))
    assert isinstance(found, Findings)
    assert planted.truth is not None
    assert found.suggestion is not None
    flagged = found.rows[found.scores >= 0.5]
    hits = np.isin(flagged, planted.rows).sum()
    assert 2 * hits / (len(flagged) + len(planted.rows)) > 0.85
    assert (found.suggestion[planted.rows] == planted.truth[planted.rows]).mean() > 0.85
    assert found.summary["estimated_error_rate"] == pytest.approx(0.2, abs=0.05)
    assert (found.suggestion != planted.data.codes).all()


def test_too_many_classes_do_not_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cl, "MOST_CLASSES", 3)
    data = blobs(60, k=4).data
    assert isinstance(ConfidentLearning().run(data, Signals(data)), NotApplicable)


def test_probabilities_of_other_classes_are_refused() -> None:
    data = table_dataset(np.zeros((6, 2)), ["a", "b", "a", "b", "c", "c"])
    signals = Signals(data)
    signals._values[Probabilities()] = np.full((6, 2), 0.5, np.float32)
    with pytest.raises(DrossError, match="3"):
        ConfidentLearning().run(data, signals)


# ---- beside the peer, on real label errors -----------------------------------------------------------------------


def test_agrees_with_the_peer_where_nothing_collides() -> None:
    cleanlab = pytest.importorskip("cleanlab")
    from sklearn.metrics import roc_auc_score

    labels, probs, truth = problem(5000, 6, 4, sharp=3.0)
    mask, scores = find_label_issues(labels, probs)
    theirs = cleanlab.filter.find_label_issues(labels, probs, n_jobs=1)
    assert (mask & theirs).sum() / (mask | theirs).sum() > 0.9
    quality = cleanlab.rank.get_label_quality_scores(labels, probs)
    assert roc_auc_score(labels != truth, scores) == pytest.approx(roc_auc_score(labels != truth, -quality))
    wide, near = (
        cleanlab.count.compute_confident_joint(labels, probs, calibrate=False),
        cl.confident_joint(labels, probs),
    )
    assert np.abs(wide - np.maximum(near, np.eye(6, dtype=int))).sum() < 0.05 * len(labels)


@pytest.mark.data
def test_ranks_human_verified_errors_as_well_as_the_baseline() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    folder = real("mnist_label_errors")
    stored = np.load(folder / "mnist_test.npz")
    verified = pq.read_table(folder / "verified.parquet").to_pydict()
    mask, scores = find_label_issues(stored["given_label"], stored["pred_probs"])
    judged = np.array(verified["index"])
    wrong = np.array(verified["verdict"]) != "given_ok"
    assert roc_auc_score(wrong, scores[judged]) > 0.71
    assert average_precision_score(wrong, scores[judged]) > 0.50
    assert mask.sum() < 50
