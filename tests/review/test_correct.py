"""The calibration, corrected by a sample that was checked by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from dross.review.correct import SLOPE, SURE, corrected

N = 2000


def findings(chances: np.ndarray, flagged: np.ndarray) -> pa.Table:
    return pa.table(
        {
            "row": np.arange(0, 3 * len(chances), 3),
            "score": chances.astype(np.float32),
            "flagged": flagged,
            "expected_precision": chances.astype(np.float32),
        }
    )


def made(offset: float, slope: float, seed: int) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Findings whose true chances are off by an offset and a slope: table, true chances, defects."""
    rng = np.random.default_rng(seed)
    promised = rng.uniform(0.02, 0.98, N)
    true = expit(offset + slope * logit(promised))
    return findings(promised, promised > 0.8), true, rng.random(N) < true


def test_nothing_checked_changes_nothing() -> None:
    table, _, _ = made(0, 1, 0)
    found = corrected(table, {})
    assert (found.checked, found.offset, found.slope) == (0, 0, 1)
    assert found.chances == pytest.approx(table["expected_precision"].to_numpy(), abs=1e-6)
    assert found.precision[0] == pytest.approx(found.promised)
    assert found.precision[1] < found.promised < found.precision[2]


@pytest.mark.parametrize(("offset", "slope"), [(-1.5, 1.0), (1.0, 1.0), (-0.5, 0.6)])
def test_it_goes_to_the_truth_and_its_interval_holds_it(offset: float, slope: float) -> None:
    inside, before, after = 0, [], []
    for seed in range(40):
        table, true, defect = made(offset, slope, seed)
        rows = table["row"].to_numpy()
        sample = np.random.default_rng(seed + 100).choice(N, 150, replace=False)
        found = corrected(table, {int(rows[i]): bool(defect[i]) for i in sample})
        assert found.checked == 150
        flagged = table["flagged"].to_numpy()
        really = true[flagged].mean()
        inside += found.precision[1] <= really <= found.precision[2]
        before.append(abs(found.promised - really))
        after.append(abs(found.precision[0] - really))
    assert inside >= 34  # of 40; with 95 % each, fewer than 34 have a chance below 1 in 100
    assert np.mean(after) < np.mean(before)


def test_more_than_a_few_answers_outweigh_the_prior() -> None:
    table, _, defect = made(-1.0, 0.8, 3)
    rows, x = table["row"].to_numpy(), logit(np.clip(table["expected_precision"].to_numpy(), SURE, 1 - SURE))
    found = corrected(table, dict(zip(rows.tolist(), defect.tolist(), strict=True)))
    plain = LogisticRegression(C=np.inf, tol=1e-10).fit(x[:, None], defect)
    assert (found.offset, found.slope) == pytest.approx((plain.intercept_[0], plain.coef_[0, 0]), abs=0.02)


def test_the_order_stays_whatever_is_answered() -> None:
    table, _, _ = made(0, 1, 5)
    rows, promised = table["row"].to_numpy(), table["expected_precision"].to_numpy()
    backwards = {int(row): bool(p < 0.5) for row, p in zip(rows, promised, strict=True)}
    found = corrected(table, backwards)
    assert 0 < found.slope < SLOPE
    assert (np.diff(found.chances[np.argsort(promised)]) >= 0).all()


def test_rows_without_a_finding_do_not_count() -> None:
    table, _, _ = made(0, 1, 6)
    assert corrected(table, {1: True, 2: False, 10**9: True}).checked == 0


def test_how_many_can_be_flagged() -> None:
    chances = np.array([0.99, 0.97, 0.9, 0.6, 0.1])
    found = corrected(findings(chances, chances > 0.5), {}, fdr=0.1)
    assert (found.flagged, found.to_flag) == (4, 3)  # 0.01, 0.02, 0.047, 0.135 false alarms expected


def test_nothing_flagged() -> None:
    found = corrected(findings(np.array([0.2, 0.1]), np.array([False, False])), {0: False})
    assert np.isnan(found.promised)
    assert np.isnan(found.precision[0])
    assert found.precision[1:] == (0, 1)
