from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.calibrate.trial import align, run_trial
from dross.core.dataset import Dataset
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.signal import Signals
from tests.calibrate.standins import Doubt, found_by, overlapping


@dataclass(frozen=True)
class Shifted(Doubt):
    """Scores every row higher where more labels are doubtful, as a mixture fitted to all rows does."""

    limit: float = 1.0

    def run(self, data: Dataset, signals: Signals) -> Findings:
        plain = super().run(data, signals)
        assert isinstance(plain, Findings)
        scores = np.sqrt(plain.scores) if plain.scores.mean() > self.limit else plain.scores
        return Findings(Issue.LABEL, plain.rows, scores)


def test_scores_that_all_rows_gain_by_planting_are_taken_off_again() -> None:
    data, _ = overlapping(1500, noise=0.1, seed=0)
    signals = Signals(data)
    plain = run_trial(data, signals, Issue.LABEL, found_by(data, signals, Doubt()), np.random.default_rng(0))
    between = float(found_by(data, signals, Doubt())["doubt-0"][1].scores.mean()) + 1e-3
    shifted = run_trial(
        data, signals, Issue.LABEL, found_by(data, signals, Shifted(limit=between)), np.random.default_rng(0)
    )
    assert not isinstance(plain, NotApplicable)
    assert not isinstance(shifted, NotApplicable)
    assert np.abs(plain.planted - shifted.planted).mean() < 0.03


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30), st.lists(st.floats(0, 1, width=32), max_size=20))
def test_unchanged_rows_leave_scores_as_they_are(others: list[float], scores: list[float]) -> None:
    values, planted = np.array(others, np.float32), np.array(scores, np.float32)
    assert align(planted, values, values[::-1].copy()).tolist() == planted.tolist()


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=30, unique=True), st.integers(0, 99))
def test_alignment_undoes_any_rising_change(others: list[float], seed: int) -> None:
    before = np.array(others, np.float32)
    now = before**2 / 2
    planted = np.random.default_rng(seed).choice(before, 5)
    aligned = align((planted**2 / 2).astype(np.float32), now, before)
    assert aligned == pytest.approx(planted, abs=1e-3) or len(set(now.tolist())) < len(now)


def test_alignment_keeps_what_is_beyond_all_rows() -> None:
    now, before = np.array([0.1, 0.5], np.float32), np.array([0.2, 0.6], np.float32)
    assert align(np.array([0.9], np.float32), now, before).tolist() == pytest.approx([0.9])
    assert align(np.array([0.55], np.float32), now, before).tolist() == pytest.approx([0.6])
    assert align(
        np.array([0.3], np.float32), np.empty(0, np.float32), np.empty(0, np.float32)
    ).tolist() == pytest.approx([0.3])
