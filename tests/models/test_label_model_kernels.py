"""The arithmetic of label models against plain loops and closed forms."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.models.label_models import em
from dross.models.label_models.dependent import Forest, count_given, forest_pass
from dross.models.label_models.metal import complete
from dross.models.label_models.moments import pair_counts, pair_counts_by_class
from dross.models.label_models.structure import rank_one
from dross.models.label_models.triplet import accuracies
from dross.models.votes import Votes, from_matrix, from_probs

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
