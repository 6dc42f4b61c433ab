"""Iterative pseudolabels: the choice of rows against a slow form, a weak scorer lifted, labels kept, bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.claims.label.iterative_pseudolabels import scored, zero_shot_digits
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.iterative_pseudolabels import IterativePseudolabels, surest_per_class
from dross.testing import check_method


@settings(max_examples=60)
@given(st.integers(1, 30), st.integers(2, 5), st.integers(1, 12), st.integers(0, 10_000))
def test_surest_rows_equal_the_slow_form(n: int, k: int, count: int, seed: int) -> None:
    probs = np.random.default_rng(seed).dirichlet(np.ones(k), n).astype(np.float32)
    claims: dict[int, tuple[int, float, int]] = {}
    for c in range(k):
        for rank, row in enumerate(sorted(range(n), key=lambda i: -probs[i, c])[:count]):
            claims[row] = min(claims.get(row, (n, 0.0, -1)), (rank, -float(probs[row, c]), c))
    rows, labels = surest_per_class(probs, count)
    assert rows.tolist() == sorted(claims)
    assert labels.tolist() == [claims[row][2] for row in sorted(claims)]


def test_lifts_a_weak_scorer_and_is_deterministic() -> None:
    X, truth, probs = zero_shot_digits(0)
    data = scored(X, probs)
    found = IterativePseudolabels().run(data, Signals(data))
    again = IterativePseudolabels().run(data, Signals(data))
    assert isinstance(found, Labels)
    assert isinstance(again, Labels)
    assert np.array_equal(found.probs, again.probs)
    assert (found.codes == truth).mean() > (probs.argmax(1) == truth).mean() + 0.1
    sizes = [r["per_class"] for r in found.summary["rounds"]]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 140


def test_given_labels_are_kept_and_teach() -> None:
    X, truth, probs = zero_shot_digits(1)
    rng = np.random.default_rng(0)
    shown = rng.random(len(X)) < 0.05
    plain = scored(X, probs)
    label = pa.array([str(t) if s else None for t, s in zip(truth, shown, strict=True)])
    data = Dataset(plain.table.append_column("y", label), {**plain.roles, Role.LABEL: ["y"]})
    names = tuple("0123456789")
    found = IterativePseudolabels(names=names).run(data, Signals(data))
    without = IterativePseudolabels(names=names).run(plain, Signals(plain))
    assert isinstance(found, Labels)
    assert isinstance(without, Labels)
    assert (found.codes[shown] == truth[shown]).all()
    assert (found.confidence[shown] == 1).all()
    assert (found.origin == np.where(shown, 0, 1)).all()
    assert (found.codes[~shown] == truth[~shown]).mean() > (without.codes[~shown] == truth[~shown]).mean() + 0.1


def test_bad_input_is_named() -> None:
    X = np.random.default_rng(0).normal(size=(30, 4))
    broken = np.full((30, 3), 1 / 3)
    broken[4] = np.nan
    data = scored(X, broken)
    with pytest.raises(DrossError, match="no usable class probabilities"):
        IterativePseudolabels().run(data, Signals(data))
    data = scored(X, np.full((30, 3), 1 / 3))
    with pytest.raises(DrossError, match="3 columns; 2 classes"):
        IterativePseudolabels(names=("a", "b")).run(data, Signals(data))
    tiny = data.slice(0, 2)
    assert isinstance(IterativePseudolabels().run(tiny, Signals(tiny)), NotApplicable)
    empty = data.slice(0, 0)
    assert isinstance(IterativePseudolabels().run(empty, Signals(empty)), NotApplicable)
    table = Dataset(data.table, {Role.EMBEDDING: ["x"]})
    assert isinstance(IterativePseudolabels().applies(table), NotApplicable)


def test_keeps_the_contract() -> None:
    check_method(IterativePseudolabels)
