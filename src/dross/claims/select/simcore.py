"""SimCore: what is chosen of an open set is like the target, and pretraining on it serves the target."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim
from dross.claims._training import Measured, mean, over_seeds
from dross.core.dataset import Dataset
from dross.core.results import Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.simcore import SimCore
from dross.testing.images import Codes, Pixels
from dross.testing.mnist import mnist_pixels, told

CLASSES = (3, 8, 9)
TARGET, OPEN, RELATED = 150, 3000, 0.3
TEST, LABELS = 1000, 10
PRETRAIN, UPDATES, BATCH, TEMPERATURE = 60, 500, 128, 0.5


@claim(
    method="simcore",
    paper="Coreset Sampling from Open-Set for Fine-Grained Self-Supervised Learning",
    says="significantly improves the representation learnt for the target, over random rows of the open set",
    fast=False,
)
def the_chosen_open_rows_serve_the_target(budget: Budget) -> Evidence:
    """150 unlabelled images of 3, 8 and 9; 3,000 open rows, 30 % of them images of any digit, else textures and noise.

    Encoders learn by contrast, for equally many updates, from the target with the rows chosen, with as many random
    ones, and alone; a linear probe on ten labels a class is judged on other images of the target's classes. How many
    rows are chosen is left to the paper's threshold. Settings were looked at on seeds 100 to 102.
    """

    def one(seed: int) -> dict[str, float]:
        data, related, target, codes, test, truth = task(seed)
        method = SimCore(network="pixel-mlp", temperature=TEMPERATURE, epochs=PRETRAIN, seed=seed, device="cpu")
        found = method.run(data, Signals(data))
        assert isinstance(found, Selection)
        rows, pool = found.rows - TARGET, data.matrix(Role.EMBEDDING)[TARGET:]
        random = np.random.default_rng((seed, 5)).choice(OPEN, len(rows), replace=False)
        ours, theirs, alone = (
            probed(np.concatenate([target, part]), target, codes, test, truth, seed)
            for part in (pool[rows], pool[random], pool[:0])
        )
        return {
            "related rows among those chosen, %": float(100 * related[rows].mean()),
            "rows chosen": float(len(rows)),
            "accuracy with the rows chosen, %": ours,
            "points over random rows": ours - theirs,
            "points over the target alone": ours - alone,
        }

    measured = over_seeds(budget, one)
    note = (
        f"The base rate of related rows is {RELATED:.0%}. Against the target alone, for as many updates, the chosen "
        "rows win nothing here; and random rows cost less in a longer training: 2.6 "
        "points, not 4.5, after three times as many updates on three other seeds."
    )
    return Evidence(measured, _holds(measured), budget.seeds, told(note))


def _holds(measured: Measured) -> bool:
    related, gained = measured["related rows among those chosen, %"], measured["points over random rows"]
    return mean(related) >= 80 and mean(gained) >= 2


def textures(rng: np.random.Generator, count: int, side: int) -> Pixels:
    """Waves of random direction, length and sharpness, shape (count, side²), in [0, 1].

    >>> textures(np.random.default_rng(0), 2, 8).shape
    (2, 64)
    """
    angle, phase = rng.uniform(0, np.pi, (count, 1, 1)), rng.uniform(0, 2 * np.pi, (count, 1, 1))
    length, edge = rng.uniform(3, side / 2, (count, 1, 1)), rng.uniform(1, 6, (count, 1, 1))
    y, x = np.mgrid[:side, :side]
    waves = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / length + phase)
    return np.asarray((1 + np.tanh(edge * waves)) / 2, np.float32).reshape(count, -1)


def task(seed: int) -> tuple[Dataset, npt.NDArray[np.bool_], Pixels, Codes, Pixels, Codes]:
    """Target and open set, which open rows are digits, the target's pixels and classes, and test rows."""
    X, y = mnist_pixels()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(X))
    wanted = order[np.isin(y[order], CLASSES)]
    target, test = wanted[:TARGET], wanted[TARGET : TARGET + TEST]
    rest = np.setdiff1d(order, np.concatenate([target, test]))
    related = rng.permutation(rest)[: round(RELATED * OPEN)]
    others = OPEN - len(related)
    side = int(np.sqrt(X.shape[1]))
    noise = rng.random((others // 2, X.shape[1]), np.float32)
    pool = np.concatenate([X[related], textures(rng, others - len(noise), side), noise])
    shuffle = rng.permutation(OPEN)
    pixels = np.concatenate([X[target], pool[shuffle]])
    flat = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(pixels).ravel()), X.shape[1])
    part = pa.array(["target"] * TARGET + ["train"] * OPEN)
    data = Dataset(pa.table({"x": flat, "part": part}), {Role.EMBEDDING: ["x"], Role.SPLIT: ["part"]})
    classes = np.searchsorted(CLASSES, y)
    return data, (np.arange(OPEN) < len(related))[shuffle], X[target], classes[target], X[test], classes[test]


def probed(pixels: Pixels, target: Pixels, codes: Codes, test: Pixels, truth: Codes, seed: int) -> float:
    """Accuracy, in per cent, of a linear probe on an encoder that learnt by contrast from some rows."""
    import torch
    from sklearn.linear_model import LogisticRegression

    from dross.models.examples import Examples
    from dross.models.loop import Settings, fit, over
    from dross.models.networks import Maker
    from dross.models.nt_xent import Contrast

    side = int(np.sqrt(pixels.shape[1]))
    centre, scale = target.mean(), target.std()

    def read(X: Pixels) -> torch.Tensor:
        return torch.from_numpy(((X - centre) / scale).astype(np.float32).reshape(-1, 1, side, side))

    x = read(pixels)
    epochs = round(UPDATES / -(-len(x) // BATCH))
    settings = Settings(epochs, BATCH, 1e-3, seed=seed, device="cpu")
    make = Maker("pixel-mlp", "image", (1, side, side), 3)
    run = fit(Contrast(TEMPERATURE), make, Examples(x, torch.full((len(x),), -1), 3), settings)
    few, held = (over(run.nets, run.net.encode, read(X), run.device).numpy() for X in (target, test))
    shown = np.concatenate([np.flatnonzero(codes == c)[:LABELS] for c in range(len(CLASSES))])
    spread = few.std(axis=0) + 1e-6
    probe = LogisticRegression(max_iter=500).fit(few[shown] / spread, codes[shown])
    return float(100 * (probe.predict(held / spread) == truth).mean())
