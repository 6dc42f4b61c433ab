"""Loki: the Fréchet mean against its definition, what can be reached against a search, and labels never trained on."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import floyd_warshall

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Predictions
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.infer import loki
from dross.infer.loki import Loki
from dross.testing import check_method


def random_tree(rng: np.random.Generator, n: int) -> np.ndarray:
    """Distances between the nodes of a random tree with edges of length 1 or 2."""
    lengths = np.zeros((n, n))
    for i in range(1, n):
        lengths[i, rng.integers(i)] = rng.integers(1, 3)
    return floyd_warshall(lengths, directed=False)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 8), st.integers(2, 4), st.integers(0, 9999))
def test_reachable_equals_a_fine_search_over_pairs(size: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    D, known = random_tree(rng, size), rng.choice(size, min(k, size), replace=False)
    slow = np.zeros(size, bool)
    for i, j in itertools.product(known, known):
        w = np.linspace(0, 1, 2521)[:, None]  # fine enough to meet every interval that is not a single weight
        spread = w * D[i] ** 2 + (1 - w) * D[j] ** 2
        slow |= (spread <= spread.min(axis=1, keepdims=True) + 1e-9).any(axis=0)
    found = loki.reachable(D, known)
    assert (found >= slow).all()
    between = [y for y in range(size) if any(D[i, y] + D[y, j] == D[i, j] for i in known for j in known)]
    assert np.flatnonzero(found).tolist() == between  # in a tree: all nodes on paths between known ones


def test_opposite_corners_reach_a_whole_grid() -> None:
    space, D = loki.label_space(["0,0", "3,4"], (), "auto", ())
    assert len(space) == 20
    assert loki.reachable(D, np.array([space.index("0,0"), space.index("3,4")])).all()
    line = np.array([space.index("0,0"), space.index("0,4")])
    assert loki.reachable(D, line).sum() == 5


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 9), st.integers(0, 9999))
def test_the_next_label_is_the_best_single_one(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    D, known = random_tree(rng, size), rng.choice(size, 2, replace=False)
    within = loki.reachable(D, known)
    if within.all():
        assert loki.next_labels(D, known, within, 1) == []
        return
    ((label, count),) = loki.next_labels(D, known, within, 1)
    best = max(loki.reachable(D, np.append(known, c)).sum() for c in range(size))
    assert count == best == loki.reachable(D, np.append(known, label)).sum()


def test_distances_by_path_and_by_graph_agree() -> None:
    labels = ["a", "a/b", "a/b/c", "a/d"]
    edges = (("a", "a/b", 1.0), ("a/b", "a/b/c", 1.0), ("a", "a/d", 1.0))
    assert np.array_equal(loki.path_distances(labels), loki.graph_distances(labels, edges))


def ordinal(n: int, seed: int = 0) -> tuple[Dataset, np.ndarray]:
    """Rows of levels 0 to 6 along a bent line; the labels of odd levels are missing."""
    rng = np.random.default_rng(seed)
    level = rng.integers(0, 7, n)
    angle = level / 3 + 0.08 * rng.normal(size=n)
    X = np.stack([np.cos(angle), np.sin(angle), 0.3 * rng.normal(size=n)], axis=1).astype(np.float32)
    labels = pa.array([int(v) if v % 2 == 0 else None for v in level])
    table = pa.table({"x": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 3), "y": labels})
    return Dataset(table, {Role.EMBEDDING: ["x"], Role.LABEL: ["y"]}), level


def test_levels_never_trained_on_are_answered() -> None:
    data, level = ordinal(900)
    found = Loki().run(data, Signals(data))
    assert isinstance(found, Predictions)
    assert found.classes == list(range(7))
    assert np.allclose(found.probs.sum(axis=1), 1, atol=1e-5)
    answer = found.probs.argmax(axis=1)
    odd = level % 2 == 1
    assert (answer[odd] == level[odd]).mean() > 0.2  # the likeliest class never is
    assert np.abs(answer - level)[odd].mean() < 0.85  # the nearest trained level is 1 away
    assert found.summary["can_be_answered"] == 7
    assert found.summary["next"] == []


def test_the_answer_is_the_frechet_mean() -> None:
    data, _ = ordinal(300)
    P = np.random.default_rng(0).dirichlet(np.ones(4), 300).astype(np.float32)
    table = data.table.append_column("p", pa.FixedSizeListArray.from_arrays(pa.array(P.ravel()), 4))
    brought = Dataset(table, {**data.roles, Role.PROBS: ["p"]})
    found = Loki(labels=(9,), heat=1.0).run(brought, Signals(brought))
    assert isinstance(found, Predictions)
    assert found.classes == [0, 2, 4, 6, 9]
    variance = np.array([[sum(p[c] * (2 * c - y) ** 2 for c in range(4)) for y in (0, 2, 4, 6, 9)] for p in P])
    assert np.array_equal(found.probs.argmax(axis=1), variance.argmin(axis=1))
    assert found.summary["next"] == [{"label": 9, "can_then_be_answered": 5}]


def test_a_tree_answers_with_inner_nodes() -> None:
    P = np.array([[1 / 3, 1 / 3, 1 / 3, 0], [0.9, 0.1, 0, 0]] * 10, np.float32)
    names = ["a/x", "a/y", "a/z", "b/w"] * 5
    columns = {"p": pa.FixedSizeListArray.from_arrays(pa.array(P.ravel()), 4), "y": pa.array(names)}
    data = Dataset(pa.table(columns), {Role.PROBS: ["p"], Role.LABEL: ["y"]})
    found = Loki().run(data, Signals(data))
    assert isinstance(found, Predictions)
    answers = [found.classes[i] for i in found.probs.argmax(axis=1)]
    assert answers[:2] == ["a", "a/x"]


def test_labels_without_a_metric_and_bad_input() -> None:
    data, _ = ordinal(30)
    named = data.with_column("y", pa.array(["red", "blue", "green"] * 10))
    assert isinstance(Loki().run(named, Signals(named)), NotApplicable)
    chain = (("red", "blue", 1.0), ("blue", "green", 1.0))
    assert isinstance(Loki(edges=chain).run(named, Signals(named)), Predictions)
    with pytest.raises(DrossError, match="do not connect"):
        Loki(edges=(("red", "blue", 1.0),)).run(named, Signals(named))
    with pytest.raises(DrossError, match="positive length"):
        Loki(edges=(("red", "blue", -1.0),)).run(named, Signals(named))
    with pytest.raises(DrossError, match="are no numbers"):
        Loki(metric="numbers").run(named, Signals(named))


def test_keeps_the_contract() -> None:
    check_method(Loki)
