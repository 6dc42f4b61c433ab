"""Backdoor adjustment: several imbalanced encoders together under a long tail."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim
from dross.claims._training import mean, over_seeds
from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.trained import Trained
from dross.models.trainer import NetworkTrainer
from dross.testing.images import Codes, Pixels, digit_pixels, pixel_dataset
from dross.train.backdoor_adjustment import BackdoorAdjustment
from dross.train.cross_entropy import CrossEntropy

ENCODERS, RATIO, UPSTREAM, DOWNSTREAM = 3, 0.7, 700, 500
EPOCHS, TUNING = 30, 60


@claim(
    method="backdoor-adjustment",
    paper="Rethinking the Bias of Foundation Model under Long-tailed Distribution",
    says="averaging over semantic factors and adjusting logits gains about 1.67 points",
)
def several_encoders_beat_the_best_adjusted_one(budget: Budget) -> Evidence:
    """Three perceptrons learn digits with different long tails and are frozen; a fourth tail follows downstream.

    Each class is 0.7 times as frequent as the one before, in a random order of the digits that is new each time. The
    best single encoder is chosen on the test rows, which favours it. Balanced accuracy is measured on 597 rows.
    """

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng(seed)
        X, y = digit_pixels()
        order = rng.permutation(len(X))
        up, down, test = np.split(order, [UPSTREAM, UPSTREAM + DOWNSTREAM])
        encoders = []
        for number in range(ENCODERS):
            rows = _tailed(up, y, rng)
            encoders.append(
                _model(CrossEntropy(epochs=EPOCHS, seed=100 * seed + number), pixel_dataset(X[rows], y[rows]))
            )
        rows = _tailed(down, y, rng)
        train, held = ([_seen(encoder, X[part], y[part]) for encoder in encoders] for part in (rows, test))
        method = BackdoorAdjustment(network="linear", epochs=TUNING, learning_rate=5e-3, seed=seed)
        together = _balanced(_model(method, _views(train, y[rows])), _views(held, y[test]), y[test])
        single = [
            _balanced(_model(method, _views([a], y[rows])), _views([b], y[test]), y[test])
            for a, b in zip(train, held, strict=True)
        ]
        plain = BackdoorAdjustment(network="linear", epochs=TUNING, learning_rate=5e-3, seed=seed, tau=0)
        unadjusted = _balanced(_model(plain, _views(train, y[rows])), _views(held, y[test]), y[test])
        return {
            "balanced accuracy of the best single encoder": max(single),
            "points gained over the best": together - max(single),
            "points gained over the mean encoder": together - float(np.mean(single)),
            "points gained by adjusting logits": together - unadjusted,
        }

    measured = over_seeds(budget, one)
    return Evidence(measured, mean(measured["points gained over the best"]) >= 1.5, over=budget.seeds)


def _tailed(rows: Codes, y: Codes, rng: np.random.Generator) -> Codes:
    """Rows of which each class keeps a share that falls from class to class, in a random order of the classes."""
    shares = RATIO ** rng.permutation(10)
    kept = [rows[y[rows] == c][: max(3, round(shares[c] * (y[rows] == c).sum()))] for c in range(10)]
    return np.sort(np.concatenate(kept))


def _model(method: NetworkTrainer, data: Dataset) -> Trained:
    model = method.run(data, Signals(data))
    assert isinstance(model, Trained), model
    return model


def _seen(encoder: Trained, X: Pixels, y: Codes) -> Pixels:
    return encoder.embed(pixel_dataset(X, y))


def _views(vectors: list[Pixels], y: Codes) -> Dataset:
    """One column of vectors for each encoder, and the label."""
    columns: dict[str, pa.Array] = {}
    for number, part in enumerate(vectors):
        columns[f"encoder {number + 1}"] = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), part.shape[1])
    roles = {Role.FEATURES: list(columns), Role.LABEL: ["label"]}
    return Dataset(pa.table({**columns, "label": pa.array(y)}), roles)


def _balanced(model: Trained, data: Dataset, y: npt.NDArray[np.int64]) -> float:
    guess = model.predict_proba(data).argmax(axis=1)
    return float(100 * np.mean([(guess[y == c] == c).mean() for c in range(10)]))
