"""Model soups: against every subset, never worse than the best, models that do not fit together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dross.core.errors import DrossError
from dross.models.weight_soup import averaged, greedy_soup, soup
from dross.testing.planted import blobs

torch = pytest.importorskip("torch")


def test_the_greedy_soup_is_that_of_the_recipe() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        values = rng.standard_normal((6, 3))
        aim = rng.standard_normal(3)
        states = [{"w": torch.from_numpy(v), "n": torch.tensor(7)} for v in values]

        def score(state: Any, aim: np.ndarray = aim) -> float:
            return -float(np.square(state["w"].numpy() - aim).sum())

        members: list[int] = []
        best = -np.inf
        for i in sorted(range(6), key=lambda i: -score(states[i])):
            now = -float(np.square(values[[*members, i]].mean(axis=0) - aim).sum())
            if now >= best:
                members, best = [*members, i], now
        found, chosen, value = greedy_soup(states, score)
        assert chosen == members
        assert value == pytest.approx(best)
        assert value >= max(score(state) for state in states)
        assert found["w"].numpy() == pytest.approx(values[members].mean(axis=0))
        assert int(found["n"]) == 7


def test_half_precision_is_averaged_in_double() -> None:
    states = [{"w": torch.tensor([60000.0], dtype=torch.float16)}] * 3
    assert averaged(states)["w"].tolist() == [60000.0]


def test_a_soup_of_models_answers_and_others_are_refused() -> None:
    from dross.core.signal import Signals
    from dross.train.cross_entropy import CrossEntropy

    data, more = blobs(90, k=3, seed=1).data, blobs(90, k=2, seed=1).data
    one, other = (CrossEntropy(epochs=3, seed=s).run(data, Signals(data)) for s in (0, 1))
    made = soup([one, other], data)  # type: ignore[list-item]
    assert made.score(data) >= max(one.score(data), other.score(data))  # type: ignore[union-attr]
    assert made.summary["soup"]
    different = CrossEntropy(epochs=1).run(more, Signals(more))
    with pytest.raises(DrossError, match="different"):
        soup([one, different], data)  # type: ignore[list-item]
    with pytest.raises(DrossError, match="needs a network"):
        greedy_soup([], lambda state: 0.0)
