"""kMQ: a budget spread over clusters beats random rows, and rounds of scoring turn it away from garbage."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dross.claims import Budget, Evidence, claim
from dross.claims._training import Measured, mean, over_seeds
from dross.core.results import Selection
from dross.core.signal import Signals
from dross.select.kmq_iterative import KMQIterative
from dross.testing.images import Codes, Pixels, digit_pixels, pixel_dataset

TEST, RAREST, COPIES, SHARE = 600, 0.05, 6, 1 / 6
GARBAGE, KINDS, DRAWS = 0.3, 12, 5
Flags = npt.NDArray[np.bool_]


@claim(
    method="kmq-iterative",
    paper="Diversify and Conquer: Diversity-Centric Data Selection with Iterative Refinement",
    says="+7 % over random selection; refinement filters out clusters of low quality",
)
def clusters_beat_chance_and_rounds_leave_garbage_behind(budget: Budget) -> Evidence:
    """Digits whose classes fall off to a twentieth, the frequent ones in up to six near-copies; a sixth is chosen.

    A linear model is trained on the chosen rows and judged by its balanced accuracy on 600 others. Then 30 % of the
    pool are clusters of noise with random labels. Settings were chosen on other seeds (100 to 103).
    """

    def one(seed: int) -> dict[str, float]:
        X, y, _, T, t = pool(seed, 0.0)
        evenly = _accuracy(X, y, _chosen(X, y, seed, 1), T, t)
        random = _random(X, y, seed, T, t)
        Z, z, bad, _, _ = pool(seed, GARBAGE)
        spread, rounds = (_chosen(Z, z, seed, count) for count in (1, KMQIterative.rounds))
        return {
            "balanced accuracy of random rows, %": random,
            "points gained by quotas of the clusters": evenly - random,
            "garbage chosen by quotas, %": float(100 * bad[spread].mean()),
            "garbage chosen in rounds, %": float(100 * bad[rounds].mean()),
            "with garbage: points of rounds over random rows": _accuracy(Z, z, rounds, T, t)
            - _random(Z, z, seed, T, t),
            "with garbage: points of rounds over quotas": _accuracy(Z, z, rounds, T, t) - _accuracy(Z, z, spread, T, t),
        }

    measured = over_seeds(budget, one)
    note = (
        "Rounds take the budget from garbage, but on the seeds they were tuned on they won no accuracy over equal "
        "quotas (65.4 against 65.4 %): of rare classes little seems to be learnt at first, so their clusters lose too."
    )
    return Evidence(measured, _holds(measured), over=budget.seeds, note=note)


def _holds(measured: Measured) -> bool:
    gained, garbage = measured["points gained by quotas of the clusters"], measured["garbage chosen in rounds, %"]
    return mean(gained) >= 5 and mean(garbage) < 10


def pool(seed: int, garbage: float) -> tuple[Pixels, Codes, Flags, Pixels, Codes]:
    """The rows to choose among, their labels, which are garbage, and the test rows with their classes."""
    X, y = digit_pixels()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(X))
    test, rest = order[:TEST], order[TEST:]
    shares = np.geomspace(1, RAREST, 10)[rng.permutation(10)]
    kept = [rest[y[rest] == c][: round(100 * shares[c])] for c in range(10)]
    copies = [max(1, round(COPIES * share)) for share in shares]
    rows = np.concatenate([np.repeat(part, count) for part, count in zip(kept, copies, strict=True)])
    pixels, labels = X[rows] + 0.05 * rng.standard_normal((len(rows), X.shape[1])), y[rows]
    count = round(len(rows) * garbage / (1 - garbage))
    noise = rng.random((KINDS, X.shape[1]))[rng.integers(0, KINDS, count)]
    noise += 0.1 * rng.standard_normal(noise.shape)
    mixed = rng.permutation(len(rows) + count)
    pixels = np.clip(np.concatenate([pixels, noise]), 0, 1).astype(np.float32)[mixed]
    labels = np.concatenate([labels, rng.integers(0, 10, count)])[mixed]
    return pixels, labels, mixed >= len(rows), X[test], y[test]


def _chosen(X: Pixels, y: Codes, seed: int, rounds: int) -> npt.NDArray[np.int64]:
    data = pixel_dataset(X, y)
    found = KMQIterative(count=round(SHARE * len(X)), rounds=rounds, seed=seed).run(data, Signals(data))
    assert isinstance(found, Selection)
    return found.rows


def _random(X: Pixels, y: Codes, seed: int, T: Pixels, t: Codes) -> float:
    """The mean over some random choices."""
    count = round(SHARE * len(X))
    draws = [np.random.default_rng((seed, i)).choice(len(X), count, replace=False) for i in range(DRAWS)]
    return float(np.mean([_accuracy(X, y, rows, T, t) for rows in draws]))


def _accuracy(X: Pixels, y: Codes, rows: npt.NDArray[np.int64], T: Pixels, t: Codes) -> float:
    """Balanced accuracy, in per cent, of a linear model of these rows."""
    from sklearn.linear_model import LogisticRegression

    guess = LogisticRegression(C=10, max_iter=400).fit(X[rows], y[rows]).predict(T)
    return float(100 * np.mean([(guess[t == c] == c).mean() for c in range(10)]))
