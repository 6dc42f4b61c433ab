"""AST: a dataset distilled by matching the trajectories of experts that were kept smooth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.distiller import Distiller, Rows, Stage, some_of_each
from dross.models.loop import Settings
from dross.models.trajectories import Descent, Matching, said_at

# ---- the mathematics ---------------------------------------------------------------------------------------------


def clipped_shares(epochs: int) -> tuple[float, ...]:
    """What the expert's loss is multiplied by in its first epochs, the first fifth of them: 0.5, rising to 1.

    The paper's code has 0.5, 0.55 to 0.95 in the first 10 of 50 epochs.

    >>> clipped_shares(20), len(clipped_shares(50)), clipped_shares(3)
    ((0.5, 0.625, 0.75, 0.875), 10, (0.5,))
    """
    count = max(1, round(epochs / 5))
    return tuple(0.5 + 0.5 * i / count for i in range(count))


def balanced_factor(epoch: int, end: int) -> float:
    """What the student's loss is multiplied by where it starts from an epoch below ``end``: less early, more late.

    Early weights have large losses and late ones small. ``log_5(8 + d)`` for an epoch ``d`` after the middle, its
    inverse for one ``d`` before (the paper's code).

    >>> [round(balanced_factor(epoch, 20), 2) for epoch in (0, 9, 10, 19)]
    [0.56, 0.73, 1.29, 1.76]
    """
    away = epoch - end // 2
    factor = math.log(8 + abs(away), 5)
    return factor if away >= 0 else 1 / factor


def representatives(vectors: npt.NDArray[np.float32], count: int, seed: int) -> Rows:
    """The rows nearest to the ``count`` centres that k-means finds, each another row; shape (count,).

    >>> x = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]], np.float32)
    >>> sorted(representatives(x, 2, 0).tolist())
    [1, 4]
    """
    from sklearn.cluster import KMeans

    if count >= len(vectors):
        return np.arange(len(vectors))
    distinct = len(np.unique(vectors, axis=0))
    centres = KMeans(min(count, distinct), n_init=3, random_state=seed).fit(vectors).cluster_centers_
    found: list[int] = []
    for i in range(count):  # where copies leave fewer centres than rows wanted, a centre is used again
        away = np.square(vectors - centres[i % len(centres)]).sum(axis=1)
        away[found] = np.inf
        found.append(int(away.argmin()))
    return np.array(found)


# ---- the synthesizer ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SmoothExpertTrajectories(Distiller):
    """Distil a dataset into a few rows on which a student follows experts that learn at an even pace.

    Shen, Yang, Lam, "Efficient Dataset Distillation through Alignment with Smooth and High-Quality Expert
    Trajectories", 2023. Good experts (SGD with momentum and weight decay) run fast at first, too fast for a student
    that has a few rows; so their loss is damped in the first epochs and steep slopes are punished. New rows begin as
    those nearest to the centres of their class among what an expert says. The student's loss is balanced between early
    and late starts, its start is perturbed, and it must also be where the expert was after each epoch between.

    With all of these off and ``momentum=0`` it is plain trajectory matching (MTT). Labels stay hard. The penalty takes
    the slope over the whole row; the paper's code takes it over the channels of each pixel.

    Attributes
    ----------
    end
        The epoch of an expert before which a student starts; 0: half of the epochs.
    momentum
        Of experts and student.
    weight_decay
        Of experts.
    clip
        Whether the loss of experts is damped at first: see :func:`clipped_shares`.
    penalty
        The weight of the penalty on slopes.
    slowing
        What the experts' learning rate is multiplied by in their second half.
    representative
        Whether new rows begin as representative rows; random ones otherwise.
    balanced, intermediate
        Whether the student's loss is balanced, and whether it is matched between.
    perturbation
        Size of the noise on the student's start, as a share of each weight over the square root of their number.
    """

    paper: ClassVar = Paper(
        "Efficient Dataset Distillation through Alignment with Smooth and High-Quality Expert Trajectories",
        2023,
        "2310.10541",
    )
    alias: ClassVar = "ast-distillation"

    learning_rate: float = 0.01
    input_rate: float = 3.0
    end: int = 0
    momentum: float = 0.9
    weight_decay: float = 1e-3
    clip: bool = True
    penalty: float = 2.0
    slowing: float = 0.6
    representative: bool = True
    balanced: bool = True
    intermediate: bool = True
    perturbation: float = 1.0

    def descent(self) -> Descent:
        """SGD with momentum, the loss damped at first, steep slopes punished."""
        shares = clipped_shares(self.expert_epochs) if self.clip else ()
        return Descent(self.momentum, self.slowing, shares, self.penalty)

    def settings(self) -> Settings:
        """With weight decay."""
        return replace(super().settings(), weight_decay=self.weight_decay)

    def chosen(self, stage: Stage) -> Rows:
        """Representative or random rows of each class."""
        rng = np.random.default_rng((self.seed, 23))
        said = said_at(stage.net, stage.paths[0, -1], stage.examples.x).numpy()

        def pick(rows: Rows, count: int) -> Rows:
            if not self.representative:
                drawn: Rows = rng.permutation(rows)[:count]
                return drawn
            return np.asarray(rows[representatives(said[rows], count, self.seed % (1 << 31))])

        return some_of_each(stage.codes, self.per_class, pick)

    def matching(self) -> Matching:
        """With momentum, points between and noise."""
        return replace(
            super().matching(),
            momentum=self.momentum,
            intermediate=self.intermediate,
            perturbation=self.perturbation,
        )

    def window(self, stage: Stage) -> Callable[[int], tuple[int, int]]:
        """Always the same."""
        end = self._end()
        return lambda iteration: (0, end)

    def factor(self, epoch: int) -> float:
        """Balanced between early and late starts."""
        return balanced_factor(epoch, self._end()) if self.balanced else 1.0

    def told(self, stage: Stage) -> str:
        """The experts that were matched."""
        kind = "smooth experts" if self.clip or self.penalty else "experts"
        return f"trajectory matching from epochs 0 to {self._end() - 1} of {self.experts} {kind}"

    def _end(self) -> int:
        most = self.expert_epochs - min(self.span, self.expert_epochs) + 1
        return max(1, min(self.end or self.expert_epochs // 2, most))

    def _check(self) -> None:
        super()._check()
        for name in ("end", "weight_decay", "penalty", "perturbation"):
            if getattr(self, name) < 0:
                raise DrossError(f"{name} is {getattr(self, name)}", fix="give 0 or more")
        if not 0 <= self.momentum < 1:
            raise DrossError(f"momentum is {self.momentum}", fix="give a number from 0 to below 1")
