from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.core.errors import DrossError
from dross.models.crowd import Consensus
from dross.models.label_models import MODELS, em, fit
from dross.models.label_models.choose import auto
from dross.models.label_models.dawid_skene import confusion_table
from dross.models.label_models.dependent import Forest, count_given, forest_pass
from dross.models.label_models.facts import ONE_SIDED, look
from dross.models.label_models.metal import complete
from dross.models.label_models.moments import pair_counts, pair_counts_by_class
from dross.models.label_models.structure import firing_together, rank_one, repeating, tempered
from dross.models.label_models.triplet import accuracies
from dross.models.votes import Votes, from_matrix, from_probs, take


def answers(
    n: int, accuracy: np.ndarray, *, k: int = 2, silent: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Independent sources of known accuracy: votes (n, m) and truth (n,)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    right = rng.random((n, len(accuracy))) < accuracy
    votes = np.where(right, truth[:, None], (truth[:, None] + rng.integers(1, max(k, 2), right.shape)) % k)
    votes[rng.random(right.shape) < silent] = -1
    return votes, truth


def rules(n: int, m: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rules that each vote for one of two classes where they fire, on 4 to 25 % of rows, 55 to 95 % right."""
    rng = np.random.default_rng(seed)
    balance = np.array([0.6, 0.4])
    truth = rng.choice(2, n, p=balance)
    votes = np.full((n, m), -1)
    for j in range(m):
        fires, right = rng.uniform(0.04, 0.25), rng.uniform(0.55, 0.95)
        chance = fires * np.where(truth == j % 2, right / balance[j % 2], (1 - right) / balance[1 - j % 2])
        votes[rng.random(n) < chance, j] = j % 2
    return votes, truth


def correct(found: Consensus, votes: np.ndarray, truth: np.ndarray) -> float:
    seen = (votes >= 0).any(axis=1)
    return float((found.probs[seen].argmax(axis=1) == truth[seen]).mean())


SKILLS = np.array([0.95, 0.9, 0.8, 0.7, 0.65, 0.6, 0.6, 0.55])


# ---- kernels against plain loops ---------------------------------------------------------------------------------


@given(st.integers(0, 100), st.integers(1, 30), st.booleans(), st.integers(2, 3))
@settings(max_examples=30, deadline=None)
def test_a_pass_is_bayes_rule_row_by_row(seed: int, n: int, soft: bool, k: int) -> None:
    rng = np.random.default_rng(seed)
    votes = from_matrix(rng.integers(-1, k, (n, 4)), k)
    weights = rng.random(len(votes.labels)) + 0.1 if soft else None
    times = rng.integers(1, 4, n).astype(float)
    votes = Votes(votes.starts, votes.annotators, votes.labels, votes.names, votes.classes, weights, times)
    base, delta = rng.normal(size=k), rng.normal(size=(4, k, k))
    counts, total, probs = np.zeros((4, k, k)), 0.0, np.empty((n, k))
    for i in range(n):
        score = base.copy()
        inside = range(votes.starts[i], votes.starts[i + 1])
        for v in inside:
            score += (weights[v] if soft else 1) * delta[votes.annotators[v], votes.labels[v]]
        total += times[i] * np.log(np.exp(score).sum())
        probs[i] = np.exp(score) / np.exp(score).sum()
        for v in inside:
            counts[votes.annotators[v], votes.labels[v]] += times[i] * (weights[v] if soft else 1) * probs[i]
    found = em.expected(votes, (base, delta))
    assert np.allclose(found.votes, counts)
    assert np.allclose(found.rows, times @ probs)
    assert np.isclose(found.log_likelihood, total)
    assert np.allclose(em.posteriors(votes, (base, delta)), probs)
    assert np.isclose(times @ em.likelihoods(votes, (base, delta)), total)


@given(st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_a_soft_vote_is_a_hard_one_drawn_by_its_chances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    soft = rng.dirichlet(np.ones(2), (4, 3))
    table = (np.log([0.4, 0.6]), np.log(rng.dirichlet(np.ones(2), (3, 2)).transpose(0, 2, 1)))
    found = em.expected(from_probs(soft, least=0.0), table)
    counts, total = np.zeros((3, 2, 2)), 0.0
    for row in soft:
        joint = {}
        for said in np.ndindex(2, 2, 2):
            chance = np.prod([row[j, said[j]] for j in range(3)])
            joint[said] = chance * np.exp(table[0] + sum(table[1][j, said[j]] for j in range(3)))
        whole = sum(p.sum() for p in joint.values())
        total += np.log(whole)
        for said, p in joint.items():
            for j in range(3):
                counts[j, said[j]] += p / whole
    assert np.allclose(found.votes, counts)
    assert np.isclose(found.log_likelihood, total)


def test_cores_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = from_matrix(answers(9000, SKILLS)[0], 2)
    table = confusion_table(em.by_majority(votes), None)
    got = []
    for cores in (1, 3):
        monkeypatch.setattr(em, "threads", lambda cores=cores: cores)
        got.append(em.expected(votes, table))
    assert np.array_equal(got[0].votes, got[1].votes)


@given(st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_pair_counts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-1, 2, (20, 3))
    votes, probs = from_matrix(matrix, 2), rng.dirichlet(np.ones(2), 20)
    out, by_class = pair_counts(votes), pair_counts_by_class(votes, probs)
    hot = np.stack([matrix == 0, matrix == 1], axis=2).astype(float)
    assert np.allclose(out, np.einsum("nia,njb->iajb", hot, hot))
    assert np.allclose(by_class, np.einsum("nia,njb,nc->iajbc", hot, hot, probs))


@given(st.integers(0, 60))
@settings(max_examples=15, deadline=None)
def test_the_forest_is_the_product_of_its_tables(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m, k = 12, 5, 2
    matrix = rng.integers(-1, k, (n, m))
    parent = np.array([-1, 0, 0, 1, -1])
    full = rng.dirichlet(np.ones(k + 1), (m, k + 1, k)).transpose(0, 3, 1, 2)  # m, answer, parent's answer, class
    full[parent < 0] = full[parent < 0][:, :, :1]
    prior = rng.dirichlet(np.ones(k))
    table = np.log(full)
    silent = table[:, k, k].copy()
    probs, out, rows = np.empty((n, k)), np.zeros((m, k + 1, k + 1, k)), np.zeros(k)
    tree, votes = Forest.of(parent), from_matrix(matrix, k)
    total = forest_pass(
        votes.starts, votes.annotators, votes.labels, np.empty(0), tree.parent, tree.first, tree.children,
        np.log(prior) + silent.sum(axis=0), table - silent[:, None, None], out, rows, probs,
    )  # fmt: skip
    said = np.where(matrix < 0, k, matrix)
    joint = np.tile(prior, (n, 1))
    for j in range(m):
        beside = said[:, parent[j]] if parent[j] >= 0 else np.zeros(n, int)
        joint *= full[j][said[:, j], beside]
    assert np.allclose(probs, joint / joint.sum(axis=1, keepdims=True))
    assert np.isclose(total, np.log(joint.sum(axis=1)).sum())
    counted = np.zeros_like(out)
    count_given(
        votes.starts,
        votes.annotators,
        votes.labels,
        np.empty(0),
        tree.parent,
        tree.first,
        tree.children,
        probs,
        counted,
    )
    assert np.allclose(counted, out)


# ---- closed forms ------------------------------------------------------------------------------------------------


def test_triplets_are_exact_on_exact_agreement() -> None:
    for k in (2, 3, 5):
        p = np.array([0.9, 0.8, 0.7, 0.6, 0.75])
        agree = np.outer(p, p) + np.outer(1 - p, 1 - p) / (k - 1)
        assert np.allclose(accuracies(agree, np.full((5, 5), 10.0), k), p)


def test_the_matrix_is_completed_from_exact_moments() -> None:
    rng = np.random.default_rng(0)
    balance = np.array([0.3, 0.7])
    truth = np.stack([np.array([[0.5, 0.1], [0.2, 0.6]]) + rng.uniform(-0.05, 0.05, (2, 2)) for _ in range(6)])
    flat = truth.reshape(12, 2)
    meetings = (flat @ np.diag(balance) @ flat.T).reshape(6, 2, 6, 2)
    start = truth + rng.uniform(-0.1, 0.1, truth.shape)
    found = complete(meetings, truth @ balance, np.zeros((6, 6), bool), np.clip(start, 0.01, 1), balance)
    assert np.allclose(found, truth, atol=0.02)


def test_repeated_sources_do_not_make_the_skill() -> None:
    a = np.linspace(0.2, 0.8, 14)
    agree = np.outer(a, a)
    agree[:5, :5] = 0.95
    found = rank_one(agree, np.full((14, 14), 0.01), ~np.eye(14, dtype=bool))
    assert np.allclose(found, a, atol=0.05)


# ---- the models --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_keeps_the_contract(name: str) -> None:
    matrix, truth = answers(1500, SKILLS, k=3, seed=1)
    votes = from_matrix(matrix, 3)
    found, again = fit(name, votes), fit(name, votes)
    assert found.probs.shape == (1500, 3)
    assert np.allclose(found.probs.sum(axis=1), 1)
    assert np.array_equal(found.probs, again.probs)
    assert found.interval is not None
    assert (found.interval[:, 0] <= found.quality + 1e-9).all()
    assert (found.interval[:, 1] >= found.quality - 1e-9).all()
    assert np.corrcoef(found.quality, SKILLS)[0, 1] > 0.95
    assert correct(found, matrix, truth) > correct(fit("majority", votes), matrix, truth) - 0.01


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"majority"}))
def test_every_model_beats_the_majority_where_sources_differ(name: str) -> None:
    matrix, truth = answers(4000, SKILLS, seed=2)
    votes = from_matrix(matrix, 2)
    assert correct(fit(name, votes), matrix, truth) > correct(fit("majority", votes), matrix, truth) + 0.01


@pytest.mark.parametrize("name", sorted(MODELS))
def test_soft_votes_of_certain_sources_are_hard_votes(name: str) -> None:
    matrix, _ = answers(400, SKILLS, seed=3)
    soft = np.full((*matrix.shape, 2), np.nan)
    soft[matrix >= 0] = np.eye(2)[matrix[matrix >= 0]]
    hard = fit(name, from_matrix(matrix, 2)).probs
    assert np.allclose(fit(name, from_probs(soft)).probs, hard, atol=1e-3)


@pytest.mark.parametrize("name", ["majority", "weighted", "one-coin", "dawid-skene", "bayes", "glad", "triplet"])
def test_unsure_votes_weigh_less(name: str) -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 2, 3000)
    sure = rng.uniform(0.5, 1, (3000, 5))
    said = np.where(rng.random(sure.shape) < sure, truth[:, None], 1 - truth[:, None])
    soft = np.where(said[:, :, None] == np.arange(2), sure[:, :, None], 1 - sure[:, :, None])
    hard = fit(name, from_matrix(said, 2)).probs.argmax(axis=1)
    assert (fit(name, from_probs(soft)).probs.argmax(axis=1) == truth).mean() > (hard == truth).mean() + 0.01


def test_silence_speaks_to_the_model_that_hears_it() -> None:
    matrix, truth = rules(6000, 10)
    votes = from_matrix(matrix, 2)
    assert correct(fit("abstention", votes), matrix, truth) > correct(fit("majority", votes), matrix, truth) + 0.02


def test_subtypes_see_what_trips_all() -> None:
    """On a third of the rows of one class most of a crowd says the other; each sees a tenth of the rows."""
    rng = np.random.default_rng(5)
    truth, odd = rng.integers(0, 2, 3000), rng.random(3000) < 0.33
    skill = np.where((odd & (truth == 0))[:, None], np.where(np.arange(60) < 26, 0.1, 0.9), 0.85)
    matrix = np.where(rng.random((3000, 60)) < skill, truth[:, None], 1 - truth[:, None])
    matrix[rng.random(matrix.shape) < 0.87] = -1
    votes = from_matrix(matrix, 2)
    plain, types = (correct(fit(name, votes), matrix, truth) for name in ("bayes", "subtypes"))
    assert types > plain + 0.01
    chosen = auto(votes)
    assert chosen.model == "subtypes"
    assert "err together on some kinds of rows" in " ".join(chosen.why)


@pytest.mark.parametrize("seed", range(3))
def test_sources_that_repeat_one_another_are_found_and_vote_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix, truth = answers(8000, np.linspace(0.6, 0.8, 20), seed=seed)
    who = rng.permutation(20)[:6]
    leader = np.where(rng.random(8000) < 0.7, truth, 1 - truth)
    copies = (rng.random((8000, 6)) < 0.9) & (matrix[:, who] >= 0)
    matrix[:, who] = np.where(copies, leader[:, None], matrix[:, who])
    votes = from_matrix(matrix, 2)
    pairs = repeating(votes)
    assert {i for pair in pairs for i in pair[:2]} == set(who.tolist())
    assert len(pairs) == 15
    chosen = auto(votes)
    assert chosen.model == "dependent"
    assert "repeat one another" in chosen.why[0]
    assert correct(chosen, matrix, truth) > correct(fit("majority", votes), matrix, truth) + 0.03
    assert correct(chosen, matrix, truth) > correct(fit("dawid-skene", votes), matrix, truth) + 0.1


def test_independent_sources_are_not_called_dependent() -> None:
    matrix, _ = answers(8000, np.linspace(0.55, 0.9, 15), seed=7)
    votes = from_matrix(matrix, 2)
    assert repeating(votes) == ()
    assert fit("dependent", votes).dependent == ()
    matrix, _ = rules(8000, 12, seed=7)
    assert fit("dependent", from_matrix(matrix, 2)).dependent == ()


def test_rules_that_fire_together_are_found() -> None:
    matrix, truth = rules(8000, 20, seed=8)
    shadow = np.random.default_rng(8).random(8000) < 0.7
    matrix[shadow, 2] = matrix[shadow, 0]
    votes = from_matrix(matrix, 2)
    found = fit("dependent", votes)
    assert [pair[:2] for pair in found.dependent] == [pair[:2] for pair in firing_together(votes)] == [(0, 2)]
    assert correct(found, matrix, truth) > correct(fit("abstention", votes), matrix, truth) - 0.002
    assert auto(votes).model == "dependent"
    few = from_matrix(matrix[:, :12], 2)
    assert auto(few).model == "majority"
    assert "source_1 and source_3" in auto(few).why[-1]


@pytest.mark.parametrize("seed", range(6))
def test_rules_that_mislead_the_model_are_left_to_the_majority(seed: int) -> None:
    matrix, truth = rules(3000, 10, seed=100 + seed)
    rng = np.random.default_rng(seed)
    for a, b in ((0, 2), (2, 4)):
        shadow = rng.random(3000) < 0.7
        matrix[shadow, b] = matrix[shadow, a]
    votes = from_matrix(matrix, 2)
    plain = correct(fit("majority", votes), matrix, truth)
    assert correct(fit("abstention", votes), matrix, truth) < plain - 0.1
    assert correct(auto(votes), matrix, truth) > plain - 0.03


def test_a_group_votes_once() -> None:
    weights = tempered(from_matrix(np.array([[0, 1, 1], [0, -1, 1]]), 2), np.array([0, 0, 1])).weights
    assert weights is not None
    assert weights.tolist() == [0.5, 0.5, 1.0, 1.0, 1.0]


# ---- the choice --------------------------------------------------------------------------------------------------


def test_majority_is_chosen_where_nothing_more_can_be_known() -> None:
    rng = np.random.default_rng(9)
    two, _ = answers(500, np.array([0.9, 0.6]))
    assert "only 2 sources" in auto(from_matrix(two, 2)).why[0]
    alike, _ = answers(2000, np.full(5, 0.75), seed=9)
    chosen = auto(from_matrix(alike, 2))
    assert chosen.model == "majority"
    assert "all alike" in chosen.why[0]
    apart = np.full((600, 4), -1)
    apart[np.arange(600), rng.integers(0, 4, 600)] = rng.integers(0, 2, 600)
    assert "votes of two sources" in auto(from_matrix(apart, 2)).why[0]
    agreed = np.repeat(rng.integers(0, 2, (600, 1)), 4, axis=1)
    assert "little to gain" in auto(from_matrix(agreed, 2)).why[0]


def test_ties_between_rules_go_to_the_class_voted_for_less() -> None:
    matrix = np.array([[0, 1, -1]] * 40 + [[0, -1, -1]] * 40 + [[-1, -1, 1]] * 10)
    chosen = auto(from_matrix(matrix, 2))
    assert chosen.model == "majority"
    assert chosen.probs[0].argmax() == 1
    assert look(from_matrix(matrix, 2)).left < ONE_SIDED


@pytest.mark.parametrize("seed", range(4))
def test_the_choice_is_never_far_below_the_majority(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 5))
    matrix, truth = answers(1500, rng.uniform(0.4, 0.95, int(rng.integers(3, 12))), k=k, silent=0.5, seed=seed)
    votes = from_matrix(matrix, k)
    assert correct(auto(votes), matrix, truth) >= correct(fit("majority", votes), matrix, truth) - 0.005


def test_a_given_balance_is_used_and_checked() -> None:
    matrix, _ = answers(300, SKILLS)
    votes = from_matrix(matrix, 2)
    for name in MODELS:
        found = fit(name, votes, [0.9, 0.1])
        assert found.balance is not None
        assert np.allclose(found.balance, [0.9, 0.1]), name
    assert fit("bayes", votes, [0.9, 0.1]).probs[:, 0].mean() > fit("bayes", votes, [0.1, 0.9]).probs[:, 0].mean()
    for balance, message in (([0.5, 0.6], "adds up"), ([1.0], "1 entries"), ([1.5, -0.5], "below 0")):
        with pytest.raises(DrossError, match=message):
            fit("bayes", votes, balance)
    with pytest.raises(DrossError, match="no label model"):
        fit("snorkle", votes)


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize(
    "matrix",
    [
        np.array([[0]]),
        np.array([[0, 1]]),
        np.array([[1, 1, 1]] * 5),
        np.array([[-1, -1, -1], [0, -1, 1]]),
        np.full((4, 3), -1),
        np.array([[0, 1, 2, 0]] * 3 + [[-1, 2, -1, -1]]),
    ],
    ids=["one vote", "one row", "all agree", "few votes", "none", "a silent row"],
)
def test_degenerate_votes(name: str, matrix: np.ndarray) -> None:
    found = fit(name, from_matrix(matrix, 3))
    assert np.isfinite(found.probs).all()
    assert np.allclose(found.probs.sum(axis=1), 1)


def test_many_rows_agree_with_few() -> None:
    """Rows beyond the sample that a fit begins on change nothing but the noise."""
    matrix, truth = answers(60_000, np.linspace(0.6, 0.9, 8), seed=11)
    votes = from_matrix(matrix, 2)
    found = fit("bayes", votes)
    assert np.abs(found.quality - np.linspace(0.6, 0.9, 8)).max() < 0.02
    rows = np.arange(3000)
    assert np.abs(fit("bayes", take(votes, rows)).probs - found.probs[rows]).mean() < 0.05
    assert correct(found, matrix, truth) > 0.9
