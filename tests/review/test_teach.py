"""Teach as you go: the posterior mode against brute force, what decisions teach, and what they must not."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit

import dross
from dross.core.errors import DrossError
from dross.review.posterior import Prior
from dross.review.teach import (
    CERTAIN,
    FARTHEST,
    PRIOR,
    SURE,
    Chances,
    Evidence,
    leading_directions,
    rescore,
    standard_scores,
)
from dross.testing.planted import blobs

NOTHING = np.empty(0, np.int64)


def made(n: int = 400, *, j: int = 3, k: int = 4, d: int = 5, seed: int = 0, **parts: Any) -> Evidence:
    """Findings of which the higher ones are likelier to be defects, with methods that agree more or less."""
    rng = np.random.default_rng(seed)
    t = rng.normal(-1, 2, n)
    whole: dict[str, Any] = {
        "combined": expit(t).astype(np.float32),
        "expected": expit(1.5 * t - 1).astype(np.float32),
        "scores": expit(t[:, None] + rng.normal(size=(n, j))).astype(np.float32),
        "given": rng.integers(0, k, n).astype(np.int32),
        "suggested": rng.integers(0, k, n).astype(np.int32),
        "vectors": rng.normal(size=(n, d)).astype(np.float32),
        "names": tuple(f"method {i}" for i in range(j)),
    }
    return Evidence(**(whole | parts))


def top(evidence: Evidence, m: int) -> np.ndarray:
    """The first m findings of the audit's own queue."""
    return rescore(evidence, NOTHING, NOTHING).order()[:m]


