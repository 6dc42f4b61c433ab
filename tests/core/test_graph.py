from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from dross.core.graph import edges_of, inside_moments

NEAR = np.array([[1, 2], [0, 2], [1, -1], [4, 0], [3, 5], [3, 4]], np.int32)


def test_counts_by_hand() -> None:
    edges = edges_of(NEAR, np.ones(6, bool))
    pairs = list(zip(edges.tails.tolist(), edges.heads.tolist(), strict=True))
    assert len(edges) == 11
    assert edges.mutual == sum((b, a) in pairs for a, b in pairs)
    assert edges.touching == sum(len({*e} & {*f}) == 1 for e in pairs for f in pairs)


def test_only_chosen_rows_take_part() -> None:
    edges = edges_of(NEAR, np.array([True, True, False, True, True, True]))
    assert 2 not in edges.tails
    assert 2 not in edges.heads


@pytest.mark.parametrize("parts", [[3, 3], [1, 5], [2, 2, 2], [4, 1, 1]])
def test_moments_are_those_of_all_permutations(parts: list[int]) -> None:
    edges = edges_of(NEAR, np.ones(6, bool))
    label = np.repeat(np.arange(len(parts)), parts)
    counts = []
    for order in permutations(range(6)):
        dealt = label[list(order)]
        counts.append((dealt[edges.tails] == dealt[edges.heads]).sum())
    mean, variance = inside_moments(edges, parts)
    assert mean == pytest.approx(np.mean(counts))
    assert variance == pytest.approx(np.var(counts))


def test_many_divisions_at_once() -> None:
    edges = edges_of(NEAR, np.ones(6, bool))
    mean, variance = inside_moments(edges, [[1, 2, 3], [5, 4, 3]])
    for i in range(3):
        alone = inside_moments(edges, [i + 1, 5 - i])
        assert (mean[i], variance[i]) == pytest.approx(alone)
