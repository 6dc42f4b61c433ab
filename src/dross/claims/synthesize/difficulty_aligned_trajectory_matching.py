"""DATM: a few distilled digits teach more than picked ones; early segments suit one a class, late ones ten."""

from __future__ import annotations

from dataclasses import replace

from dross.claims import Budget, Evidence, claim
from dross.claims._training import mean, over_seeds
from dross.claims.synthesize._distilled import bench
from dross.core.signal import Signals
from dross.models.distiller import certain
from dross.synthesize.difficulty_aligned_trajectory_matching import DifficultyAlignedTrajectoryMatching

SEGMENTS = {1: (12, 21), 10: (0, 12)}
"""By rows a class, the segment that is not aligned: of 30 epochs, the late one for 1, the early one for 10."""


@claim(
    method="difficulty-aligned-trajectory-matching",
    paper="Towards Lossless Dataset Distillation via Difficulty-Aligned Trajectory Matching",
    says="early segments suit small sets and late ones large sets; distilled rows beat picked ones",
    fast=False,
)
def difficulty_is_aligned_with_the_number_of_rows(budget: Budget) -> Evidence:
    """1,000 digits distilled to 1 and 10 a class from the segments that suit them, and each from the other's.

    Perceptrons trained for equally many updates on the distilled and on picked rows answer for 797 others. Rates and
    the length of the experts' training were tried on seeds 100 and 101; the segments are the method's own.
    """

    def one(seed: int) -> dict[str, float]:
        ground = bench(seed)
        data = ground.exam.data
        method = DifficultyAlignedTrajectoryMatching(seed=seed, network="mlp", experts=4, iterations=150, device="cpu")
        stage = method.prepared(data, Signals(data))
        found = {"all 1,000 rows": ground.accuracy(ground.train.x, certain(ground.train.y.numpy(), 10), seed)}
        for per, other in SEGMENTS.items():
            for name, window in {"aligned": (-1, -1), "other segment": other}.items():
                made, _ = replace(method, per_class=per, window_of_epochs=window).distil(stage, Signals(data))
                found[f"{per} a class, {name}"] = ground.accuracy(made.x, made.logits, seed)
            aligned = found[f"{per} a class, aligned"]
            picks = ground.picked(per, seed)
            found |= {f"{per} a class, {name}": value for name, value in picks.items()}
            found[f"{per} a class, points over random rows"] = aligned - picks["random rows"]
            found[f"{per} a class, points over the best pick"] = aligned - max(picks.values())
            found[f"{per} a class, points over the other segment"] = aligned - found[f"{per} a class, other segment"]
        return found

    measured = over_seeds(budget, one)
    picked = min(mean(measured[f"{per} a class, points over the best pick"]) for per in SEGMENTS)
    other = min(mean(measured[f"{per} a class, points over the other segment"]) for per in SEGMENTS)
    note = "The best pick is the best on the test rows of random rows, herding, k-centre and medoids of k-means."
    return Evidence(measured, picked >= 5 and other > 0, over=budget.seeds, note=note)
