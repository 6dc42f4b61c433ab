from __future__ import annotations

import numpy as np
import pytest

from dross.core.errors import DrossError
from dross.models.crowd import Consensus
from dross.models.label_models import MODELS, em, fit
from dross.models.label_models.choose import auto
from dross.models.label_models.dawid_skene import confusion_table
from dross.models.label_models.facts import ONE_SIDED, look
from dross.models.label_models.structure import firing_together, repeating, tempered
from dross.models.votes import from_matrix, from_probs, take


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


def test_cores_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = from_matrix(answers(9000, SKILLS)[0], 2)
    table = confusion_table(em.by_majority(votes), None)
    got = []
    for cores in (1, 3):
        monkeypatch.setattr(em, "threads", lambda cores=cores: cores)
        got.append(em.expected(votes, table))
    assert np.array_equal(got[0].votes, got[1].votes)