def drawn(evidence: Evidence, rows: np.ndarray, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random(len(rows)) < evidence.expected[rows]


# ---- the optimum ----------------------------------------------------------------------------------------------------


def brute_force(e: Evidence, rows: np.ndarray, truth: np.ndarray, prior: Prior) -> np.ndarray:
    """The log odds of all findings, from the objective written out with a column for every label and every pair."""
    base = np.column_stack([logit(np.clip(e.expected.astype(float), SURE, 1 - SURE))])
    base = np.column_stack([base, logit(np.clip(e.combined.astype(float), CERTAIN, 1 - CERTAIN))])
    start = prior.expected * base[:, 0] + prior.combined * base[:, 1]
    start += base[rows, 0].mean() - start[rows].mean()
    held = np.clip(base, base[rows].min(axis=0), base[rows].max(axis=0))
    k = int(max(e.given.max(), e.suggested.max())) + 1
    pair = np.where((e.given >= 0) & (e.suggested >= 0), e.given * k + e.suggested, -1)
    known = [(e.given, k), (e.suggested, k), (pair, k * k)]
    hot = [np.where((codes >= 0)[:, None], np.eye(size)[codes], 0) for codes, size in known]
    X = np.column_stack([held, e.features, *hot])
    X = np.column_stack([np.ones(len(e)), X - X[rows].mean(axis=0)])
    sizes = [(prior.offset, 1), (prior.slope, 2), (prior.method, e.scores.shape[1])]
    sizes += [(prior.direction, e.vectors.shape[1]), (prior.label, k), (prior.label, k), (prior.pair, k * k)]
    deviation = np.concatenate([np.full(count, s) for s, count in sizes])

    def loss(w: np.ndarray) -> float:
        t = start[rows] + X[rows] @ w
        likelihood = -np.log(np.where(truth, expit(t), expit(-t))).sum()
        return float(likelihood + 0.5 * np.sum((w / deviation) ** 2))

    def slope(w: np.ndarray) -> np.ndarray:
        t = start[rows] + X[rows] @ w
        return np.asarray(X[rows].T @ (expit(t) - truth) + w / deviation**2)

    free = [(None, None)] * X.shape[1]
    free[1:3] = [(-prior.expected, None), (-prior.combined, None)]
    found = minimize(
        loss,
        np.zeros(X.shape[1]),
        jac=slope,
        method="L-BFGS-B",
        bounds=free,
        options={"gtol": 1e-9, "ftol": 1e-15, "maxiter": 20_000, "maxfun": 50_000},
    )
    return np.asarray(start + X @ found.x)


@pytest.mark.parametrize("seed", range(4))
def test_the_mode_is_that_of_the_whole_objective(seed: int) -> None:
    e = made(200, seed=seed)
    e.given[::7] = -1
    e.suggested[::5] = -1
    rows = np.random.default_rng(seed).choice(60 if seed % 2 else 200, 50, replace=False)
    rows = top(e, 200)[rows]
    truth = drawn(e, rows, seed)
    prior = Prior(offset=1.1, slope=0.6, method=0.7, label=0.8, pair=0.6, direction=0.4, expected=0.5, combined=0.7)
    expected = brute_force(e, rows, truth, prior)
    assert rescore(e, rows, truth, prior).log_odds == pytest.approx(expected, abs=2e-3)


# ---- what must stand ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("calibrated", [True, False])
def test_without_decisions_the_order_and_the_chances_are_the_audits(calibrated: bool) -> None:
    e = made()
    if not calibrated:
        e = dataclasses.replace(e, expected=np.full(len(e), np.nan, np.float32))
    chances = rescore(e, NOTHING, NOTHING)
    assert np.array_equal(chances.p, e.expected if calibrated else e.combined)
    assert np.array_equal(chances.order(), np.argsort(-e.combined, kind="stable"))


def test_findings_of_equal_chance_stand_in_the_order_of_their_scores() -> None:
    e = made()
    flat = dataclasses.replace(e, expected=np.where(e.expected > 0.5, 0.9, 0.1).astype(np.float32))
    assert np.array_equal(rescore(flat, NOTHING, NOTHING).order(), np.argsort(-e.combined, kind="stable"))


def test_one_decision_hardly_moves_the_order() -> None:
    e = made(1000)
    first = top(e, 1)
    after = rescore(e, first, np.array([True])).order()
    assert len(np.intersect1d(after[:100], top(e, 100))) >= 95


def test_false_alarms_at_the_top_lift_no_row_that_nobody_looked_at() -> None:
    e = made(5000, vectors=np.empty((5000, 0), np.float32))
    rows = top(e, 300)
    chances = rescore(e, rows, np.random.default_rng(0).random(300) < 0.3)
    far = top(e, 5000)[1500:]
    assert chances.offset < 0
    assert np.quantile(chances.p[far] - e.plain[far], 0.99) <= 0
    # and the order of what is left is still the audit's in the main
    left = top(e, 5000)[300:]
    assert np.corrcoef(np.argsort(np.argsort(chances.p[left])), -np.arange(len(left)))[0, 1] > 0.9


def test_the_audits_order_never_turns_round() -> None:
    none = np.full(400, -1, np.int32)
    e = made(400, j=0, d=0, given=none, suggested=none)
    rows = top(e, 200)
    upside_down = np.arange(200) >= 100
    p = rescore(e, rows, upside_down, Prior(slope=10.0)).p[top(e, 400)]
    assert (np.diff(p) <= 1e-6).all()


@pytest.mark.parametrize("defect", [True, False])
def test_decisions_of_one_kind(defect: bool) -> None:
    e = made(500)
    rows = top(e, 200)
    chances = rescore(e, rows, np.full(200, defect))
    left = top(e, 500)[200:]
    assert np.isfinite(chances.log_odds).all()
    assert (chances.p[left].mean() > e.plain[left].mean()) == defect


# ---- what decisions teach -------------------------------------------------------------------------------------------


def test_a_method_that_is_always_right_gains_weight() -> None:
    e = made(1000, seed=3)
    rows = top(e, 300)
    right = e.scores[:, 1] > np.median(e.scores[rows, 1])
    weights = [rescore(e, rows[:m], right[rows[:m]]).weights for m in (30, 100, 300)]
    assert all(w.argmax() == 1 for w in weights)
    assert weights[0][1] < weights[1][1] < weights[2][1]


@pytest.mark.parametrize("by", ["given", "suggested"])
def test_a_class_whose_findings_are_all_false_sinks(by: str) -> None:
    e = made(1000, seed=4)
    rows = top(e, 200)
    bad = getattr(e, by) == 2
    chances = rescore(e, rows, ~bad[rows])
    place = np.empty(1000, int)
    place[chances.order()] = np.arange(1000)
    before = np.empty(1000, int)
    before[top(e, 1000)] = np.arange(1000)
    left = np.setdiff1d(np.arange(1000), rows)
    near = left[before[left] < 500]
    moved = place - before
    assert moved[near[bad[near]]].mean() > 50
    assert moved[near[~bad[near]]].mean() < 0


def test_a_region_of_false_alarms_sinks() -> None:
    e = made(1000, seed=5)
    rows = top(e, 300)
    bad = e.vectors[:, 0] > 0
    chances = rescore(e, rows, ~bad[rows])
    left = np.setdiff1d(np.arange(1000), rows)
    change = chances.p - e.plain
    assert change[left[bad[left]]].mean() < change[left[~bad[left]]].mean() - 0.02


def test_re_scoring_finds_more_where_a_method_misleads() -> None:
    e = made(3000, seed=6)
    true = np.random.default_rng(0).random(3000) < expit(3 * e.features[:, 0] - 3 * e.features[:, 2] - 1)
    decided = NOTHING
    for _ in range(30):
        queue = rescore(e, decided, true[decided]).order()
        decided = np.concatenate([decided, queue[~np.isin(queue, decided)][:10]])
    assert true[decided].sum() > 1.3 * true[top(e, 300)].sum()


def test_two_people_count_twice() -> None:
    e = made()
    rows = top(e, 40)
    truth = np.zeros(40, bool)
    once = rescore(e, rows, truth).offset
    assert rescore(e, np.r_[rows, rows], np.r_[truth, truth]).offset < once < 0


# ---- odd input ------------------------------------------------------------------------------------------------------


def test_no_findings_and_one() -> None:
    none = made(0)
    assert len(rescore(none, NOTHING, NOTHING).order()) == 0
    one = made(1)
    for defect in (True, False):
        chances = rescore(one, np.array([0]), np.array([defect]))
        assert np.isfinite(chances.p).all()
        assert chances.order().tolist() == [0]


def test_no_methods_no_labels_no_vectors() -> None:
    n = 50
    bare = made(
        n,
        j=0,
        d=0,
        given=np.full(n, -1, np.int32),
        suggested=np.full(n, -1, np.int32),
        expected=np.full(n, np.nan, np.float32),
    )
    order = top(bare, n)
    chances = rescore(bare, order[:20], np.arange(20) < 10)
    assert np.array_equal(chances.order(), order)


def test_methods_that_say_nothing_of_a_row() -> None:
    e = made()
    e.scores[::3, 0] = np.nan
    e.scores[:, 1] = np.nan
    e.scores[:, 2] = 0.5
    rows = top(e, 100)
    chances = rescore(e, rows, drawn(e, rows))
    assert np.isfinite(chances.p).all()
    assert chances.weights[0] != 0
    assert chances.weights[1:].tolist() == [0, 0]


def test_only_the_order_of_a_methods_scores_counts() -> None:
    e = made()
    other = dataclasses.replace(e, scores=np.exp(20 * e.scores.astype(np.float64)))
    rows = top(e, 100)
    truth = drawn(e, rows)
    assert rescore(other, rows, truth).p == pytest.approx(rescore(e, rows, truth).p, abs=1e-4)


def test_a_hundred_thousand_rows() -> None:
    e = made(100_000, j=6, k=10, d=16)
    rows = top(e, 2000)
    chances = rescore(e, rows, drawn(e, rows))
    assert chances.p.dtype == np.float32
    assert np.isfinite(chances.p).all()
    assert np.array_equal(np.sort(chances.order()), np.arange(100_000))


def test_many_classes() -> None:
    e = made(3000, k=1500)
    rows = top(e, 500)
    assert np.isfinite(rescore(e, rows, drawn(e, rows)).p).all()


@pytest.mark.parametrize(
    ("decided", "defect", "word"),
    [([0, 1], [True], "match"), ([[0]], [[True]], "match"), ([400], [True], "positions"), ([-1], [True], "positions")],
)
def test_decisions_that_fit_no_finding_are_refused(decided: list[Any], defect: list[Any], word: str) -> None:
    with pytest.raises(DrossError, match=word):
        rescore(made(400), np.array(decided), np.array(defect))


def test_evidence_of_unequal_length_or_scale_is_refused() -> None:
    with pytest.raises(DrossError, match="'given'"):
        made(10, given=np.zeros(9, np.int32))
    with pytest.raises(DrossError, match="numbers in"):
        made(10, combined=np.full(10, 2, np.float32))
    with pytest.raises(DrossError, match="numbers in"):
        made(10, combined=np.full(10, np.nan, np.float32))
    with pytest.raises(DrossError, match="finite"):
        made(10, vectors=np.full((10, 1), np.nan, np.float32))


@st.composite
def _problems(draw: st.DrawFn) -> tuple[Evidence, np.ndarray, np.ndarray]:
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    coarse = draw(st.sampled_from([1, 3, 1000]))
    e = Evidence(
        combined=(rng.integers(0, coarse + 1, n) / coarse).astype(np.float32),
        expected=np.where(rng.random(n) < 0.3, np.nan, rng.integers(0, coarse + 1, n) / coarse).astype(np.float32),
        scores=np.where(rng.random((n, 2)) < 0.3, np.nan, rng.normal(size=(n, 2)) * 1e3).astype(np.float32),
        given=rng.integers(-1, 3, n).astype(np.int32),
        suggested=rng.integers(-1, 3, n).astype(np.int32),
        vectors=(rng.normal(size=(n, draw(st.integers(0, 3)))) * draw(st.sampled_from([0.0, 1.0, 1e6]))).astype(
            np.float32
        ),
    )
    rows = rng.integers(0, n, draw(st.integers(0, 60)))
    return e, rows, rng.random(len(rows)) < draw(st.sampled_from([0.0, 0.5, 1.0]))


@settings(max_examples=60, deadline=None)
@given(_problems())
def test_chances_are_finite_numbers_in_0_1_and_the_same_again(problem: tuple[Evidence, np.ndarray, np.ndarray]) -> None:
    e, rows, truth = problem
    chances = rescore(e, rows, truth)
    assert isinstance(chances, Chances)
    assert np.isfinite(chances.p).all()
    assert chances.p.min() >= 0
    assert chances.p.max() <= 1
    assert np.array_equal(np.sort(chances.order()), np.arange(len(e)))
    assert np.array_equal(chances.p, rescore(e, rows, truth, PRIOR).p)


# ---- evidence -------------------------------------------------------------------------------------------------------


def test_evidence_of_an_audit() -> None:
    planted = blobs(300, flipped=0.15)
    data = planted.data
    audit = dross.audit(data, only=["confident-learning", "class-prototypes", "neighbour-credibility"])
    table = audit.tables["label"]
    rows = table["row"].to_numpy()
    X = data.matrix(dross.core.roles.Role.EMBEDDING)[rows]
    e = Evidence.of_table(table, classes=data.classes, given=data.codes[rows], vectors=X)
    assert len(e) == len(rows)
    assert sum(name.startswith("score_") for name in e.names) == 3
    assert sum(name.startswith("given_probability") for name in e.names) == 1  # the same number from every method
    assert e.vectors.shape == (len(rows), 8)
    named = [data.classes[code] if code >= 0 else None for code in e.suggested]
    assert named == table["suggestion"].to_pylist()
    wrong = np.isin(rows, planted.rows)
    order = top(e, len(e))
    assert wrong[rescore(e, order[:30], wrong[order[:30]]).order()[:40]].mean() > 0.8


def test_a_twin_whose_row_is_named_like_a_class_is_no_label() -> None:
    columns = {"issue": ["duplicate"] * 2, "score": [0.9, 0.2], "suggestion": ["1", None]}
    table = pa.table(columns | {"expected_precision": pa.array([0.5, None], pa.float32())})
    assert Evidence.of_table(table, classes=[0, 1]).suggested.tolist() == [-1, -1]
    label = table.set_column(0, "issue", pa.array(["label"] * 2).dictionary_encode())
    assert Evidence.of_table(label, classes=[0, 1]).suggested.tolist() == [1, -1]


def test_normal_scores_are_standardised_and_bounded() -> None:
    values = np.random.default_rng(0).exponential(size=(30_000, 2)) ** 3
    z = standard_scores(values)
    assert z.mean(axis=0) == pytest.approx([0, 0], abs=1e-2)
    assert z.std(axis=0) == pytest.approx([1, 1], abs=2e-2)
    assert np.abs(z).max() <= FARTHEST
    assert (np.diff(z[np.argsort(values[:, 0]), 0]) >= 0).all()


def test_leading_directions_are_those_of_the_singular_value_decomposition() -> None:
    X = np.random.default_rng(0).normal(size=(500, 30)) * np.linspace(5, 1, 30) + 3
    U, s, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    got = leading_directions(X, 4)
    assert np.abs(got) == pytest.approx(np.abs(U[:, :4] * s[:4]), abs=1e-2)
    assert leading_directions(X[:, :2]).shape == (500, 2)
