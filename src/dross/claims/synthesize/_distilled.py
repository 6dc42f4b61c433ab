"""What the claims of dataset distillation share: students that train on few rows, and the rows others would pick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.signal import Signals
from dross.models.distiller import certain
from dross.models.examples import Examples
from dross.models.loop import Settings, fit, over
from dross.models.trajectories import Descent
from dross.testing.images import Exam, digits_exam

STUDENTS, UPDATES, RATE = 3, 200, 0.03
"""Networks trained on each set of rows, their updates, and the step size that suited random rows best (seed 100)."""


@dataclass(frozen=True)
class Bench:
    """An exam as a perceptron reads it: training rows, test rows, and what makes networks."""

    exam: Exam
    train: Examples
    test: Examples
    make: Any

    def accuracy(self, x: Any, logits: Any, seed: int, updates: int = UPDATES) -> float:
        """Right answers on the test rows in per cent: the mean over networks trained on rows with soft labels.

        SGD with momentum on all rows at once, the step size a tenth after half of the updates, as MTT judges; one step
        size for all sets of rows, learnt or picked.
        """
        right = []
        for i in range(STUDENTS):
            rows = Examples(x, logits.argmax(dim=1), logits.shape[1])
            descent = Descent(0.9, 0.1, targets=logits.softmax(dim=1))
            run = fit(descent, self.make, rows, Settings(updates, len(x), RATE, 5e-4, 1000 * seed + i, "cpu"))
            said = over(run.nets, run.net, self.test.x, run.device).argmax(dim=1)
            right.append(100 * float((said == self.test.y).float().mean()))
        return float(np.mean(right))

    def picked(self, per_class: int, seed: int) -> dict[str, float]:
        """The accuracy on rows that are picked: at random, by herding, by k-centre and as medoids of k-means."""
        picks = {"random rows": _random, "herding": _herding, "k-centre": _k_centre, "k-means medoids": _medoids}
        x, y = self.train.x, self.train.y.numpy()
        found = {}
        for name, pick in picks.items():
            rng = np.random.default_rng((seed, 29))
            rows = []
            for c in range(self.train.outputs):
                own = np.flatnonzero(y == c)
                rows.append(own[pick(x.numpy()[own].astype(np.float64), per_class, rng)])
            chosen = np.concatenate(rows)
            found[name] = self.accuracy(x[chosen], certain(y[chosen], self.train.outputs), seed)
        return found


def bench(seed: int) -> Bench:
    """1,000 digits to distil and 797 to judge by, for a perceptron with 256 and 128 hidden units."""
    import torch

    from dross.models.inputs import fit_encoder
    from dross.models.networks import Maker

    exam = digits_exam(seed)
    encoder = fit_encoder(exam.data, Signals(exam.data), "mlp", np.arange(len(exam.data)))

    def examples(data: Dataset) -> Examples:
        return Examples(torch.from_numpy(encoder(data)), torch.from_numpy(data.codes.astype(np.int64)), 10)

    make = Maker("mlp", encoder.kind, tuple(encoder.shape), 10)
    return Bench(exam, examples(exam.data), examples(exam.test), make)


# ---- rows that are picked from a class, x of shape (n, d) ----------------------------------------------------------

Matrix = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def _random(x: Matrix, count: int, rng: np.random.Generator) -> Rows:
    return rng.permutation(len(x))[:count]


def _herding(x: Matrix, count: int, rng: np.random.Generator) -> Rows:
    """Rows whose running mean stays nearest to the mean of all (Welling, 2009)."""
    rows: list[int] = []
    mean, total = x.mean(axis=0), np.zeros(x.shape[1])
    for i in range(count):
        away = np.square(mean * (i + 1) - total - x).sum(axis=1)
        away[rows] = np.inf
        rows.append(int(away.argmin()))
        total += x[rows[-1]]
    return np.array(rows)


def _k_centre(x: Matrix, count: int, rng: np.random.Generator) -> Rows:
    """The most central row, then always the one farthest from those taken (Sener and Savarese, 2018)."""
    rows = [int(np.square(x - x.mean(axis=0)).sum(axis=1).argmin())]
    away = np.square(x - x[rows[0]]).sum(axis=1)
    while len(rows) < count:
        rows.append(int(away.argmax()))
        away = np.minimum(away, np.square(x - x[rows[-1]]).sum(axis=1))
    return np.array(rows)


def _medoids(x: Matrix, count: int, rng: np.random.Generator) -> Rows:
    """The rows nearest to the centres of k-means."""
    from sklearn.cluster import KMeans

    centres = KMeans(count, n_init=3, random_state=int(rng.integers(1 << 31))).fit(x).cluster_centers_
    return np.array([int(np.square(x - centre).sum(axis=1).argmin()) for centre in centres])
