"""Noisy model tuning: extractors that learnt wrong labels transfer worse, and reshaping helps."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._training import mean, over_seeds
from dross.core.dataset import Dataset
from dross.core.signal import Signals
from dross.models.trained import Trained
from dross.models.trainer import NetworkTrainer
from dross.testing.images import Pixels, digit_pixels, noisy, pixel_dataset
from dross.train.cross_entropy import CrossEntropy
from dross.train.noisy_model_tuning import NoisyModelTuning

NOISES = (0.0, 0.25, 0.5)
UPSTREAM, DOWNSTREAM, EPOCHS, TUNING = 1000, 200, 20, 40


@claim(
    method="noisy-model-tuning",
    paper="Understanding and Mitigating the Label Noise in Pre-training on Downstream Tasks",
    says="label noise in pretraining harms out of domain; NMTune improves on linear probing at home and away",
    fast=False,
)
def reshaping_helps_noisy_extractors(budget: Budget) -> Evidence:
    """An MLP-Mixer learns 1,000 digits with 0, 25 or 50 % wrong labels and is frozen; 200 clean digits follow.

    At home are 597 other digits; away are the same turned by 20 degrees, and blurred. The same network without the
    three terms is measured beside it.
    """

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng(seed)
        X, y = digit_pixels()
        order = rng.permutation(len(X))
        up, down, test = np.split(order, [UPSTREAM, UPSTREAM + DOWNSTREAM])
        places = {"home": [X[test]], "away": [turned(X[test], 20.0), blurred(X[test], 0.7)]}
        probe = CrossEntropy(network="linear", epochs=TUNING, learning_rate=5e-3, seed=seed)
        ours = NoisyModelTuning(epochs=TUNING, seed=seed)
        bare = NoisyModelTuning(epochs=TUNING, seed=seed, consistency=0, decorrelation=0, dominant=0)
        found: dict[tuple[str, str, float], float] = {}
        for noise in NOISES:
            labels = noisy(y[up], 10, noise, "symmetric", rng) if noise else y[up]
            extractor = _model(CrossEntropy(network="mixer", epochs=EPOCHS, seed=seed), pixel_dataset(X[up], labels))
            small = _seen(extractor, X[down], y[down])
            for name, method in {"probe": probe, "ours": ours, "bare": bare}.items():
                model = _model(method, small)
                for where, views in places.items():
                    scores = [100 * model.score(_seen(extractor, view, y[test])) for view in views]
                    found[name, where, noise] = float(np.mean(scores))

        def gain(of: str, where: str, over: str) -> float:
            return float(np.mean([found[of, where, noise] - found[over, where, noise] for noise in NOISES]))

        away = {f"away, linear probe, {noise:.0%} noise": found["probe", "away", noise] for noise in NOISES}
        return {
            **away,
            "lost away by half the labels wrong": found["probe", "away", 0.0] - found["probe", "away", 0.5],
            "points gained away": gain("ours", "away", "probe"),
            "points gained at home": gain("ours", "home", "probe"),
            "points gained away over the network without the terms": gain("ours", "away", "bare"),
        }

    measured = over_seeds(budget, one)
    levels = [mean(measured[f"away, linear probe, {noise:.0%} noise"]) for noise in NOISES]
    holds = levels == sorted(levels, reverse=True) and mean(measured["points gained away"]) >= 2
    return Evidence(measured, holds, over=budget.seeds)


def turned(X: Pixels, degrees: float) -> Pixels:
    """Digits turned, every other one the other way."""
    from scipy import ndimage

    angles = np.where(np.arange(len(X)) % 2, degrees, -degrees)
    out = [ndimage.rotate(x, a, reshape=False, order=1) for x, a in zip(X.reshape(-1, 8, 8), angles, strict=True)]
    return np.stack(out).reshape(X.shape).astype(np.float32)


def blurred(X: Pixels, sigma: float) -> Pixels:
    """Digits under a Gaussian of this standard deviation, in pixels."""
    from scipy import ndimage

    out: Pixels = ndimage.gaussian_filter(X.reshape(-1, 8, 8), (0, sigma, sigma)).reshape(X.shape).astype(np.float32)
    return out


def _model(method: NetworkTrainer, data: Dataset) -> Trained:
    model = method.run(data, Signals(data))
    assert isinstance(model, Trained), model
    return model


def _seen(extractor: Trained, X: Pixels, y: np.ndarray) -> Dataset:
    return pixel_dataset(extractor.embed(pixel_dataset(X, y)), y)
