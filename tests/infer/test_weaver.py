"""Weaver: moments against known accuracies, the posterior against Bayes' rule, better picks than a mean of scores."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Predictions
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.infer.weaver import Weaver
from dross.models import verifiers as v
from dross.testing import check_method


def voted(n: int, balance: float, positive: list[float], negative: list[float], seed: int = 0):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < balance
    return truth, rng.random((n, len(positive))) < np.where(truth[:, None], positive, negative)


@pytest.mark.parametrize("balance", [0.2, 0.5, 0.7])
def test_accuracies_and_balance_follow_from_agreement(balance: float) -> None:
    positive, negative = [0.9, 0.8, 0.75, 0.6, 0.95, 0.5], [0.2, 0.15, 0.3, 0.4, 0.8, 0.5]
    truth, votes = voted(60_000, balance, positive, negative)
    found = v.accuracies(votes, np.ones_like(votes))
    assert abs(found.balance - truth.mean()) < 0.03
    assert np.abs(found.true_positive - positive).max() < 0.05
    assert np.abs(found.false_positive - negative).max() < 0.05
    true_tie = [np.corrcoef(truth, votes[:, j])[0, 1] for j in range(6)]
    assert np.abs(found.tie - true_tie).max() < 0.03


def test_accuracies_with_missing_votes_and_known_balance() -> None:
    positive, negative = [0.9, 0.8, 0.7, 0.85], [0.1, 0.2, 0.4, 0.25]
    _, votes = voted(60_000, 0.4, positive, negative, seed=1)
    there = np.random.default_rng(2).random(votes.shape) < [1, 0.6, 0.5, 0.7]
    for balance in (None, 0.4):
        found = v.accuracies(votes & there, there, balance)
        assert np.abs(found.true_positive - positive).max() < 0.04
        assert np.abs(found.false_positive - negative).max() < 0.04


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(0, 9999))
def test_posterior_is_bayes_rule(m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tp, fp, b = rng.uniform(0.1, 0.9, m), rng.uniform(0.1, 0.9, m), rng.uniform(0.1, 0.9)
    votes, there = rng.random((20, m)) < 0.5, rng.random((20, m)) < 0.7
    found = v.posterior(votes, there, v.Accuracies(tp, fp, b, tp, np.arange(m)))
    for i in range(20):
        right, wrong = b, 1 - b
        for j in np.flatnonzero(there[i]):
            right *= tp[j] if votes[i, j] else 1 - tp[j]
            wrong *= fp[j] if votes[i, j] else 1 - fp[j]
        assert found[i] == pytest.approx(right / (right + wrong))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(0, 9999))
def test_best_of_each_query(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries, chance, tie = rng.integers(0, 5, n), rng.random(n).round(1), rng.random(n).round(1)
    slow = [
        max(np.flatnonzero(queries == q), key=lambda i: (chance[i], tie[i], -i)) for q in np.unique(queries).tolist()
    ]
    assert v.best_of(queries, chance, tie).tolist() == sorted(slow)


def test_levels_recover_the_likelihood_ratio() -> None:
    rng = np.random.default_rng(3)
    n = 40_000
    truth = rng.random(n) < 0.4
    scores = np.where(truth[:, None], [1.5, 1.2, 1.0, 0.8], 0) + rng.normal(size=(n, 4))
    votes, there = scores > 0.5, np.ones((n, 4), bool)
    odds = v.graded(scores, votes, there, v.accuracies(votes, there), 10)[:, 0]
    exact = 1.5 * scores[:, 0] - 1.5**2 / 2
    inner = np.abs(scores[:, 0] - 0.75) < 1.2
    assert np.abs(odds - exact)[inner].mean() < 0.35
    assert np.corrcoef(odds[inner], exact[inner])[0, 1] > 0.95


def test_scales_do_not_matter_and_queries_can_be_centred() -> None:
    rng = np.random.default_rng(4)
    scores, queries = rng.normal(size=(200, 3)), np.repeat(np.arange(20), 10)
    assert np.allclose(v.normalised(scores), v.normalised(scores * [1, 50, 0.01] + [0, 3, -9]))
    shifted = scores + 5 * rng.normal(size=20)[queries][:, None]
    assert np.allclose(v.normalised(scores, queries), v.normalised(shifted, queries))


def candidates(seed: int = 0, queries: int = 250) -> tuple[Dataset, np.ndarray]:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(queries), 8)
    right = rng.random(len(group)) < rng.beta(1, 1.5, queries)[group]
    raw = right[:, None] * [1.6, 1.2, 0.9, 0.0, 0.0, 0.0] + rng.normal(size=(len(group), 6))
    raw[:, 1] = 20 * raw[:, 1] - 7
    columns = {f"v{j}": raw[:, j] for j in range(6)} | {"always": np.ones(len(group)), "good": raw[:, 0] > 0.6}
    X = (right[:, None] * [1.5, 0, 0] + rng.normal(size=(len(group), 3))).astype(np.float32)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 3)
    table = pa.table({"query": [f"q{i}" for i in group], "x": flat, **columns})
    return Dataset(table, {Role.GROUP: ["query"], Role.FEATURES: list(columns), Role.EMBEDDING: ["x"]}), right


def test_a_copy_of_a_verifier_counts_once() -> None:
    _, votes = voted(30_000, 0.4, [0.85, 0.75, 0.7, 0.65], [0.2, 0.25, 0.3, 0.4])
    copied = np.concatenate([votes, votes[:, :1]], axis=1)
    alone = v.accuracies(votes, np.ones_like(votes))
    found = v.accuracies(copied, np.ones_like(copied))
    assert np.allclose(found.tie[:4], alone.tie, atol=0.02)
    assert found.weight.tolist() == [0.5, 1, 1, 1, 0.5]
    one, two = v.posterior(votes, np.ones_like(votes), alone), v.posterior(copied, np.ones_like(copied), found)
    assert np.abs(one - two).max() < 0.03


def test_picks_better_than_the_mean_and_leaves_out_what_says_nothing() -> None:
    gained, group = [], np.repeat(np.arange(250), 8)
    for seed in range(4):
        data, right = candidates(seed)
        found = Weaver().run(data, Signals(data))
        assert isinstance(found, Predictions)
        raw = np.stack([data.numbers(f"v{j}") for j in range(6)], axis=1)
        mean = v.normalised(raw).mean(axis=1)
        gained.append(right[found.summary["chosen"]].mean() - right[v.best_of(group, mean, mean)].mean())
        used = {one["verifier"] for one in found.summary["verifiers"] if one["used"]}
        assert {"v0", "v1", "v2"} <= used
        assert "always" not in used
        assert len(used & {"v3", "v4", "v5"}) <= 1
        assert found.summary["queries"] == 250
        assert found.summary["distilled_agrees"] > 0.125  # one in eight at chance
    assert np.mean(gained) > 0.04


def test_rows_without_scores_are_answered_by_the_distilled_scorer() -> None:
    data, right = candidates()
    late = np.arange(len(data)) >= 1000
    columns = {
        name: pa.array(data.table.column(name).to_pylist(), mask=late) if name in data.roles[Role.FEATURES]
        else data.table.column(name)
        for name in data.table.column_names
    }  # fmt: skip
    gone = Dataset(pa.table(columns), data.roles)
    found = Weaver().run(gone, Signals(gone))
    assert isinstance(found, Predictions)
    assert found.summary["unscored"] == 1000
    chosen = np.array(found.summary["chosen"])
    assert right[chosen[chosen >= 1000]].mean() > right[late].mean() + 0.1
    without = Dataset(gone.table, {role: names for role, names in gone.roles.items() if role != Role.EMBEDDING})
    plain = Weaver().run(without, Signals(without))
    assert isinstance(plain, Predictions)
    assert len(np.unique(plain.probs[late, 1])) == 1


def test_bad_input() -> None:
    data, _ = candidates(queries=10)
    few = data.slice(0, 15)
    assert isinstance(Weaver().run(few, Signals(few)), NotApplicable)
    two = Dataset(data.table, {**data.roles, Role.FEATURES: ["v0", "always"]})
    found = Weaver().run(two, Signals(two))
    assert isinstance(found, NotApplicable)
    assert "at least 3" in found.reason
    texts = Dataset(data.table, {**data.roles, Role.FEATURES: ["v0", "query"]})
    with pytest.raises(DrossError, match="not numbers"):
        Weaver().run(texts, Signals(texts))
    holes = data.with_column("query", pa.array([None] * len(data), pa.string()))
    with pytest.raises(DrossError, match="80 candidates belong to no query"):
        Weaver().run(holes, Signals(holes))
    with pytest.raises(DrossError, match="levels must be"):
        Weaver(levels=1).run(data, Signals(data))


def test_keeps_the_contract() -> None:
    check_method(Weaver)
