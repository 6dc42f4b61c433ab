from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from dross.core.dataset import Dataset
from dross.core.results import Findings, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.spurious_correlation import SpuriousCorrelation, pointed_to, shortcut
from dross.testing import check_method


def birds(seed: int, *, core: float, cue: float, aligned: float, n: int = 1500) -> tuple[Dataset, np.ndarray]:
    """Two classes with a true feature and a background that agrees with the class on a share of the rows.

    The model is given ``core`` and ``cue`` times the two. Returns the rows whose background disagrees.
    """
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    background = np.where(rng.random(n) < aligned, y, 1 - y)
    X = np.column_stack([core * (2 * y - 1), cue * (2 * background - 1)]) + rng.normal(size=(n, 2))
    probs = cross_val_predict(LogisticRegression(), X, y, cv=5, method="predict_proba")
    table = pa.table(
        {
            "p": pa.FixedSizeListArray.from_arrays(pa.array(probs.astype(np.float32).ravel()), 2),
            "background": np.array(["land", "water"])[background],
            "y": y,
        }
    )
    roles = {Role.PROBS: ["p"], Role.GROUP: ["background"], Role.LABEL: ["y"]}
    return Dataset(table, roles), np.flatnonzero(background != y)


def run(data: Dataset) -> Findings:
    found = SpuriousCorrelation().run(data, Signals(data))
    assert isinstance(found, Findings)
    return found


def test_pointing_by_definition() -> None:
    rng = np.random.default_rng(0)
    attribute, labels = rng.integers(0, 3, 60).astype(np.int32), rng.integers(0, 4, 60).astype(np.int32)
    got = pointed_to(attribute, labels, 3, 4)
    sizes = np.bincount(labels, minlength=4)
    for i in range(60):
        rest = np.arange(60) != i
        shares = np.array(
            [
                (rest & (attribute == attribute[i]) & (labels == c)).sum() / max(sizes[c] - (labels[i] == c), 1)
                for c in range(4)
            ]
        )
        assert shares[got[i]] == shares.max()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_background_the_model_leans_on_is_reported(seed: int) -> None:
    data, against = birds(seed, core=0.7, cue=2.0, aligned=0.95)
    found = run(data)
    assert found.summary["shortcuts"] == ["background"]
    assert np.array_equal(found.rows, against)
    assert (found.scores < 0.5).all()
    fact = found.summary["attributes"][0]
    assert fact["strength"][0] == pytest.approx(0.9, abs=0.05)
    assert fact["worst_groups"][0]["accuracy"] < 0.5


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        ("the background is drawn at random", {"core": 1.0, "cue": 2.0, "aligned": 0.5}),
        (
            "the background goes with the class, but the model does not need it",
            {"core": 4.0, "cue": 0.0, "aligned": 0.9},
        ),
    ],
)
def test_no_cry_of_wolf(case: str, settings: dict[str, float]) -> None:
    for seed in range(3):
        found = run(birds(seed, **settings)[0])
        assert found.summary["shortcuts"] == [], case
        assert len(found) == 0


def test_strength_is_zero_at_chance_and_one_at_certainty() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 3000, p=[0.8, 0.15, 0.05]).astype(np.int32)
    right = np.ones(3000, bool)
    assert shortcut(labels, labels, right, 3, 3, 0.95).strength[0] == pytest.approx(1)
    unrelated = shortcut(rng.integers(0, 4, 3000).astype(np.int32), labels, right, 4, 3, 0.95)
    assert unrelated.strength[1] <= 0 <= unrelated.strength[2] + 0.02


def test_the_length_of_a_text_can_be_a_shortcut() -> None:
    rng = np.random.default_rng(0)
    n = 800
    y = rng.integers(0, 2, n)
    long = np.where(rng.random(n) < 0.9, y, 1 - y)
    texts = [" ".join(["word"] * int(rng.integers(20, 30) if c else rng.integers(3, 9))) for c in long]
    shown = np.where(rng.random(n) < 0.9, long, y)  # a model that goes by the length
    probs = np.where(np.arange(2) == shown[:, None], 0.9, 0.1).astype(np.float32)
    table = pa.table({"text": texts, "p": pa.FixedSizeListArray.from_arrays(pa.array(probs.ravel()), 2), "y": y})
    found = run(Dataset(table, {Role.TEXT: ["text"], Role.PROBS: ["p"], Role.LABEL: ["y"]}))
    assert "text length" in found.summary["shortcuts"]
    assert np.isin(found.rows, np.flatnonzero(long != y)).mean() > 0.7
    assert np.isin(np.flatnonzero(long != y), found.rows).mean() > 0.85


def test_nothing_to_measure() -> None:
    rng = np.random.default_rng(0)
    table = pa.table({"x": rng.normal(size=100), "y": rng.integers(0, 2, 100)})
    data = Dataset(table, {Role.FEATURES: ["x"], Role.LABEL: ["y"]})
    assert isinstance(SpuriousCorrelation().run(data, Signals(data)), NotApplicable)


def test_contract() -> None:
    check_method(SpuriousCorrelation)
