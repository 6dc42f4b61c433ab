"""Image form: planted useless pictures are found among real digits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dross.claims import Budget, Evidence, claim, interval
from dross.detect.image_form import form_scores
from dross.signals.image_statistics import measure


def scenes(n: int, rng: np.random.Generator) -> list[npt.NDArray[np.uint8]]:
    """Smooth random pictures with edges, 48 pixels a side."""
    y, x = np.mgrid[0:48, 0:48] / 48
    made = []
    for _ in range(n):
        a, b, c, d = rng.uniform(2, 7, 4)
        light = 0.5 + 0.2 * np.sin(a * x + b) * np.cos(c * y + d)
        light += 0.25 * ((x - rng.uniform(0.2, 0.8)) ** 2 + (y - rng.uniform(0.2, 0.8)) ** 2 < 0.05)
        made.append(np.clip((light + rng.normal(0, 0.02, light.shape)) * 255, 0, 255).astype(np.uint8))
    return made


@claim(
    method="image-form", says="finds pictures that do not decode, are blank, dark, glaring, or oddly shaped or sized"
)
def useless_pictures_are_found(budget: Budget) -> Evidence:
    """Seven useless pictures among 400; the baseline calls the darkest and brightest 1 % odd."""
    recall, false_alarms, baseline = [], [], []
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        pictures: list[npt.NDArray[np.uint8] | None] = list(scenes(400, rng))
        some = pictures[0]
        assert some is not None
        pictures += [None, np.full((48, 48), 128, np.uint8), (some // 40).astype(np.uint8)]
        pictures += [(255 - some // 30).astype(np.uint8), np.tile(some, (1, 12)), some[:3, :3], np.tile(some, (20, 20))]
        statistics = np.array([measure(p) for p in pictures], np.float32)
        flagged = form_scores(statistics).max(axis=1) >= 0.5
        recall.append(flagged[400:].mean())
        false_alarms.append(flagged[:400].mean())
        light = statistics[:, 3]
        odd = (light < np.quantile(light, 0.01)) | (light > np.quantile(light, 0.99))
        baseline.append(odd[400:].mean())
    measured = {
        "recall": interval(recall),
        "share of sound pictures flagged": interval(false_alarms),
        "recall by brightness alone": interval(baseline),
    }
    holds = min(recall) == 1.0 and max(false_alarms) <= 0.02 and min(recall) > max(baseline)
    return Evidence(measured, holds=bool(holds), over=budget.seeds)
