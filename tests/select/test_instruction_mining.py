"""Instruction mining: the regression, what is left out of the rule, the samples, the indicators, the selection."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dross.claims.select.instruction_mining import Exam, exam
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.instruction_indicators import LEAST_RATIO, known_words, lexical_diversity, spoiled
from dross.models.language_rows import written
from dross.select.instruction_mining import InstructionMining, least_squares, rule_for, significant, tilted
from dross.signals.word_places import folded_words
from dross.testing import check_method

QUICK = InstructionMining(runs=10, run_rows=60, run_steps=12, fit_rows=150, passes=2, width=16, learning_rate=2e-2)


@pytest.fixture(scope="module")
def made() -> Exam:
    return exam(3, pool=300, trusted=60, test=2)


def test_contract() -> None:
    check_method(InstructionMining)


def test_one_column_fits_as_scipy_does() -> None:
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=30), rng.normal(size=30)
    found, known = least_squares(x[:, None], 2 * x + noise), stats.linregress(x, 2 * x + noise)
    assert found.coefficients.tolist() == pytest.approx([known.intercept, known.slope])
    assert found.p_values[1] == pytest.approx(known.pvalue)
    assert found.r_squared == pytest.approx(known.rvalue**2)


def test_several_columns_leave_nothing_that_they_could_explain() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=40)
    found = least_squares(x, y)
    left = y - found.coefficients[0] - x @ found.coefficients[1:]
    assert np.abs(np.column_stack([np.ones(40), x]).T @ left).max() < 1e-9


def test_a_column_that_says_nothing_is_sure_of_nothing() -> None:
    y = np.random.default_rng(2).normal(size=12)
    assert least_squares(np.zeros((12, 1)), y).p_values[1] == 1
    assert least_squares(np.ones((12, 1)), np.ones(12)).r_squared == 0


def test_the_rule_keeps_what_counts_and_predicts_by_it() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(30, 9))
    losses = np.exp(1 + 0.3 * x[:, 4] - 0.2 * x[:, 7] + 0.01 * rng.normal(size=30))
    assert {4, 7} <= set(significant(x, np.log(losses), 0.001).tolist())
    flat = np.column_stack([np.full(len(x), 1e-17), x])  # what is alike everywhere is in no rule
    assert 0 not in significant(flat, np.log(losses), 0.001)
    assert significant(np.zeros((len(x), 2)), np.log(losses), 0.001).tolist() == [0]
    rule = rule_for(tuple("abcdefghi"), np.full(9, 5.0), np.full(9, 2.0), x, losses, 0.001)
    assert rule.told()["rule"]["e"] == pytest.approx(0.3, abs=0.02)
    rows = np.full((2, 9), 5.0)
    rows[1, 4] = 7.0  # a standard deviation more
    assert np.diff(rule.expected(rows))[0] == pytest.approx(0.3, abs=0.02)
    rows[1, 4] = 1e9
    assert np.diff(rule.expected(rows))[0] == pytest.approx(0.9, abs=0.06)


def test_samples_lean_in_every_direction() -> None:
    z = np.random.default_rng(4).normal(size=(500, 3))
    means = np.array([z[tilted(z, 60, 2.0, np.random.default_rng(i))].mean(axis=0) for i in range(60)])
    even = np.array([z[tilted(z, 60, 0.0, np.random.default_rng(i))].mean(axis=0) for i in range(60)])
    assert (means.std(axis=0) > 3 * even.std(axis=0)).all()


def plain_diversity(words: list[str]) -> float:
    def one_way(words: list[str]) -> float:
        total, run = 0.0, []
        for word in words:
            run.append(word)
            if len(set(run)) / len(run) <= LEAST_RATIO:
                total, run = total + 1, []
        if run:
            total += (1 - len(set(run)) / len(run)) / (1 - LEAST_RATIO)
        return len(words) / total if total else len(words)

    return (one_way(words) + one_way(words[::-1])) / 2 if words else 0.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=40), min_size=1, max_size=5))
def test_diversity_is_that_of_the_plain_definition(texts: list[list[str]]) -> None:
    words = folded_words(pa.array([" ".join(text) for text in texts], pa.large_string()))
    assert lexical_diversity(words).tolist() == pytest.approx([plain_diversity(text) for text in texts])


def test_known_words_and_spoiled_texts() -> None:
    words = folded_words(pa.array(["", "The cat", "the zzz qqq"], pa.large_string()))
    assert known_words(words, np.unique(words.hashes[:2])).tolist() == pytest.approx([1, 1, 1 / 3])
    text = "one two three four five six seven eight nine ten"
    rng = np.random.default_rng(0)
    assert np.mean([spoiled(text, rng) != text for _ in range(50)]) > 0.9
    assert spoiled("one", rng) == "one one"


def test_sound_rows_come_first_and_the_rule_is_told(made: Exam) -> None:
    found = replace(QUICK, share=0.2).run(made.data, Signals(made.data))
    assert isinstance(found, Selection)
    assert len(found) == 60
    assert made.sound[found.rows].mean() > made.sound.mean() + 0.1
    assert found.summary["fine_tunings"] == 10
    assert set(found.summary["rule"]) == set(found.summary["p_values"])
    assert found.summary["loss_of_the_best"] < found.summary["loss_of_the_worst"]
    again = replace(QUICK, share=0.2).run(made.data, Signals(made.data))
    assert isinstance(again, Selection)
    assert found.rows.tolist() == again.rows.tolist()


def test_a_reward_model_is_one_more_indicator(made: Exam) -> None:
    """Rewards that are right are used; a missing one counts as the mean."""
    rewards: list[float | None] = [*made.sound.astype(float), *[1.0] * 60]
    rewards[0] = None
    data = Dataset(made.data.table.append_column("score", pa.array(rewards)), made.data.roles)
    method = replace(QUICK, reward="score")
    rule, indicators, _ = method.mined(data, written(data, seed=0), Signals(data))
    assert rule.names[-1] == "reward"
    assert indicators.shape == (300, 9)
    assert np.isfinite(indicators).all()


def test_bad_input(made: Exam) -> None:
    for wrong in ({"share": 0.0}, {"runs": 9}, {"level": 0.0}, {"reward": "scroe"}, {"width": 8}):
        with pytest.raises(DrossError):
            replace(QUICK, **wrong).run(made.data, Signals(made.data))
    aimless = Dataset(made.data.table, {r: c for r, c in made.data.roles.items() if r != Role.SPLIT})
    assert isinstance(QUICK.run(aimless, Signals(aimless)), NotApplicable)
    few = made.data.take(np.arange(290, 320))
    assert isinstance(QUICK.run(few, Signals(few)), NotApplicable)
