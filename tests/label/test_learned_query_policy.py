"""Learned query policy: the bound, the gradient and the questions against slow forms; a game played; bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize

from dross.claims.label.learned_query_policy import ANIMALS, attributes
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.learned_query_policy import (
    START,
    LearnedQueryPolicy,
    complexity,
    features,
    learn,
    matches,
    play,
    questions_of,
    softmax,
    worlds,
)

ZOO = matches(attributes().T, 2)


def test_complexity_is_the_best_design_found_by_another_solver() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        table = rng.integers(0, 2, (5, 6))
        table[np.arange(5), np.arange(5)] = 1 - table[0, np.arange(5)]  # no two alike in most draws
        if len(np.unique(table, axis=0)) < 5:
            continue
        reliability = rng.uniform(0.3, 1, 6)
        apart = (table != table[0])[1:]
        gap = (apart * reliability).sum(axis=1)

        def worst(x: np.ndarray, apart: np.ndarray = apart, gap: np.ndarray = gap) -> float:
            return float(((apart / softmax(x)).sum(axis=1) / gap**2).max())

        starts = [
            minimize(worst, rng.normal(size=6), method="Nelder-Mead", options={"maxiter": 4000}) for _ in range(4)
        ]
        best = min(run.fun for run in starts)
        found = complexity(matches(table.T, 2), np.array([0]), reliability[None], steps=2000)[0]
        assert found <= best * 1.001
        assert found == pytest.approx(best, rel=0.03)


def test_worlds_stand_on_the_border_of_their_class() -> None:
    made = worlds(ZOO, np.random.default_rng(0))
    need = complexity(ZOO, made.truth, made.reliability)
    for level in np.unique(made.level):
        assert np.ptp(need[made.level == level]) < 1e-6 * need.max()
    assert made.reliability.max() <= 1


def test_slope_is_the_gradient_of_the_chance_of_what_was_done() -> None:
    """The score function has mean zero, and its product with the loss is the derivative of the mean loss."""
    made = worlds(ZOO, np.random.default_rng(0))
    pick = np.random.default_rng(1).integers(0, len(made.truth), 4000)
    weights = START / 8
    loss, slope = play(weights, ZOO, made.truth[pick], made.reliability[pick], 3, np.random.default_rng(2))
    assert np.abs(slope.mean(axis=0)).max() < 4 * slope.std(axis=0).max() / np.sqrt(4000)
    step = np.zeros(len(START))
    step[0] = 4.0
    ends = [
        play(weights + sign * step, ZOO, made.truth[pick], made.reliability[pick], 3, np.random.default_rng(2))[
            0
        ].mean()
        for sign in (-1, 1)
    ]
    numeric = (ends[1] - ends[0]) / 8
    assert (loss[:, None] * slope).mean(axis=0)[0] == pytest.approx(numeric, abs=0.004)


def test_features_do_not_depend_on_the_order_of_candidates() -> None:
    rng = np.random.default_rng(0)
    wrong, asked = rng.permutation(20)[None] / 2.0, rng.integers(0, 3, (1, 22)).astype(float)
    order = rng.permutation(20)
    assert np.allclose(features(wrong, asked, 0.5, ZOO), features(wrong[:, order], asked, 0.5, ZOO[order]))


def test_training_helps() -> None:
    rng = np.random.default_rng(0)
    weights, alone = learn(ZOO, 15, 25, 128, rng)
    fresh = worlds(ZOO, np.random.default_rng(9))
    games = np.tile(np.arange(len(fresh.truth)), 12)
    play_all = {
        name: play(p, ZOO, fresh.truth[games], fresh.reliability[games], 15, rng)[0].mean()
        for name, p in (("learned", weights), ("random", "random"))
    }
    assert play_all["learned"] < play_all["random"] - 0.05
    assert 0 <= min(alone) <= max(alone) <= 1


def game(answers: dict[str, str], budget: int = 20) -> tuple[Labels | NotApplicable, Dataset]:
    table = attributes()
    columns = {name: [str(v) for v in table[i]] for i, name in enumerate(ANIMALS)}
    label = pa.array([answers.get(str(q)) for q in range(22)], pa.string())
    data = Dataset(pa.table({**columns, "y": label}), {Role.VOTES: list(ANIMALS), Role.LABEL: ["y"]})
    return LearnedQueryPolicy(budget, 4, 32).run(data, Signals(data)), data


def test_a_game_of_right_answers_is_won() -> None:
    truth = attributes()[list(ANIMALS).index("penguin")]
    answers: dict[str, str] = {}
    for _ in range(9):
        found, data = game(answers)
        assert isinstance(found, Labels)
        row = found.summary["ask"][0]
        assert data.codes[row] == -1
        answers[str(row)] = str(truth[row])
    found, _ = game(answers)
    assert isinstance(found, Labels)
    again, _ = game(answers)
    assert isinstance(again, Labels)
    assert found.summary == again.summary
    assert found.summary["best"] == "penguin"
    assert (found.codes == truth).mean() > 0.9
    done, _ = game(answers, budget=9)
    assert isinstance(done, Labels)
    assert done.summary["ask"] == []


def test_rows_with_the_same_votes_are_one_question() -> None:
    questions, of = questions_of(np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0], [1, -1, 1]]))
    assert questions.tolist() == [[0, 1, 0], [1, -1, 1]]
    assert of.tolist() == [0, -1, 0, 1]


def test_what_does_not_apply_says_why() -> None:
    same = pa.table({"a": ["x", "y"], "b": ["x", "y"]})
    data = Dataset(same, {Role.VOTES: ["a", "b"]})
    assert isinstance(LearnedQueryPolicy().run(data, Signals(data)), NotApplicable)
    assert isinstance(LearnedQueryPolicy().applies(Dataset(same, {Role.TEXT: ["a"]})), NotApplicable)
    table = pa.table({"a": ["x", "y"], "b": ["y", "y"], "label": ["z", None]})
    data = Dataset(table, {Role.VOTES: ["a", "b"], Role.LABEL: ["label"]})
    with pytest.raises(DrossError, match="none that any candidate gives"):
        LearnedQueryPolicy().run(data, Signals(data))
    with pytest.raises(DrossError, match="at least 1"):
        LearnedQueryPolicy(budget=0).run(data, Signals(data))
