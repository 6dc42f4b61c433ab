"""GOT-D: the rows that pull what a model was trained on towards a target, rather than those that merely resemble it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.roles import CONTENT
from dross.core.signal import Signals
from dross.models.aimed import aimed
from dross.signals.embedding import Embedding

Vectors = npt.NDArray[np.float32]
Potential = npt.NDArray[np.float64]
_BLOCK = 4096


# ---- the mathematics ---------------------------------------------------------------------------------------------


def costs(target: Vectors, pool: Vectors) -> Iterator[tuple[slice, npt.NDArray[np.float64]]]:
    """Squared distances of target rows to pool rows, a block of pool rows at a time: shape (m, block)."""
    norms = np.square(target).sum(axis=1)[:, None]
    for start in range(0, len(pool), _BLOCK):
        part = pool[start : start + _BLOCK]
        found = norms + np.square(part).sum(axis=1) - 2 * (target @ part.T)
        yield slice(start, start + len(part)), np.maximum(found, 0).astype(np.float64)


def dual_potentials(
    target: Vectors, pool: Vectors, epsilon: float, rounds: int = 200, tolerance: float = 1e-3
) -> tuple[Potential, Potential, int]:
    """The dual potentials of entropic optimal transport between two sets of equal weights, and the rounds it took.

    Sinkhorn's iteration in logarithms (Cuturi, 2013); costs are squared distances over their mean. Time O(m n d) a
    round, memory O(m + n): costs are made anew block by block.

    Returns
    -------
    Potentials of the target rows, shape (m,), and of the pool rows, shape (n,), in units of the mean cost; the plan
    ``exp((f_i + g_j - c_ij) / epsilon) / (m n)`` has the weights of the pool as its sums, and nearly those of the
    target.

    Examples
    --------
    >>> f, g, _ = dual_potentials(np.array([[0.0], [1.0]], np.float32), np.array([[0.0], [4.0]], np.float32), 0.1)
    >>> bool(g[1] > g[0])  # to move weight to the row far away costs more
    True
    """
    from scipy.special import logsumexp

    m, n = len(target), len(pool)
    scale = sum(float(c.sum()) for _, c in costs(target, pool)) / (m * n) or 1.0
    f, g = np.zeros(m), np.zeros(n)
    number = 0
    while number < rounds:
        number += 1
        sums = np.full(m, -np.inf)
        for part, c in costs(target, pool):
            away = c / scale
            g[part] = -epsilon * (logsumexp((f[:, None] - away) / epsilon, axis=0) - np.log(m))
            sums = np.logaddexp(sums, logsumexp((g[part] - away) / epsilon, axis=1))
        new = -epsilon * (sums - np.log(n))
        moved = float(np.abs(new - f).max())
        f = new
        if moved < tolerance:
            break
    return f, g, number


def calibrated(potential: Potential) -> Potential:
    """The gradient of the transport distance by the weight of each row, the others giving way evenly, shape (n,).

    Potentials are known up to a constant, which falls out: ``g_i - sum of the others / (n - 1)`` (equation 6).

    >>> calibrated(np.array([1.0, 2.0, 6.0])).tolist()
    [-3.0, -1.5, 4.5]
    """
    n = len(potential)
    others = (potential.sum() - potential) / max(n - 1, 1)
    return np.asarray(potential - others)


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GradientOptimalTransport(Selector):
    """Rows whose weight, if raised, brings the pool nearest to the target; the most helpful first.

    Kang et al., "Get more for less: Principled Data Selection for Warming Up Fine-Tuning in LLMs", 2024. The pool
    stands for what the model was trained on. Rows most like the target are often of a kind the model has seen plenty
    of; the gradient of the optimal transport distance favours what the target has and the pool lacks. Use the rows for
    a short training before the fine-tuning itself.

    The target is a part of the data (role split), by default the one called ``target``, else the validation part; the
    pool is the training part. No labels are read.

    Attributes
    ----------
    count, share
        Rows to choose; where ``count`` is 0, a share of the pool.
    target
        The name of the target part.
    epsilon
        Strength of the entropic term, in units of the mean squared distance.
    sample
        Target rows that are looked at, at most; the official code takes 1,000.
    seed
        Of that sample.
    """

    paper: ClassVar = Paper(
        "Get more for less: Principled Data Selection for Warming Up Fine-Tuning in LLMs", 2024, "2405.02774"
    )
    alias: ClassVar[str | None] = "got-d"

    count: int = 0
    share: float = 0.1
    target: str = ""
    epsilon: float = 0.05
    sample: int = 1000
    seed: int = 0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where there is content, and a target part."""
        if not any(data.has(role) for role in CONTENT):
            return NotApplicable("no column holds content: no text, image, feature or embedding")
        if not self.target and not len(aimed(data).target):
            return NotApplicable("needs a target: a part (role split) called target or validation")
        return None

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Transport, calibrate, take the rows of lowest gradient."""
        if self.count < 0 or not 0 < self.share <= 1 or self.epsilon <= 0 or self.sample < 1:
            told = f"count {self.count}, share {self.share}, epsilon {self.epsilon}, sample {self.sample}"
            raise DrossError(told, where=self.name(), fix="give a share up to 1, and numbers above 0")
        missing = self.applies(data)
        if missing is not None:
            return missing
        parts = aimed(data, self.target)
        if len(parts.target) < 2 or len(parts.pool) < 2:
            return NotApplicable(f"{len(parts.target)} target rows and {len(parts.pool)} in the pool")
        vectors = np.asarray(signals[Embedding()], np.float32)
        rng = np.random.default_rng(self.seed)
        some = np.sort(rng.permutation(parts.target)[: self.sample])
        _, g, rounds = dual_potentials(vectors[some], vectors[parts.pool], self.epsilon)
        gradient = calibrated(g)
        count = min(len(gradient), self.count or max(1, round(self.share * len(gradient))))
        order = np.argsort(gradient, kind="stable")[:count]
        summary = {"target": len(some), "pool": len(gradient), "rounds": rounds, "chosen": count}
        return Selection(parts.pool[order], None, summary)
