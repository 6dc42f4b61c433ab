from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.dawid_skene import DawidSkene
from dross.detect.glad import Glad
from dross.models.crowd import dawid_skene, glad, rate
from dross.models.votes import Votes, majority, votes_of
from dross.testing.crowds import crowd


def dataset(columns: dict[str, list[str | None]], label: list[str | None] | None = None) -> Dataset:
    roles = {Role.ANNOTATIONS: list(columns)}
    if label is None:
        return Dataset(pa.table(columns), roles)
    return Dataset(pa.table({**columns, "y": label}), {**roles, Role.LABEL: ["y"]})


def slow_dawid_skene(votes: Votes, rounds: int, smoothing: float) -> np.ndarray:
    """The equations of the paper, written with plain loops."""
    n, k, a = len(votes.starts) - 1, len(votes.classes), len(votes.names)
    probs = majority(votes)
    rows = votes.rows
    for _ in range(rounds):
        counts = np.zeros((a, k, k))
        for row, who, label in zip(rows, votes.annotators, votes.labels, strict=True):
            counts[who, label] += probs[row]
        pooled = counts.sum(0) + 1e-3
        pooled /= pooled.sum(0)
        confusion = counts + smoothing * k * pooled
        confusion /= confusion.sum(1, keepdims=True)
        prior = (probs.sum(0) + smoothing) / (n + k * smoothing)
        probs = np.tile(prior, (n, 1))
        for row, who, label in zip(rows, votes.annotators, votes.labels, strict=True):
            probs[row] *= confusion[who, label]
        probs /= probs.sum(1, keepdims=True)
    return probs


@given(st.integers(0, 50))
def test_dawid_skene_follows_the_equations(seed: int) -> None:
    votes = votes_of(crowd(25, annotators=4, k=3, seed=seed).data)
    fitted = dawid_skene(votes, iterations=4, tolerance=0.0)
    assert np.allclose(fitted.probs, slow_dawid_skene(votes, 4, 0.1), atol=1e-9)


def test_votes_are_read_by_row_and_nulls_are_no_votes() -> None:
    votes = votes_of(dataset({"a": ["x", None, "y"], "b": ["y", None, "y"]}))
    assert votes.starts.tolist() == [0, 2, 2, 4]
    assert votes.annotators.tolist() == [0, 1, 0, 1]
    assert votes.labels.tolist() == [0, 1, 1, 1]
    assert votes.counts().tolist() == [[1, 1], [0, 0], [0, 2]]
    assert majority(votes)[1].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("model", [dawid_skene, glad])
def test_beliefs_are_probabilities_and_quality_follows_accuracy(model: object) -> None:
    made = crowd(600, annotators=8, seed=3)
    belief = model(votes_of(made.data))  # type: ignore[operator]
    assert np.allclose(belief.probs.sum(1), 1)
    assert np.corrcoef(belief.quality, made.accuracy)[0, 1] > 0.9


def test_a_model_beats_the_majority_where_annotators_differ() -> None:
    made = crowd(800, seed=5)
    votes = votes_of(made.data)
    correct = [
        (p.argmax(1) == made.truth).mean() for p in (majority(votes), dawid_skene(votes).probs, glad(votes).probs)
    ]
    assert correct[1] > correct[0]
    assert correct[2] > correct[0]


def test_only_the_bad_annotator_is_called_unreliable() -> None:
    made = crowd(800, annotators=6, low=0.9, high=0.95, asked=1.0, seed=1)
    guesses = pa.array([f"c{c}" for c in np.random.default_rng(0).integers(0, 3, 800)])
    table = made.data.table.append_column("guesser", guesses)
    votes = votes_of(Dataset(table, {Role.ANNOTATIONS: table.column_names}))
    rated = rate(votes, dawid_skene(votes))
    assert next(r["annotator"] for r in rated if r["unreliable"]) == "guesser"
    assert rated[0]["high"] < 0.5


@pytest.mark.parametrize("detector", [DawidSkene(), Glad()])
def test_rows_whose_label_nobody_supports_are_found(detector: DawidSkene | Glad) -> None:
    votes = {f"a{i}": ["x", "y", "x", "y", None] for i in range(3)}
    data = dataset(votes, ["x", "x", None, "z", "x"])
    found = detector.run(data, Signals(data))
    assert isinstance(found, Findings)
    assert found.rows.tolist() == [0, 1, 3]
    assert (found.scores >= 0.5).tolist() == [False, True, True]
    assert found.suggestion is not None
    assert found.suggestion.tolist() == ["x", "y", "y"]


@pytest.mark.parametrize("detector", [DawidSkene(), Glad()])
def test_degenerate_votes(detector: DawidSkene | Glad) -> None:
    one = dataset({"a": ["x", "x"]})
    assert not isinstance(detector.run(one, Signals(one)), Findings)
    empty = dataset({"a": [None, None]})
    assert not isinstance(detector.run(empty, Signals(empty)), Findings)
    single = dataset({"a": ["x"], "b": ["y"]})
    assert isinstance(detector.run(single, Signals(single)), Findings)
