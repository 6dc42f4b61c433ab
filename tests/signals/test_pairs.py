from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dross.core.signal import read_value, write_value
from dross.signals.pairs import Pairs, best_twins, groups, suspicion

some_pairs = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19), st.floats(0, 1, width=32)), max_size=40).map(
    lambda raw: [(a, b, s) for a, b, s in raw if a != b]
)


def made(raw):
    return Pairs.of([a for a, _, _ in raw], [b for _, b, _ in raw], [s for _, _, s in raw], 0.5, 20)


@given(some_pairs)
def test_pairs_are_ordered_and_unique_with_the_larger_similarity(raw):
    best = {}
    for a, b, s in raw:
        key = (max(a, b), min(a, b))
        best[key] = max(best.get(key, 0.0), np.float32(s))
    found = made(raw)
    keys = list(zip(found.later.tolist(), found.earlier.tolist(), strict=True))
    assert keys == sorted(best)
    assert found.similarity.tolist() == [best[key] for key in keys]


@given(some_pairs)
def test_groups_are_connected_components_named_by_their_first_row(raw):
    root = list(range(20))
    for _ in range(20):
        for a, b, _ in raw:
            root[a] = root[b] = min(root[a], root[b])
    assert groups(20, made(raw)).tolist() == root


@given(some_pairs)
def test_every_row_with_an_earlier_partner_gets_its_most_similar_one(raw):
    found = made(raw)
    rows, twins, similarity = best_twins(found)
    assert rows.tolist() == sorted(set(found.later.tolist()))
    for row, twin, s in zip(rows, twins, similarity, strict=True):
        mine = found.later == row
        assert twin < row
        assert s == found.similarity[mine].max()


def test_joined_pairs_and_their_way_to_disk(tmp_path):
    found = Pairs.of([1], [0], [0.6], 0.5, 3).joined(Pairs.of([3, 1], [0, 0], [0.9, 0.8], 0.5, 4))
    assert (found.n, len(found), found.similarity.max()) == (4, 2, np.float32(0.9))
    write_value(tmp_path / "pairs", found)
    again = read_value(tmp_path / "pairs", Pairs)
    assert again.n == 4
    assert np.array_equal(again.later, found.later)


def test_suspicion_is_half_at_the_verdict_and_stays_in_range():
    scores = suspicion(np.array([0.0, 0.7, 0.85, 1.0], np.float32), 0.7)
    assert np.allclose(scores, [0.0, 0.5, 0.75, 1.0], atol=1e-6)
    assert suspicion(np.ones(1, np.float32), 1.0).tolist() == [0.5]
